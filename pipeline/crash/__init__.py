"""Crash reports in, one `CrashReport` with a signature out. Nothing here starts a process or raises on content.

read.py           any file, or all that one exit left  -> a report
  wheaty.py       TrinityCore's Windows report           asan.py       sanitizers
  gdb_text.py     sessions and crashreport.gdb           gdb_json.py   cores, through our script in gdb
  stderr_text.py  assertions, aborts, terminate, glibc   minidump.py   the header of a .dmp
  environment.py  not a bug: the world around the server, with the cure
reading.py        what every reader gives                conclude.py   what is made of it
signatures.py     the key; names.py and mangling.py spell, rules.py and data/ say which frames count
classes.py        the words for kinds of crashes
context.py        logs before the crash, the first analysis; known.py crashes that are known elsewhere
similar.py        which crashes are alike
request.py        what an analyst is asked               as_json.py    `inspect --json`, and the store's form
"""
