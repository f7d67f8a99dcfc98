BEGIN TRANSACTION;
CREATE TABLE alembic_version (
	version_num VARCHAR(32) NOT NULL, 
	CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);
INSERT INTO "alembic_version" VALUES('0001');
CREATE TABLE answers (
	request_id TEXT NOT NULL, 
	digest TEXT NOT NULL, 
	at DATETIME NOT NULL, 
	outcome TEXT NOT NULL, 
	CONSTRAINT pk_answers PRIMARY KEY (request_id, digest)
);
INSERT INTO "answers" VALUES('1','1','2026-01-31 12:00:00.000000','1');
CREATE TABLE audit (
	id INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	actor_id TEXT NOT NULL, 
	actor_name TEXT NOT NULL, 
	place TEXT NOT NULL, 
	command TEXT NOT NULL, 
	arguments TEXT NOT NULL, 
	outcome TEXT NOT NULL, 
	CONSTRAINT pk_audit PRIMARY KEY (id)
);
INSERT INTO "audit" VALUES(1,'2026-01-31 12:00:00.000000','1','1','1','1','1','1');
CREATE TABLE branches (
	name TEXT NOT NULL, 
	night DATE NOT NULL, 
	base TEXT NOT NULL, 
	head TEXT NOT NULL, 
	pushed TEXT, 
	owed_since DATETIME, 
	owed_reason TEXT, 
	ended BOOLEAN NOT NULL, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_branches PRIMARY KEY (name)
);
INSERT INTO "branches" VALUES('1','2026-01-31','1','1','1','2026-01-31 12:00:00.000000','1',1,'2026-01-31 12:00:00.000000');
CREATE TABLE builds (
	build TEXT NOT NULL, 
	"commit" TEXT, 
	tree TEXT, 
	state TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	seconds FLOAT, 
	log TEXT, 
	reason TEXT, 
	diagnostics JSON NOT NULL, 
	healthy_at DATETIME, 
	bad BOOLEAN NOT NULL, 
	CONSTRAINT pk_builds PRIMARY KEY (build), 
	CONSTRAINT ck_builds_state CHECK (state IN ('building', 'built', 'failed'))
);
INSERT INTO "builds" VALUES('1','1','1','building','2026-01-31 12:00:00.000000',1.5,'1','1','{}','2026-01-31 12:00:00.000000',1);
CREATE TABLE cards (
	id INTEGER NOT NULL, 
	"key" TEXT NOT NULL, 
	night DATE NOT NULL, 
	title TEXT NOT NULL, 
	run VARCHAR(32), 
	wanted INTEGER NOT NULL, 
	delivered INTEGER NOT NULL, 
	message TEXT, 
	thread TEXT, 
	previous_message TEXT, 
	touched_at DATETIME NOT NULL, 
	CONSTRAINT pk_cards PRIMARY KEY (id), 
	CONSTRAINT uq_cards_key_night UNIQUE ("key", night)
);
INSERT INTO "cards" VALUES(1,'1','2026-01-31','1','1',1,1,'1','1','1','2026-01-31 12:00:00.000000');
CREATE TABLE children (
	pid INTEGER NOT NULL, 
	create_time FLOAT NOT NULL, 
	what TEXT NOT NULL, 
	started_at DATETIME NOT NULL, 
	CONSTRAINT pk_children PRIMARY KEY (pid, create_time)
);
INSERT INTO "children" VALUES(1,1.5,'1','2026-01-31 12:00:00.000000');
CREATE TABLE crashes (
	id INTEGER NOT NULL, 
	keeper TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	night DATE NOT NULL, 
	exit JSON NOT NULL, 
	report JSON, 
	family TEXT, 
	exact TEXT, 
	version INTEGER, 
	judged TEXT, 
	card INTEGER, 
	run TEXT, 
	back_after FLOAT, 
	CONSTRAINT pk_crashes PRIMARY KEY (id), 
	CONSTRAINT fk_crashes_card_cards FOREIGN KEY(card) REFERENCES cards (id), 
	CONSTRAINT uq_crashes_keeper_number UNIQUE (keeper, number)
);
INSERT INTO "crashes" VALUES(1,'1',1,'2026-01-31 12:00:00.000000','2026-01-31','{}','{}','1','1',1,'1',1,'1',1.5);
CREATE TABLE deployments (
	id VARCHAR(32) NOT NULL, 
	build TEXT NOT NULL, 
	previous TEXT, 
	state TEXT NOT NULL, 
	lane INTEGER NOT NULL, 
	"by" TEXT, 
	rollback_of TEXT, 
	created_at DATETIME NOT NULL, 
	stop_at DATETIME, 
	wished_at DATETIME, 
	ready_at DATETIME, 
	over_at DATETIME, 
	down_seconds FLOAT, 
	verdict TEXT, 
	reason TEXT, 
	CONSTRAINT pk_deployments PRIMARY KEY (id), 
	CONSTRAINT ck_deployments_state CHECK (state IN ('standby', 'announcing', 'stopping', 'verifying', 'rolling back', 'over')), 
	CONSTRAINT ck_deployments_verdict CHECK (verdict IN ('healthy', 'unhealthy', 'not cured', 'inconclusive'))
);
INSERT INTO "deployments" VALUES('1','1','1','standby',1,'1','1','2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000',1.5,'healthy','1');
CREATE TABLE events (
	id INTEGER NOT NULL, 
	keeper TEXT NOT NULL, 
	number INTEGER NOT NULL, 
	at DATETIME NOT NULL, 
	kind TEXT NOT NULL, 
	data JSON NOT NULL, 
	CONSTRAINT pk_events PRIMARY KEY (id), 
	CONSTRAINT uq_events_keeper_number UNIQUE (keeper, number)
);
INSERT INTO "events" VALUES(1,'1',1,'2026-01-31 12:00:00.000000','1','{}');
CREATE TABLE facts (
	name TEXT NOT NULL, 
	value JSON NOT NULL, 
	CONSTRAINT pk_facts PRIMARY KEY (name)
);
INSERT INTO "facts" VALUES('1','{}');
CREATE TABLE orders (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	"by" TEXT NOT NULL, 
	reason TEXT NOT NULL, 
	due DATETIME NOT NULL, 
	state TEXT NOT NULL, 
	told_at DATETIME, 
	created_at DATETIME NOT NULL, 
	CONSTRAINT pk_orders PRIMARY KEY (id), 
	CONSTRAINT ck_orders_state CHECK (state IN ('waiting', 'done', 'cancelled', 'lapsed', 'failed'))
);
INSERT INTO "orders" VALUES(1,'1','1','1','2026-01-31 12:00:00.000000','waiting','2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000');
CREATE TABLE posts (
	id INTEGER NOT NULL, 
	kind TEXT NOT NULL, 
	card INTEGER, 
	data JSON NOT NULL, 
	created_at DATETIME NOT NULL, 
	attempts INTEGER NOT NULL, 
	not_before DATETIME, 
	why TEXT, 
	message TEXT, 
	delivered_at DATETIME, 
	CONSTRAINT pk_posts PRIMARY KEY (id), 
	CONSTRAINT ck_posts_kind CHECK (kind IN ('analysis', 'patch', 'backtrace', 'build_failed', 'built', 'refused', 'deployed', 'verdict', 'server', 'pipeline', 'rejected_response', 'order', 'summary')), 
	CONSTRAINT fk_posts_card_cards FOREIGN KEY(card) REFERENCES cards (id)
);
INSERT INTO "posts" VALUES(1,'analysis',1,'{}','2026-01-31 12:00:00.000000',1,'2026-01-31 12:00:00.000000','1','1','2026-01-31 12:00:00.000000');
CREATE TABLE run_events (
	id INTEGER NOT NULL, 
	run VARCHAR(32) NOT NULL, 
	at DATETIME NOT NULL, 
	"before" TEXT, 
	"after" TEXT NOT NULL, 
	note TEXT NOT NULL, 
	CONSTRAINT pk_run_events PRIMARY KEY (id), 
	CONSTRAINT fk_run_events_run_runs FOREIGN KEY(run) REFERENCES runs (id)
);
INSERT INTO "run_events" VALUES(1,'1','2026-01-31 12:00:00.000000','1','1','1');
CREATE TABLE runs (
	id VARCHAR(32) NOT NULL, 
	kind TEXT NOT NULL, 
	state TEXT NOT NULL, 
	lane INTEGER NOT NULL, 
	card INTEGER NOT NULL, 
	night DATE NOT NULL, 
	family TEXT, 
	exact TEXT, 
	version INTEGER, 
	subject TEXT NOT NULL, 
	request_id TEXT, 
	asked INTEGER NOT NULL, 
	commanded INTEGER NOT NULL, 
	attempts INTEGER NOT NULL, 
	returns INTEGER NOT NULL, 
	analysis JSON, 
	patch JSON, 
	changes JSON NOT NULL, 
	prose TEXT, 
	previous JSON, 
	question TEXT, 
	answered JSON NOT NULL, 
	branch TEXT, 
	base TEXT, 
	"commit" TEXT, 
	pushed BOOLEAN NOT NULL, 
	deployment VARCHAR(32), 
	reason TEXT, 
	asked_by TEXT, 
	reverts TEXT, 
	fix_state TEXT, 
	verdict TEXT, 
	not_before DATETIME, 
	retry_of TEXT, 
	done INTEGER, 
	total INTEGER, 
	eta FLOAT, 
	created_at DATETIME NOT NULL, 
	updated_at DATETIME NOT NULL, 
	CONSTRAINT pk_runs PRIMARY KEY (id), 
	CONSTRAINT ck_runs_fix_state CHECK (fix_state IN ('watching', 'verified', 'recurred', 'reverted')), 
	CONSTRAINT ck_runs_kind CHECK (kind IN ('fix', 'revert', 'update')), 
	CONSTRAINT ck_runs_question CHECK (question IN ('patch', 'deploy', 'base')), 
	CONSTRAINT ck_runs_state CHECK (state IN ('ANALYZING', 'PROPOSED', 'READY', 'AWAITING_APPROVAL', 'PATCHING', 'BUILDING', 'PUBLISHING', 'AWAITING_DEPLOYMENT', 'DEPLOYING', 'VERIFYING', 'ROLLING_BACK', 'SUCCEEDED', 'ROLLED_BACK', 'FAILED', 'CANCELLED')), 
	CONSTRAINT ck_runs_verdict CHECK (verdict IN ('healthy', 'unhealthy', 'not cured', 'inconclusive')), 
	CONSTRAINT fk_runs_card_cards FOREIGN KEY(card) REFERENCES cards (id), 
	CONSTRAINT fk_runs_deployment_deployments FOREIGN KEY(deployment) REFERENCES deployments (id)
);
INSERT INTO "runs" VALUES('1','fix','ANALYZING',1,1,'2026-01-31','1','1',1,'1','1',1,1,1,1,'{}','{}','{}','1','{}','patch','{}','1','1','1',1,'1','1','1','1','watching','healthy','2026-01-31 12:00:00.000000','1',1,1,1.5,'2026-01-31 12:00:00.000000','2026-01-31 12:00:00.000000');
CREATE UNIQUE INDEX one_deployment_at_a_time ON deployments (lane) WHERE state IN ('announcing', 'stopping', 'verifying', 'rolling back');
CREATE INDEX ix_crashes_exact ON crashes (exact);
CREATE INDEX ix_crashes_judged ON crashes (judged);
CREATE INDEX ix_posts_message ON posts (message);
CREATE INDEX ix_runs_exact ON runs (exact);
CREATE INDEX ix_runs_request_id ON runs (request_id);
CREATE INDEX ix_runs_state ON runs (state);
CREATE UNIQUE INDEX one_change_at_a_time ON runs (lane) WHERE state IN ('PATCHING', 'BUILDING', 'PUBLISHING');
CREATE INDEX ix_run_events_run ON run_events (run);
COMMIT;
