"""What the keeper does next: one pure function of what is wished and what is (level-triggered).

`decide` is called again after each action and at each wake-up, until it answers `Watch` or `Rest`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import Enum

from pipeline.keeper.boot import is_same_boot
from pipeline.keeper.memory import Held, Life, Refused, StopWhy
from pipeline.keeper.protocol import Desired, Hold, Manifest, Want

LOOK_AROUND = 10.0  # seconds between two looks, while held, at who else runs this server


class Staged(Enum):
    """How far the files of a build are."""

    PENDING = "pending"  # being copied or compared
    READY = "ready"  # beside SERVER_DIR's files, verified: placing them costs renames
    IN_PLACE = "in_place"  # SERVER_DIR's files are this build's already
    FAILED = "failed"  # told; not tried again before the wish changes


@dataclass(frozen=True)
class Situation:
    """All that a decision needs."""

    now: float  # seconds since the epoch
    boot: str
    wish: Desired | None = None
    leaving: str | None = None  # the keeper was asked to end: by which signal
    life: Life | None = None
    placed: str | None = None  # build that the files in SERVER_DIR are; None = not known
    held: Held | None = None
    next_start: float | None = None  # seconds since the epoch
    looked_at: float = 0.0  # when a living server was last looked for, seconds since the epoch
    refused: tuple[Refused, ...] = ()
    staged: Mapping[str, Staged] = field(default_factory=dict)  # by build


@dataclass(frozen=True)
class Leave:
    """The keeper's own end."""


@dataclass(frozen=True)
class Rest:
    """Nothing runs and nothing is to be done."""

    until: float | None = None  # seconds since the epoch


@dataclass(frozen=True)
class Watch:
    """The server runs as wished, or is being stopped."""


@dataclass(frozen=True)
class Prepare:
    """Nothing may be started before this build is staged."""


@dataclass(frozen=True)
class Stop:
    why: StopWhy
    text: str


@dataclass(frozen=True)
class Stage:
    manifest: Manifest


@dataclass(frozen=True)
class Relabel:
    """The living server turns out to be this build: its files are exactly those it was started from."""

    manifest: Manifest
    deployment: str | None


@dataclass(frozen=True)
class Release:
    why: str


@dataclass(frozen=True)
class HoldDown:
    why: Hold
    detail: str


@dataclass(frozen=True)
class LookAround:
    """While held: has somebody started the server by hand, is the other supervisor gone?"""


@dataclass(frozen=True)
class Swap:
    manifest: Manifest
    deployment: str | None


@dataclass(frozen=True)
class Start:
    """Start what lies in SERVER_DIR."""


Action = Leave | Rest | Watch | Prepare | Stop | Stage | Relabel | Release | HoldDown | LookAround | Swap | Start


@dataclass(frozen=True)
class Candidate:
    """A build that the wish allows to run, with what puts it there."""

    manifest: Manifest | None  # None = whatever lies in SERVER_DIR
    deployment: str | None

    @property
    def build(self) -> str:
        return self.manifest.build if self.manifest else ""


def digest_spec(wish: Desired) -> str:
    """What makes a restart necessary when it changes, beside the build. Ready rule and limits do not."""
    parts = [wish.server_dir, list(wish.command), sorted(wish.environment.items())]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


def find_trial(wish: Desired, build: str | None) -> str | None:
    """The deployment on probation that this build belongs to. It may judge no other build than its own."""
    if wish.build and wish.probation and wish.build.build == build:
        return wish.probation
    if wish.next_build and wish.next_deployment and wish.next_build.build == build:
        return wish.next_deployment
    return None


def find_fallback(wish: Desired, build: str | None, staged: Mapping[str, Staged]) -> Manifest | None:
    """The last healthy build, if it is another one than this and can be had."""
    if wish.fallback is None or wish.fallback.build == build:
        return None
    return None if staged.get(wish.fallback.build) is Staged.FAILED else wish.fallback


def decide(s: Situation) -> Action:
    """The next thing to do."""
    if s.leaving:
        return _leave(s, s.leaving)
    if s.life and s.life.stopping:
        return Watch()
    if s.wish is None:
        return Watch() if s.life else Rest()
    if s.life:
        return _tend(s, s.wish, s.life)
    return _raise(s, s.wish)


def _leave(s: Situation, signal: str) -> Action:
    if s.life is None:
        return Leave()
    return Watch() if s.life.stopping else Stop(StopWhy.LEAVING, f"keeper stopped by {signal}")


def _tend(s: Situation, wish: Desired, life: Life) -> Action:
    """A living server: does it fit the wish?"""
    if wish.want is Want.STOPPED:
        return Stop(StopWhy.WISH, _say_who(wish, "stop"))
    if not _runs_what_is_wished(s, wish, life):
        return _replace(s, wish, life)
    if text := find_restart(wish, life):
        return Stop(StopWhy.WISH, text)
    return next((Stage(each) for each in _list_to_stage(s, wish, life.build) if each.build not in s.staged), Watch())


def _replace(s: Situation, wish: Desired, life: Life) -> Action:
    """Staged first, so that the server is down for the renames only."""
    target = _choose(s, wish)
    if target.manifest is None:
        return Watch()
    match s.staged.get(target.build):
        case None:
            return Stage(target.manifest)
        case Staged.PENDING | Staged.FAILED:
            return Watch()
        case Staged.IN_PLACE if life.build is None:
            return Relabel(target.manifest, target.deployment)
        case Staged.IN_PLACE | Staged.READY:
            return Stop(StopWhy.WISH, _say_who(wish, f"build {target.build}"))


