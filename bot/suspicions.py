"""What is told of a crash beside its report: who changed the place last, what is new, what was alike, what is known.

A line each, for a phone; names, subjects and words of others are data. What is missing is left out, or is a note.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from bot.limits import cut_middle
from bot.markup import ago, code, commit_link, count, plain, prose

SUBJECT = 60  # characters
SHOWN = 3  # fixes
ALIKE = 2  # similar crashes
NOTES = 3
Data = dict[str, Any]


def list_suspicions(data: Mapping[str, Any] | None) -> list[str]:
    """`data` as `pipeline.suspects.describe` has it."""
    if not data:
        return []
    return [
        *_touches(data.get("touches") or ()),
        *_changes(data),
        *_fixes(data.get("fixes")),
        *(_similar(each) for each in (data.get("similar") or ())[:ALIKE]),
        *_known(data.get("known")),
        *(f"*{prose(str(each))}*" for each in (data.get("notes") or ())[:NOTES]),
    ]


def _touches(touches: Sequence[Data]) -> list[str]:
    """What is new is suspect; where nothing is, who was last at the innermost place."""
    suspects: dict[str, Data] = {}  # by commit, the innermost place of each
    for each in touches:
        if each.get("is_new") and each.get("commit"):
            suspects.setdefault(each["commit"]["hash"], each)
    if suspects:
        return [f"**suspect**: {_commit(each['commit'])} touched {_place(each)}" for each in suspects.values()]
    return [_last_touch(touches[0])] if touches else []


def _last_touch(touch: Data) -> str:
    commit = touch.get("commit")
    old = touch.get("is_new") is False
    if not commit:
        return f"{_place(touch)} has not changed {'since the last good build' if old else 'for half a year'}"
    return f"{_place(touch)} was last changed by {_commit(commit)}" + (", not since the last good build" if old else "")


def _place(touch: Data) -> str:
    return f"{code(str(touch.get('function')))} line {int(touch.get('line') or 0)}"


def _commit(commit: Data) -> str:
    author = f" by {plain(cut_middle(str(commit['author']), 30))}" if commit.get("author") else ""
    return f"{_name(commit)}{author} {_ago(commit.get('at'))}".rstrip()


def _name(commit: Data) -> str:
    """The link, and what it is about."""
    subject = " ".join(cut_middle(str(commit.get("subject") or ""), SUBJECT).split())
    return f"{_link(commit)} *{plain(subject)}*" if subject else _link(commit)


def _link(commit: Data) -> str:
    return commit_link(str(commit.get("hash") or "?"), commit.get("url"))


def _changes(data: Mapping[str, Any]) -> Iterator[str]:
    since, changed = data.get("since"), data.get("changed")
    if not since or changed is None:
        return
    if not changed:
        yield f"nothing is new since the last good build {_link(since)}"
        return
    yield f"since the last good build {_link(since)}: {count(int(changed), 'commit')}{_which(data, int(changed))}"


def _which(data: Mapping[str, Any], changed: int) -> str:
    """What touches the files of the stack; else what is new at all, where it is little: it is suspect all the same."""
    near, new = data.get("near") or (), data.get("new") or ()
    if near:
        return "; these files: " + ", ".join(map(_name, near))
    none = ", not in these files" if changed == 1 else ", none of them in these files"
    return f"{none}: {', '.join(map(_name, new))}" if new else none


def _fixes(fixes: Sequence[Data] | None) -> Iterator[str]:
    if fixes is None:
        return
    more = f" and {len(fixes) - SHOWN} more" if len(fixes) > SHOWN else ""
    yield f"fixes of ours in this build: {', '.join(map(_link, fixes[:SHOWN])) or 'none'}{more}"


def _similar(crash: Data) -> str:
    fixed = f" · fixed in {_link({**crash, 'hash': crash['commit']})}" if crash.get("commit") else ""
    often = count(int(crash.get("times") or 0), "time")
    return f"similar: {code(str(crash.get('title')))} crashed {often}, last {_ago(crash.get('last'))}{fixed}"


def _known(known: Data | None) -> Iterator[str]:
    if known:
        see = f" ({plain(str(known['see']))})" if known.get("see") else ""
        yield f"known as *{plain(str(known.get('name')))}*: {prose(str(known.get('cure')))}{see}"


def _ago(moment: object) -> str:
    return ago(datetime.fromisoformat(moment)) if isinstance(moment, str) else ""
