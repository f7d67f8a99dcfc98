-- The characters of this realm live in a text file (Realm.CharactersFile); this is how a database would hold them.
CREATE TABLE `characters` (
  `name` varchar(12) NOT NULL PRIMARY KEY,
  `level` tinyint unsigned NOT NULL,
  `experience` bigint unsigned NOT NULL
);
