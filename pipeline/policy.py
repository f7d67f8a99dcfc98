"""May this patch, this run, this restart proceed? Pure: everything arrives as an argument, nothing is looked up.

The rules for paths alone are in `path_rules`. This module is what the git adapter is given as its `Review`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

from pipeline import path_rules
from pipeline.errors import Refused
from pipeline.model import FixState, Hindrance, Question, Realm, Run, RunKind, RunState, Verdict
from pipeline.moments import write_moment
from pipeline.path_rules import SUBMODULE, SYMLINK, show
from pipeline.ports import FileChange, PatchLimits
from pipeline.source_rules import ASSEMBLER, find_reach

_LARGEST = 4 << 20  # bytes of one file: nothing a person wrote is larger
_SHORTEST_SECRET = 6  # characters: a shorter one is found in any source
_CONTROLS = re.compile(rb"[\x00-\x08\x0e-\x1f\x7f]")  # tab, line feed, vertical tab, form feed, return are text
_TURNS = re.compile("[\u202a-\u202e\u2066-\u2069]")  # bidirectional controls
_NOON = time(12)
MOST_RETURNS = 2  # times a run goes back to the analyst
NOW = "now"  # in `answered`: an operator said Deploy now


# --- patches ---------------------------------------------------------------------------------------------------------


def check_paths(paths: Iterable[str], tree: Mapping[str, str], limits: PatchLimits) -> None:
    """Whether a patch may name these paths in a tree (path -> git's mode). Raises Refused, before anything is read."""
    wanted = list(dict.fromkeys(paths))
    for path in wanted:
        path_rules.check_path(path)
        path_rules.check_purpose(path, limits.allowed, limits.denied)
    path_rules.check_place(wanted, tree)
    _check_collisions([path for path in wanted if path not in tree])
    if len(wanted) > limits.max_files:
        raise Refused(f"it touches {len(wanted)} files: more than MAX_FILES ({limits.max_files})")


def check_changes(changes: Sequence[FileChange], limits: PatchLimits) -> None:
    """Whether what a patch makes of the files may be committed. Raises Refused."""
    if not changes:
        raise Refused("it changes nothing: there is no difference to what the branch has")
    if len(changes) > limits.max_files:
        raise Refused(f"it touches {len(changes)} files: more than MAX_FILES ({limits.max_files})")
    for change in changes:
        _check_mode(change)
        _check_content(change)
        _check_secrets(change, limits.secrets)
        _check_canary(change, limits.canary)
        _check_reach(change)
    lines = sum(change.added + change.removed for change in changes)
    if lines > limits.max_lines:
        raise Refused(f"it changes {lines} lines: more than MAX_CHANGED_LINES ({limits.max_lines})")


def check_size(path: str, size: int) -> None:
    """Whether a file of that many bytes may be written at all. Raises Refused."""
    if size > _LARGEST:
        raise Refused(f"{show(path)} would have {size >> 20} MiB: more than a source file has")


def _check_collisions(paths: Sequence[str]) -> None:
    """Two new names of one patch that some file systems take for one."""
    seen: dict[str, str] = {}
    for path in paths:
        if seen.setdefault(path_rules.fold(path), path) != path:
            raise Refused(f"{show(path)} differs only in upper and lower case from another file of the same patch")


def _check_mode(change: FileChange) -> None:
    if SYMLINK in (change.old_mode, change.new_mode):
        raise Refused(f"{show(change.path)} is or becomes a symbolic link")
    if SUBMODULE in (change.old_mode, change.new_mode):
        raise Refused(f"{show(change.path)} is or becomes a submodule")
    if change.old_mode is None and change.new_mode != "100644":
        raise Refused(f"{show(change.path)} would be a new executable file")
    if change.old_mode and change.new_mode and change.old_mode != change.new_mode:
        raise Refused(f"{show(change.path)} would change its file mode from {change.old_mode} to {change.new_mode}")


def _check_content(change: FileChange) -> None:
    if change.new is None:
        return
    check_size(change.path, len(change.new))
    old = change.old or b""
    if change.old is not None and b"\0" in old:
        raise Refused(f"{show(change.path)} is a binary file")
    if (found := _CONTROLS.search(change.new)) and not _CONTROLS.search(old):
        raise Refused(f"{show(change.path)} would hold binary content (byte {found[0][0]:#04x})")
    if not is_utf8(change.new) and is_utf8(old):
        raise Refused(f"{show(change.path)} would no longer be valid UTF-8")
    if _turns(change.new) and not _turns(old):
        raise Refused(f"{show(change.path)} would hold characters that turn the direction of text and hide code")


def _check_secrets(change: FileChange, secrets: Sequence[str]) -> None:
    """An analyst may have read the value somewhere; the fix is pushed."""
    new, old = change.new or b"", change.old or b""
    if any(_count(secret, new) > _count(secret, old) for secret in secrets if len(secret) >= _SHORTEST_SECRET):
        raise Refused(f"{show(change.path)} would hold the value of a secret setting")


def _check_canary(change: FileChange, canary: str | None) -> None:
    """What players wrote into a log may be an order to the analyst: whoever copies it has taken data for its task."""
    if canary is not None and canary.encode() in (change.new or b"") + change.path.encode(errors="replace"):
        raise Refused(f"{show(change.path)} would hold text of the crash itself (the canary of its request)")


def _check_reach(change: FileChange) -> None:
    reach = find_reach(change.new or b"", change.old or b"")
    if reach == ASSEMBLER:
        raise Refused(f"{show(change.path)} would hold {reach}, which can read any file while it is compiled")
    if reach is not None:
        raise Refused(
            f"{show(change.path)} would make the compiler read {show(reach)}: a fix may include what the source has, "
            "by a name without `..` and without a macro"
        )


def _count(secret: str, content: bytes) -> int:
    """As a word of its own: a password may be part of an ordinary name."""
    return len(re.findall(rb"(?<!\w)" + re.escape(secret.encode(errors="replace")) + rb"(?!\w)", content))


def is_utf8(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _turns(content: bytes) -> bool:
    return _TURNS.search(content.decode(errors="replace")) is not None


# --- nights and branches ---------------------------------------------------------------------------------------------


def is_ordered(run: Run) -> bool:
    """A change that a person ordered. `/retry` orders a question: nobody has seen the patch that answers it."""
    return (run.asked_by is not None and run.kind is not RunKind.FIX) or NOW in run.answered


def passes_pause(run: Run) -> bool:
    """What a person ordered, and the pipeline's own revert after a rollback."""
    return is_ordered(run) or run.kind is RunKind.REVERT


def is_hindered(run: Run) -> bool:
    """Built, and not wanted live as it is: neither an hour nor an order to go changes that."""
    return run.hindrance is not None


def is_stuck(run: Run) -> bool:
    """Hindered by what does not pass by itself, and that nobody is asked about elsewhere."""
    return run.hindrance in (Hindrance.BASE, Hindrance.REFUSED, Hindrance.NO_FALLBACK)


KEPT_OUT = 6  # tries to put a build in place, half an hour of them, after which a person is told


def is_kept_out(run: Run) -> bool:
    """Its build could not be put in place again and again: the machine's fault, which seldom mends itself."""
    put_off = run.state is RunState.AWAITING_DEPLOYMENT and run.not_before is not None
    return put_off and run.attempts >= KEPT_OUT


# --- what a build or a merge would bring that nobody wants -----------------------------------------------------------

REJECTED, REVERTED, CALLED_OFF = "rejected by", "reverted by", "cancelled by"  # how a person's no begins, as a reason
NOES = (REJECTED, REVERTED, CALLED_OFF)
TAKEN_BACK = (RunState.CANCELLED, RunState.ROLLED_BACK, RunState.FAILED)


def is_refused(run: Run, *, takes_out: bool) -> bool:
    """A fix that was live and did not help is over as well, and does no harm; nor does a revert that `takes_out`
    nothing that anybody wants: one of a fix that was rolled back stays, whatever became of the build it was in."""
    harms = takes_out or not run.undoes
    return run.state in TAKEN_BACK and run.verdict is not Verdict.NOT_CURED and harms


def asks_to_go(run: Run) -> bool:
    return run.state is RunState.AWAITING_APPROVAL and run.question is Question.DEPLOY and run.commit is not None


def find_revert(commit: str, reverts: Sequence[Run]) -> Run | None:
    """Of all reverts, the one of this commit that is under way or was made, and was not undone in turn."""
    undoing = [each for each in reverts if commit in each.undoes and each.state not in TAKEN_BACK]
    return next((each for each in undoing if each.commit is None or find_revert(each.commit, reverts) is None), None)


def is_of_update(run: Run, find: Callable[[str], Run | None]) -> bool:
    """Whether it is a move of the base, or undoes one; `find` = the run of a commit."""
    undone = [each for each in map(find, run.undoes) if each is not None]
    return run.kind is RunKind.UPDATE or any(is_of_update(each, find) for each in undone)


def is_put_back(run: Run, reverts: Sequence[Run], stands: Callable[[Run], bool]) -> bool:
    """Whether the last word on it is a person's order to revert its revert, and that `stands` where one looks."""
    against = [each for each in reverts if run.commit in each.undoes]
    gone = {each.commit for each in against}
    words = [each for each in reverts if each.asked_by is not None and not gone.isdisjoint(each.undoes)]
    last = max((each.created_at for each in against), default=None)
    return last is not None and any(last < each.created_at and stands(each) for each in words)


# --- what waits for whom ---------------------------------------------------------------------------------------------


def waits_for_resume(run: Run, *, asked: bool) -> bool:
    """Whether a pause holds it where it is; `asked` = its request is with the analyst."""
    match run.state:
        case RunState.ANALYZING:
            return not asked and run.asked_by is None
        case RunState.READY:
            return not passes_pause(run)
        case RunState.AWAITING_DEPLOYMENT:
            return not is_ordered(run)
        case _:
            return False


def leave_out_undone(runs: Sequence[Run]) -> list[Run]:
    """Without reverts that were undone themselves, by people or by a rollback, and without what undid them: the fix
    stands as before."""
    over_with = (RunState.SUCCEEDED, RunState.ROLLED_BACK)
    reverts = [run for run in runs if run.kind is RunKind.REVERT and run.state in over_with]
    gone = [run for run in reverts if run.fix_state is FixState.REVERTED or run.state is RunState.ROLLED_BACK]
    undone = {run.commit for run in gone}
    over = [run for run in reverts if not undone.isdisjoint((run.commit, *run.undoes))]
    return [run for run in runs if run not in over]


def night_of(now: datetime, zone: tzinfo | None) -> date:
    """The night an instant belongs to: noon to noon, local time, named by its evening."""
    local = now.astimezone(zone)
    return local.date() if local.time() >= _NOON else local.date() - timedelta(days=1)


def is_night(night: date) -> bool:
    """Whether anybody may have played it: what lies beyond, no clock or chart can tell."""
    return 2000 <= night.year <= 2200


def night_begins(night: date, zone: tzinfo | None) -> datetime:
    """The noon a night begins at, in UTC; the next night's is its end."""
    return _at(night, _NOON, zone)


def summary_due(now: datetime, clock: time, zone: tzinfo | None) -> date:
    """The newest night whose summary is due: at SUMMARY_TIME (`clock`) of the day after its evening."""
    today = now.astimezone(zone).date()
    nights = (today - timedelta(days=back) for back in range(1, 4))
    return next(night for night in nights if summary_time(night, clock, zone) <= now)


def summary_time(night: date, clock: time, zone: tzinfo | None) -> datetime:
    """When the summary of a night is due, in UTC."""
    return _at(night + timedelta(days=1), clock, zone)


def branch_name(night: date, number: int = 1) -> str:
    """`overnight-20260131`, the second of that night `overnight-20260131-2`."""
    return f"overnight-{night:%Y%m%d}" + (f"-{number}" if number > 1 else "")


# --- restarts --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Go:
    """Nothing speaks against a restart now."""


@dataclass(frozen=True)
class Wait:
    """A restart has to wait; `until` is when this reason ends by the clock alone, UTC."""

    reason: str
    until: datetime


def may_deploy_now(now: datetime, players: int | None, realm: Realm, since: datetime | None = None) -> Go | Wait:
    """Whether a deployment may restart the server now.

    Never in NO_RESTART_HOURS. With more than MAX_PLAYERS_FOR_RESTART online (or where they cannot be counted) it waits
    until DEPLOY_AT_LATEST has passed since it began to wait (`since`; None = since the night began).
    """
    if (end := _quiet_until(now, realm)) is not None:
        return Wait(f"no restart in these hours, which end {write_moment(end)} (NO_RESTART_HOURS)", end)
    limit = realm.max_players_for_restart
    if limit is None or (players is not None and players <= limit):
        return Go()
    began = since or night_begins(night_of(now, realm.timezone), realm.timezone)
    latest = next_time(began, realm.deploy_at_latest, realm.timezone)
    if now >= latest:
        return Go()
    online = "the players cannot be counted" if players is None else f"{_say(players)} online, more than {limit}"
    return Wait(f"{online}: goes live {write_moment(latest)} at the latest (DEPLOY_AT_LATEST)", latest)


def _say(players: int) -> str:
    return "1 player" if players == 1 else f"{players} players"


def next_time(now: datetime, clock: time, zone: tzinfo | None) -> datetime:
    """The next instant, strictly after now, at which local clocks show that time; in UTC. Where clocks skip it, the
    instant they would show it at had they not been put forward."""
    today = now.astimezone(zone).date()
    days = (today + timedelta(days=ahead) for ahead in range(-1, 3))
    return next(at for day in days for at in _instants(day, clock, zone) if at > now)


def _quiet_until(now: datetime, realm: Realm) -> datetime | None:
    """The end of the quiet hours that `now` lies in; hours that touch each other are one."""
    end = now
    for _ in realm.no_restart_hours:
        ends = [
            next_time(end, until, realm.timezone)
            for start, until in realm.no_restart_hours
            if _within(end.astimezone(realm.timezone).time(), start, until)
        ]
        if not ends:
            break
        end = max(ends)
    return end if end > now else None


def _within(clock: time, start: time, end: time) -> bool:
    """Whether a clock time lies in [start, end), which may reach over midnight."""
    return start <= clock < end if start <= end else clock >= start or clock < end


def _instants(day: date, clock: time, zone: tzinfo | None) -> tuple[datetime, ...]:
    """Two in the hour that is repeated when clocks are put back, else one."""
    first, second = (_at(day, clock.replace(fold=fold), zone) for fold in (0, 1))
    return (first, second) if first < second else (first,)


def _at(day: date, clock: time, zone: tzinfo | None) -> datetime:
    """The instant of a local date and time, in UTC; zone None = the machine's own."""
    local = datetime.combine(day, clock)
    return (local.astimezone() if zone is None else local.replace(tzinfo=zone)).astimezone(UTC)