def find_restart(wish: Desired, life: Life) -> str | None:
    """Why the living server does not satisfy the wish, its build apart."""
    if wish.restart > life.restart:
        return _say_who(wish, "restart")
    if life.spec is not None and life.spec != digest_spec(wish):
        return _say_who(wish, "command or environment changed")
    return None


def is_overtaken(wish: Desired, life: Life, refused: tuple[Refused, ...]) -> bool:
    """The wish no longer fits this life, so that its orderly end is not judged."""
    if wish.want is Want.STOPPED or find_restart(wish, life):
        return True
    return not _runs_what_is_wished(Situation(0.0, "", refused=refused), wish, life)


def asks_for_start(wish: Desired, old: Desired | None) -> bool:
    """Whether a new wish ends a back-off: it changes what would be started, or somebody asks for it."""
    if old is None or wish.lift_hold or wish.restart > old.restart or wish.want is not old.want:
        return True
    return digest_spec(wish) != digest_spec(old) or _list_builds(wish) != _list_builds(old)


def _list_builds(wish: Desired) -> list[str | None]:
    return [each.build if each else None for each in (wish.build, wish.next_build)]


def keep_refused(wish: Desired, refused: tuple[Refused, ...]) -> tuple[Refused, ...]:
    """What stays refused under a new wish: what it still names for the same deployment. A person may lift the rest."""
    named = {Refused(wish.build.build if wish.build else "", wish.probation)}
    if wish.next_build:
        named.add(Refused(wish.next_build.build, wish.next_deployment))
    return tuple(each for each in refused if each in named and (each.deployment or not wish.lift_hold))


def is_reached(wish: Desired, life: Life | None, refused: tuple[Refused, ...]) -> bool:
    """The world is as this wish has it."""
    if wish.want is Want.STOPPED:
        return life is None
    return life is not None and life.ready_at is not None and not is_overtaken(wish, life, refused)


def _runs_what_is_wished(s: Situation, wish: Desired, life: Life) -> bool:
    accepted = {_choose(s, wish).build}
    if wish.next_build and not _is_refused(s, wish.next_build, wish.next_deployment):
        accepted.add(wish.next_build.build)
    return "" in accepted or (life.build or "") in accepted


def _choose(s: Situation, wish: Desired) -> Candidate:
    """The build to run, `next_build` apart, which is one only for a start."""
    if not _is_refused(s, wish.build, wish.probation):
        return Candidate(wish.build, wish.probation)
    return Candidate(wish.fallback, None)


def _is_refused(s: Situation, manifest: Manifest | None, deployment: str | None) -> bool:
    return Refused(manifest.build if manifest else "", deployment) in s.refused


def _list_to_stage(s: Situation, wish: Desired, running: str | None) -> Iterator[Manifest]:
    """What a next start may need, so that it costs renames only."""
    if (
        wish.next_build
        and wish.next_build.build != running
        and not _is_refused(s, wish.next_build, wish.next_deployment)
    ):
        yield wish.next_build
    if wish.fallback and wish.fallback.build != running and find_trial(wish, running):
        yield wish.fallback


def _raise(s: Situation, wish: Desired) -> Action:
    """No server lives."""
    if s.held and (why := _find_release(s, wish, s.held)):
        return Release(why)
    if wish.want is Want.STOPPED:
        return HoldDown(Hold.STOPPED, _say_who(wish, "stop")) if wish.operator_stop and not s.held else Rest()
    if s.held:
        return _wait_held(s)
    if s.next_start is not None and s.now < s.next_start:
        return _get_ready_meanwhile(s, wish) or Rest(s.next_start)
    return _place_and_start(s, wish)


def _find_release(s: Situation, wish: Desired, held: Held) -> str | None:
    if held.why is Hold.EXIT_ZERO and not is_same_boot(held.boot, s.boot):
        return "the machine was restarted"
    if held.why is Hold.FOREIGN:
        return None  # ends when the other supervisor is gone, not by a wish
    if wish.want is Want.UP and wish.lift_hold and wish.generation > held.generation:
        return _say_who(wish, "start")
    return None


def _wait_held(s: Situation) -> Action:
    due = s.looked_at + LOOK_AROUND
    return LookAround() if s.now >= due else Rest(due)


def _get_ready_meanwhile(s: Situation, wish: Desired) -> Action | None:
    for manifest in (_choose(s, wish).manifest, wish.next_build):
        if manifest and manifest.build != s.placed and manifest.build not in s.staged:
            return Stage(manifest)
    return None


def _place_and_start(s: Situation, wish: Desired) -> Action:
    if wish.next_build and not _is_refused(s, wish.next_build, wish.next_deployment):
        if wish.next_build.build == s.placed:
            return Start()
        # Not staged in time = not waited for: a restart after a crash is never delayed for it.
        if s.staged.get(wish.next_build.build) in (Staged.READY, Staged.IN_PLACE):
            return Swap(wish.next_build, wish.next_deployment)
    target = _choose(s, wish)
    if target.manifest is None or target.build == s.placed:
        return Start()
    return _place(s, target.manifest, target.deployment)


def _place(s: Situation, manifest: Manifest, deployment: str | None) -> Action:
    match s.staged.get(manifest.build):
        case None:
            return Stage(manifest)
        case Staged.PENDING:
            return Prepare()
        case Staged.FAILED:
            return Start()  # told already; what lies there is better than nothing
        case Staged.READY | Staged.IN_PLACE:
            return Swap(manifest, deployment)


def _say_who(wish: Desired, what: str) -> str:
    return f"{what} wished by {wish.by}: {wish.reason}"
