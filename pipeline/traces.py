"""What the history of the source tells of a crash: hints for whoever looks, never a verdict."""

from __future__ import annotations

from dataclasses import dataclass

from pipeline.model import Commit


@dataclass(frozen=True)
class Place:
    """Where a frame of a crash stands, as it was compiled. A frame that names the header of a library that was inlined
    into it has its function alone: where that is defined is looked for."""

    function: str
    file: str | None  # a path of any system, absolute or not, or a name alone
    line: int | None


@dataclass(frozen=True)
class Touch:
    """Who changed a place last."""

    place: Place
    file: str  # in the repository
    line: int  # of those around the place the one that was changed last
    commit: Commit | None  # None = it is older than what was looked at
    is_new: bool | None = None  # whether the last good build lacks it; None = not known


@dataclass(frozen=True)
class Trace:
    """`notes` = what could not be told, and why, a sentence each."""

    touches: tuple[Touch, ...] = ()  # in the order of the places
    since: str | None = None  # the commit of the last good build, where there is one
    changed: int | None = None  # commits that it lacks; None = not known
    new: tuple[Commit, ...] = ()  # those, newest first, where they are few: the first suspects whatever they touch
    near: tuple[
        Commit, ...
    ] = ()  # those of them that touch a file of the places, newest first; without one: the newest
    fixes: tuple[Commit, ...] | None = None  # of ours, in this history and not undone, newest first; None = not known
    notes: tuple[str, ...] = ()
