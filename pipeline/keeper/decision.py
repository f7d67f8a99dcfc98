"""What the keeper does next: one pure function of what is wished and what is (level-triggered).

`decide` is called again after each action and at each wake-up, until it answers `Watch` or `Rest`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipeline.keeper.boot import is_same_boot
from pipeline.keeper.memory import Held, Life, Refused, StopWhy
from pipeline.keeper.protocol import Desired, Hold, Manifest, Want
from pipeline.keeper.satisfaction import (
    Staged,
    choose_build,
    find_next_build,
    find_restart,
    find_trial,
    lifts,
    runs_wished_build,
    say_who,
)

LOOK_AROUND = 10.0  # seconds between two looks, while held, at who else runs this server


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
        return Stop(StopWhy.WISH, say_who(wish, "stopped"))
    if not runs_wished_build(wish, life, s.refused) and (action := _replace(s, wish, life)):
        return action
    if text := find_restart(wish, life):
        return Stop(StopWhy.WISH, text)
    return _stage_ahead(s, wish, life.build) or Watch()


def _replace(s: Situation, wish: Desired, life: Life) -> Action | None:
    """Staged first, so that the server is down for the renames only. None = the build cannot be had."""
    target = choose_build(wish, s.refused)
    if target.manifest is None:
        return None
    match s.staged.get(target.build):
        case None:
            return Stage(target.manifest)
        case Staged.PENDING:
            return Watch()
        case Staged.FAILED:
            return None
        case Staged.IN_PLACE if life.build is None:
            return Relabel(target.manifest, target.deployment)
        case Staged.IN_PLACE | Staged.READY:
            return Stop(StopWhy.WISH, say_who(wish, f"build {target.build} put in place"))


def _stage_ahead(s: Situation, wish: Desired, running: str | None) -> Stage | None:
    """What a next start may need, so that it costs renames only."""
    ahead = [find_next_build(wish, s.refused), wish.fallback if find_trial(wish, running) else None]
    for manifest in ahead:
        if manifest and manifest.build != running and manifest.build not in s.staged:
            return Stage(manifest)
    return None


def _raise(s: Situation, wish: Desired) -> Action:
    """No server lives."""
    if s.held and (why := _find_release(s, wish, s.held)):
        return Release(why)
    if wish.want is Want.STOPPED:
        if wish.operator_stop and not s.held:
            return HoldDown(Hold.STOPPED, say_who(wish, "stopped"))
        return _get_ready_meanwhile(s, wish) or Rest()
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
    return say_who(wish, "started") if lifts(wish, held) else None


def _wait_held(s: Situation) -> Action:
    due = s.looked_at + LOOK_AROUND
    return LookAround() if s.now >= due else Rest(due)


def _get_ready_meanwhile(s: Situation, wish: Desired) -> Action | None:
    for manifest in (choose_build(wish, s.refused).manifest, find_next_build(wish, s.refused)):
        if manifest and manifest.build != s.placed and manifest.build not in s.staged:
            return Stage(manifest)
    return None


def _place_and_start(s: Situation, wish: Desired) -> Action:
    if next_build := find_next_build(wish, s.refused):
        if next_build.build == s.placed:
            return Start()
        # Not staged in time = not waited for: a restart after a crash is never delayed for it.
        if s.staged.get(next_build.build) in (Staged.READY, Staged.IN_PLACE):
            return Swap(next_build, wish.next_deployment)
    target = choose_build(wish, s.refused)
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
