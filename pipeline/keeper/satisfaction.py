"""What satisfies a wish: which build may run, what makes a restart necessary, what a new wish changes. Pure."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from pipeline.keeper.memory import Held, Life, Refused
from pipeline.keeper.protocol import Desired, Hold, Manifest, Want


class Staged(Enum):
    """How far the files of a build are."""

    PENDING = "pending"  # being copied or compared
    READY = "ready"  # beside SERVER_DIR's files, verified: placing them costs renames
    IN_PLACE = "in_place"  # SERVER_DIR's files are this build's already
    FAILED = "failed"  # told; not tried again before the wish changes


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


def find_restart(wish: Desired, life: Life) -> str | None:
    """Why the living server does not satisfy the wish, its build apart."""
    if wish.restart > life.restart:
        return say_who(wish, "restarted")
    if life.spec is not None and life.spec != digest_spec(wish):
        return say_who(wish, "command or environment changed")
    return None


def is_overtaken(wish: Desired, life: Life, refused: tuple[Refused, ...]) -> bool:
    """The wish no longer fits this life, so that its orderly end is not judged."""
    if wish.want is Want.STOPPED or find_restart(wish, life):
        return True
    return not runs_wished_build(wish, life, refused)


def asks_for_start(wish: Desired, old: Desired | None) -> bool:
    """Whether a new wish ends a back-off: it changes what would be started, or somebody asks for it."""
    if old is None or wish.lift_hold or wish.restart > old.restart or wish.want is not old.want:
        return True
    return digest_spec(wish) != digest_spec(old) or _list_builds(wish) != _list_builds(old)


def _list_builds(wish: Desired) -> list[str | None]:
    return [each.build if each else None for each in (wish.build, wish.next_build)]


def lifts(wish: Desired, held: Held) -> bool:
    """Whether a wish ends a hold: a newer one that says so, asks for a restart, brings another build or ends a stop.

    The flag alone would not do: the wish that carried it may have been replaced before it was seen.
    """
    if wish.want is not Want.UP or wish.generation <= held.generation:
        return False
    build = wish.build.build if wish.build else None
    asked = wish.lift_hold or wish.restart > held.restart or build != held.build
    return asked or held.why is Hold.STOPPED


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


def runs_wished_build(wish: Desired, life: Life, refused: tuple[Refused, ...]) -> bool:
    """The build is the one wished, or the approved one that a start in between has put in."""
    accepted = {choose_build(wish, refused).build}
    if next_build := find_next_build(wish, refused):
        accepted.add(next_build.build)
    return "" in accepted or (life.build or "") in accepted


def choose_build(wish: Desired, refused: tuple[Refused, ...]) -> Candidate:
    """The build to run, `next_build` apart, which is one only for a start."""
    if Refused(wish.build.build if wish.build else "", wish.probation) not in refused:
        return Candidate(wish.build, wish.probation)
    return Candidate(wish.fallback, None)


def find_next_build(wish: Desired, refused: tuple[Refused, ...]) -> Manifest | None:
    """The approved build, unless its deployment was already taken out."""
    if wish.next_build is None or Refused(wish.next_build.build, wish.next_deployment) in refused:
        return None
    return wish.next_build


def say_who(wish: Desired, what: str) -> str:
    """For people: what is done (in its participle), by whose wish, why."""
    return f"{what} by {wish.by}" + (f": {wish.reason}" if wish.reason else "")
