"""Who may do what: one table, default deny. Discord's own command permissions only hide; this decides.

What is not in the table is refused. Roles are those of the interaction itself, so an operator whose role was taken a
second ago is no operator any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from bot import messages
from bot.payloads import Message


class Need(Enum):
    """What an action asks of a person."""

    MEMBER = "whoever sees the channel"
    OPERATOR = "an operator"


# Commands by their names, buttons by the first word of their custom_id.
TABLE: dict[str, Need] = {
    "status": Need.MEMBER,
    "summary": Need.MEMBER,
    "run": Need.MEMBER,
    "crashes": Need.MEMBER,
    "crash": Need.MEMBER,
    "whoami": Need.MEMBER,
    "log": Need.OPERATOR,  # what players wrote is in it
    "audit": Need.OPERATOR,
    "pause": Need.OPERATOR,
    "resume": Need.OPERATOR,
    "revert": Need.OPERATOR,
    "confirm-revert": Need.OPERATOR,
    "keep": Need.OPERATOR,
    "restart-server": Need.OPERATOR,
    "restart": Need.OPERATOR,
    "cancel-order": Need.OPERATOR,
    "stop-server": Need.OPERATOR,
    "stop": Need.OPERATOR,
    "start-server": Need.OPERATOR,
    "start": Need.OPERATOR,
    "cancel": Need.OPERATOR,
    "retry": Need.OPERATOR,
    "update": Need.OPERATOR,
    "confirm-update": Need.OPERATOR,
    "rollback": Need.OPERATOR,
    "roll-back": Need.OPERATOR,
    "approve": Need.OPERATOR,
    "reject": Need.OPERATOR,
    "deploy": Need.OPERATOR,
}


@dataclass(frozen=True)
class Operators:
    """The settings DISCORD_GUILD_ID, DISCORD_OPERATOR_ROLE_IDS, DISCORD_OPERATOR_USER_IDS."""

    guild: int
    roles: frozenset[int] = frozenset()
    users: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Visitor:
    """Whoever pressed or typed, as the interaction says."""

    user: int
    guild: int | None  # None = a direct message
    roles: frozenset[int] = frozenset()


@dataclass(frozen=True)
class Allowed:
    """Go on."""


@dataclass(frozen=True)
class Denied:
    """Nothing is done; `message` says why, `reason` is for the audit."""

    message: Message
    reason: str


Decision = Allowed | Denied


def decide(action: str, visitor: Visitor, operators: Operators) -> Decision:
    """Whether this person may do this here."""
    if visitor.guild is None:
        return Denied(messages.wrong_place("in direct messages"), "refused: direct message")
    if visitor.guild != operators.guild:
        return Denied(messages.wrong_place("in another one"), "refused: other server")
    need = TABLE.get(action)
    if need is None:
        return Denied(messages.unknown_action(), "refused: unknown action")
    if need is Need.MEMBER or is_operator(visitor, operators):
        return Allowed()
    return Denied(messages.not_allowed(), "refused: no operator")


def is_operator(visitor: Visitor, operators: Operators) -> bool:
    return visitor.user in operators.users or not operators.roles.isdisjoint(visitor.roles)
