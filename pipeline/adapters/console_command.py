"""What holds for a command whichever console it goes through."""

from __future__ import annotations

from pipeline.errors import ConsoleUnavailable

_MOST = 4000  # bytes; the consoles read lines


class CommandFailed(ConsoleUnavailable):
    """The console works, but the server refused this command; the message is its answer."""


def check_command(command: str) -> None:
    """One line of printable text: an empty one ends a telnet session, a second one is a second command."""
    if not command.strip():
        raise CommandFailed("a command may not be empty")
    if not command.isprintable():
        raise CommandFailed("a command may hold no line break and no control character")
    if len(command.encode("utf-8", "replace")) > _MOST:
        raise CommandFailed("the command is too long")


def check_login(user: str, password: str) -> None:
    if not user or not password:
        raise ConsoleUnavailable("SERVER_CONSOLE_USER and SERVER_CONSOLE_PASSWORD are not both set")
    if not user.isprintable() or not password.isprintable():
        raise ConsoleUnavailable("SERVER_CONSOLE_USER or SERVER_CONSOLE_PASSWORD holds a control character")
