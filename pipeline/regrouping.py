"""The rules of grouping that are in force, and how a change of them comes into force.

A user's own lists lie in a folder of the state folder; what lies there is a proposal until it was accepted, and the
bot goes on with the lists it accepted last. The built-in rules are the program's, so that a new version of them is in
force at once. What only spells groups anew is followed at the bot's start; where any would merge or split, a person
looks first.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from pipeline.crash.conclude import sign_again
from pipeline.crash.replay import Comparison, compare
from pipeline.crash.rules import BadRule, Lists, Rules, get_rules, read_lists
from pipeline.crash.signatures import VERSION
from pipeline.model import CrashReport
from pipeline.store import Fact, Store

FOLDER = "frames"  # of a user's own lists, in the state folder
CURE = "`spirit-healer signatures replay` shows what would change, `--accept` puts it in force"


def get_rules_in_force(store: Store) -> Rules:
    return get_rules(_accepted(store.get_fact(Fact.RULES)))


def _accepted(fact: Any) -> Lists:
    return tuple((name, text) for name, text in fact["lists"]) if fact else ()


def _plain(lists: Lists) -> dict[str, Any]:
    return {"version": VERSION, "lists": [list(each) for each in lists]}


def replay(store: Store, lists: Lists) -> Comparison:
    """What these lists and our rules would make of all that is stored. Changes nothing."""
    return compare(store.list_moves(_signer(lists)))


def accept(store: Store, lists: Lists) -> Comparison:
    """Puts them in force, and everything that is stored under them; what that was."""
    return compare(store.sign_all_again(_signer(lists), _plain(lists)))


def _signer(lists: Lists) -> Callable[[CrashReport], CrashReport]:
    rules = get_rules(lists)
    return lambda report: sign_again(report, rules)


def settle(store: Store, state_dir: Path) -> str | None:
    """At the start: follows what needs nobody's judgement; else what an operator has to know. Can be called again."""
    fact = store.get_fact(Fact.RULES)
    in_force = _accepted(fact)
    if (fact is None or fact["version"] != VERSION) and (groups := _follow(store, in_force)):
        return (
            f"this version groups crashes by new rules, which would merge or split {groups}: until that is accepted, "
            f"crashes of before count as others; {CURE}"
        )
    try:
        proposed = read_lists(state_dir / FOLDER)
    except (BadRule, OSError) as fault:
        return f"your lists of frames cannot be used, those accepted before stay in force: {fault}"
    if proposed != in_force and (groups := _follow(store, proposed)):
        return f"your lists of frames would merge or split {groups} and are not in force yet; {CURE}"
    return None


def _follow(store: Store, lists: Lists) -> str | None:
    """Puts in force what leaves every group a group; else how many it would merge or split."""
    found = replay(store, lists)
    if found.is_plain:
        accept(store, lists)
        return None
    groups = len(found.merged) + len(found.split)
    return f"{groups} group{'' if groups == 1 else 's'}"
