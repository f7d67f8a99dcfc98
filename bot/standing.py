"""Where a person stands: what he may do here, and why. The answer of /whoami."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bot.markup import code, plain
from bot.payloads import Message
from bot.permissions import TABLE, Need, Operators, Visitor
from pipeline.model import Actor


@dataclass(frozen=True)
class Standing:
    """`role` and `by_id` say why a person is an operator; neither = he is none."""

    user: int
    role: str | None = None  # name of the role that makes him one
    by_id: bool = False
    configured: bool = True  # whether anybody at all may order


def find_standing(visitor: Visitor, operators: Operators, names: Mapping[int, str]) -> Standing:
    """`names` of the roles that the person has."""
    role = next((names.get(each, str(each)) for each in sorted(operators.roles & visitor.roles)), None)
    configured = bool(operators.roles or operators.users)
    return Standing(visitor.user, role, visitor.user in operators.users, configured)


def render_standing(by: Actor, standing: Standing, commands: Sequence[str]) -> Message:
    reads = _list(name for name in commands if TABLE.get(name) is Need.MEMBER)
    orders = _list(name for name in commands if TABLE.get(name) is Need.OPERATOR)
    if standing.role is None and not standing.by_id:
        return Message(content="\n".join((
            f"**{plain(by.name)}, you may read but not order here.**", f"Yours: {reads}",
            f"For operators: {orders}", _say_how(standing),
        )))  # fmt: skip
    role = f"your role *{plain(standing.role)}* is one of `DISCORD_OPERATOR_ROLE_IDS`" if standing.role else ""
    own = "your id is one of `DISCORD_OPERATOR_USER_IDS`" if standing.by_id else ""
    why = " and ".join(part for part in (role, own) if part)
    return Message(content=f"**{plain(by.name)}, you may order here:** {why}.\nYours: {reads} {orders}")


def _list(names: Iterable[str]) -> str:
    return " ".join(code(f"/{name}") for name in sorted(names))


def _say_how(standing: Standing) -> str:
    if not standing.configured:
        return (
            "Neither `DISCORD_OPERATOR_ROLE_IDS` nor `DISCORD_OPERATOR_USER_IDS` is set, so nobody may order anything:"
            " whoever runs the bot can set them."
        )
    return (
        "Operators have one of the roles in `DISCORD_OPERATOR_ROLE_IDS`, or their id stands in"
        f" `DISCORD_OPERATOR_USER_IDS`; yours is {code(str(standing.user))}."
    )
