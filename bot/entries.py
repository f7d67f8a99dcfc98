"""The audit as people read it: who gave which order when, and what came of it. Pure.

What is written down is what came in, and a button brings its custom_id (bot/audit.py). It is told here as the command
that does the same, so that whoever reads it can type it.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from bot.commands.delays import write_delay
from bot.limits import cut_middle
from bot.markup import ago, code, count, plain, prose, short
from bot.payloads import Attachment, Colour, Embed, Message
from pipeline.read_models import BEGUN, AuditLine

SHOWN = 20


def render_audit(lines: list[AuditLine], days: int) -> Message:
    span = "the last day" if days == 1 else f"the last {days} days"
    if not lines:
        return Message(embed=Embed(f"Nobody asked or ordered anything in {span}", "Nothing was written.", Colour.GREY))
    shown = [_line(line) for line in lines[:SHOWN]]
    more = len(lines) - SHOWN
    shown += [f"and {more} more, in the file"] if more > 0 else []
    files = (Attachment("audit.txt", "\n".join(map(_row, lines)) + "\n"),) if more > 0 else ()
    heading = f"Audit: {count(len(lines), 'entry', 'entries')} in {span}"
    return Message(embed=Embed(heading, "\n".join(shown), Colour.GREY), files=files)


def _line(line: AuditLine) -> str:
    given = _given(line)
    what = f"{code(_order(line))}{f' {plain(cut_middle(given, 60))}' if given else ''}"
    return f"{ago(line.at)} **{plain(line.name)}** {what}: {prose(cut_middle(_outcome(line), 100))}"


def _row(line: AuditLine) -> str:
    parts = (f"{line.at:%Y-%m-%d %H:%M:%S} UTC", f"{line.name} ({line.id})", line.place, _order(line), _given(line),
             _outcome(line))  # fmt: skip
    return "  ".join(" ".join(part.split()) for part in parts if part)


def _order(line: AuditLine) -> str:
    """As a person gave it: the yes to a question is its command's. A button that no command has goes by its name."""
    return _BUTTONS.get(line.command) or f"/{_COMMANDS.get(line.command, line.command)}"


def _given(line: AuditLine) -> str:
    """What the command takes; a refused click was written down as it came, an answered one as it was understood."""
    read = _ARGUMENTS.get(line.command)
    return read(line.arguments) if read else line.arguments


def _outcome(line: AuditLine) -> str:
    return "begun; how it ended is not written down" if line.outcome == BEGUN else line.outcome


def _run(arguments: str) -> str:
    """Of `<run> <what it asked>`."""
    return arguments.replace(":", " ").partition(" ")[0]


def _delay_and_reason(arguments: str) -> str:
    """Of `<seconds>:<reason>`."""
    seconds, colon, reason = arguments.partition(":")
    if not (colon and seconds.isdecimal()):
        return arguments
    return f"{write_delay(timedelta(seconds=int(seconds)))} {reason}".rstrip()


def _from_build(arguments: str) -> str:
    """Of `<running build>:<reason>`."""
    running, _, reason = arguments.partition(":")
    return f"from {running}{f': {reason}' if reason else ''}"


def _to_commit(arguments: str) -> str:
    """Of the commit that was shown."""
    return f"to {short(arguments)}"


def _nothing(_arguments: str) -> str:
    return ""


_COMMANDS = {
    "confirm-revert": "revert", "confirm-update": "update", "restart": "restart-server", "stop": "stop-server",
    "start": "start-server", "roll-back": "rollback",
}  # fmt: skip
_BUTTONS = {"deploy": "Deploy now", "keep": "Keep", "cancel-order": "Cancel"}
_ARGUMENTS: dict[str, Callable[[str], str]] = {
    "approve": _run, "restart": _delay_and_reason, "stop": _delay_and_reason, "roll-back": _from_build,
    "confirm-update": _to_commit, "start": _nothing, "resume": _nothing,
}  # fmt: skip
