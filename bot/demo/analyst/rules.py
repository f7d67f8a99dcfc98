"""The rules, in the order in which they are tried: those that need the most of the stack come first."""

from __future__ import annotations

from bot.demo.analyst.case import Case, Finding, Rule
from bot.demo.analyst.flow_rules import (
    half_not_mirrored,
    loop_stands_still,
    precondition_not_kept,
    recursion_without_bound,
)
from bot.demo.analyst.memory_rules import (
    ended_before_its_users,
    keep_after_delete,
    lookup_unchecked,
    use_after_delete,
)

RULES: tuple[Rule, ...] = (
    ended_before_its_users,
    use_after_delete,
    lookup_unchecked,
    keep_after_delete,
    precondition_not_kept,
    half_not_mirrored,
    loop_stands_still,
    recursion_without_bound,
)


def find_mistake(case: Case) -> Finding | None:
    """What the first rule that fits has found."""
    return next((found for rule in RULES if (found := rule(case)) is not None), None)
