"""Not a bug: faults of the world around the server, told by what it wrote last, each with its cure.

Nobody is asked to analyse these. A line alone is not enough: a realm may fail to bind its RA port and crash for another
reason hours later, so most lines count only where the server ended by itself (exit code 1) or died before it was ready.
Sources: TrinityCore's and AzerothCore's Main.cpp, DatabaseLoader.cpp, DBUpdater.cpp, MapManager.cpp, AsyncAcceptor.h.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.crash.reading import Cause

_READY = re.compile(r"\(worldserver-daemon\) ready", re.IGNORECASE)
_TAIL = 200  # last lines that are looked at


@dataclass(frozen=True)
class Rule:
    """`always` = the text explains an end whatever else happened; otherwise only one before ready or with code 1."""

    what: str
    pattern: re.Pattern[str]
    cure: str
    always: bool = False


def _rule(what: str, pattern: str, cure: str, always: bool = False) -> Rule:
    return Rule(what, re.compile(pattern, re.IGNORECASE), cure, always)


# The first that matches decides: the more particular stands first.
RULES: tuple[Rule, ...] = (
    _rule(
        "disk full",
        r"No space left on device|There is not enough space on the disk|Disk full|errno: 28\b|Got error 28",
        "The disk is full: make room where the server writes its logs and where MySQL keeps its data.",
        always=True,
    ),
    _rule(
        "out of memory",
        r"std::bad_alloc|Out of memory|Cannot allocate memory|oom-kill|Killed process \d+"
        r"|AddressSanitizer failed to allocate",
        "The machine ran out of memory: give it more, add swap, or run fewer bots.",
        always=True,
    ),
    _rule(
        "SQL update failed",
        r"(?:Applying of file|Update) [^\n]{0,300}failed|Could not (?:update|populate) the \S+ database"
        r"|ERROR \d{4} \(\w{5}\) at line"
        r"|Your database structure is not up to date|Unknown (?:table|column) '|doesn't exist\b.{0,40}\[?1146",
        "A database update failed: look at the SQL error in the log, mend the table or restore the database.",
    ),
    _rule(
        "database gone",
        r"Could not connect to MySQL|Can't connect to (?:local )?(?:MySQL|MariaDB|server)|DatabasePool \S+ NOT opened"
        r"|Cannot connect to (?:the )?\S* ?database|Lost connection to (?:MySQL|MariaDB) server"
        r"|MySQL server has gone away"
        r"|Access denied for user|Unknown database '|Too many connections|database connection (?:failed|refused|lost)",
        "The database does not answer or refuses the login: see that MySQL runs, and check the *DatabaseInfo lines of "
        "worldserver.conf.",
    ),
    _rule(
        "port in use",
        r"Address already in use|Only one usage of each socket address"
        r"|(?:Failed|couldn't|could not|unable) (?:to )?bind"
        r"|Failed to (?:initialize|start|open) (?:\S+ )?(?:network|acceptor)|bind\(\)? failed|acceptor open failed"
        r"|Couldn't bind to |Cannot assign requested address",
        "A port the server needs is held by another process, or the address is not this machine's: end the process, or "
        "change WorldServerPort, Ra.Port, SOAP.Port or the *.IP and BindIP lines.",
    ),
    _rule(
        "missing maps",
        r"(?:Map|VMap|MMap|DBC|DB2|GT|Camera) ?\S* ?files? [^\n]{0,200}"
        r"(?:not found|missing|does not exist|could not be (?:loaded|opened))"
        r"|Correct \*?\.?map files not found|Unable to load (?:critical )?(?:files|map and vmap data)"
        r"|(?:missing|incorrect) (?:\*\.)?(?:dbc|map|db2)"
        r"|Some required \S+\.(?:dbc|db2) files|VMAP file missing",
        "Map or client data is missing: extract dbc, maps, vmaps and mmaps, and check DataDir in worldserver.conf.",
    ),
    _rule(
        "bad configuration",
        r"Error in config file|Could not (?:find|load|open) (?:the )?(?:config|configuration)"
        r"|Invalid (?:or missing )?config"
        r"|configuration (?:file )?[^\n]{0,100}(?:not found|invalid|missing)|Missing property [^\n]{0,80}forcing",
        "The configuration cannot be read: check the .conf file named in the log, or the path given with -c.",
    ),
    _rule(
        "missing library",
        r"error while loading shared libraries|\.dll (?:was )?not found|image not found|cannot open shared object file"
        r"|version `\w+[\d.]*' not found|DLL_NOT_FOUND",
        "A library that the server needs is not there: install it, or put the DLL beside the executable.",
        always=True,
    ),
    _rule(
        "cannot write",
        r"Permission denied|Read-only file system|cannot create PID file",
        "The server may not write or read where it has to: check the rights of its folder, logs and PID file.",
    ),
)  # fmt: skip

_NETWORK_TEARDOWN = re.compile(r"StopNetwork must be called|~?SocketMgr|AsyncAcceptor|WorldSocketMgr")


def find_cause(lines: Sequence[str], *, ended_by_itself: bool, crash_text: str = "") -> Cause | None:
    """The fault that the last lines tell of. `ended_by_itself` = exit code 1; `crash_text` = what the crash itself
    says, which decides whether an early line has anything to do with it."""
    recent = [line[:2000] for line in lines[-_TAIL:]]
    before_ready = not any(_READY.search(line) for line in recent)
    starting = ended_by_itself or (before_ready and bool(_NETWORK_TEARDOWN.search(crash_text)))
    for rule in RULES:
        if (starting or rule.always) and (said := _find_line(rule, recent, crash_text)):
            return Cause(rule.what, f"{rule.cure} It said: {said}")
    return None


def _find_line(rule: Rule, lines: Sequence[str], crash_text: str) -> str | None:
    """The last line that matches. `always` rules look only close to the end, so that an old complaint is no cause."""
    for line in (crash_text, *reversed(lines[-12:] if rule.always else lines)):
        if found := rule.pattern.search(line):
            return _cut(line, found)
    return None


def _cut(line: str, found: re.Match[str]) -> str:
    begin = max(0, found.start() - 80)
    return " ".join(line[begin : found.end() + 120].split())


def cause_of_exit(status: int, lines: Sequence[str]) -> Cause:
    """Exit code 1 with no line that we know: the last error it wrote is all there is to say."""
    errors = [line for line in lines[-_TAIL:] if re.search(r"error|fail|fatal|cannot|could not", line, re.IGNORECASE)]
    last = next((line for line in reversed(errors or list(lines[-5:])) if line.strip()), "nothing")
    said = " ".join(last.split())[:300]
    return Cause(f"ended with {status}", f"The server gave up by itself (exit code {status}); its last word: {said}")


KILLED_FROM_OUTSIDE = Cause(
    "killed from outside",
    "Something outside killed the server (SIGKILL): most often the kernel for want of memory (see `dmesg`), else a "
    "person or a service manager.",
)
