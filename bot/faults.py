"""What is said of a setting that is wrong: one line, with its name, the fault and the cure."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import ValidationError

_WORDS = {  # by the validator's own name of the fault, whose words are for those who write one
    "missing": "is missing: set it in the environment or in .env (see .env.example)",
    "time_parsing": "is no time of day: write it as 08:00",
    "int_parsing": "is no whole number: write it in digits alone",
    "int_parsing_size": "is no number that can be counted: give a smaller one",
    "greater_than_equal": "is too small: give at least {ge}",
    "less_than_equal": "is too large: give at most {le}",
    "enum": "is none of its words: write it as {expected}",
}


class SettingsError(Exception):
    """`faults` holds one line each: name, fault, cure."""

    def __init__(self, faults: list[str]) -> None:
        super().__init__("\n".join(faults))
        self.faults = faults


def say_no_file() -> str:
    """Where to go, for whoever stands in another folder than that of his `.env`."""
    return (
        f"There is no .env in {Path.cwd()}: go to the folder that has one, or make it there from .env.example. "
        "A demo needs none, and prints the line by which the doctor looks at its realm."
    )


def list_faults(fault: ValidationError) -> list[str]:
    """One line each."""
    return [line for error in fault.errors() for line in _say(error).splitlines()]


def _say(error: Any) -> str:
    """The value itself is not repeated: it may be a secret."""
    name = ".".join(str(part) for part in error["loc"][:1]).upper()
    text = str(error["msg"]).removeprefix("Value error, ")
    if not name:
        return text
    if error["type"] in _WORDS:
        text = _WORDS[error["type"]].format_map(error.get("ctx", {})).replace("'", "")
    return f"{name}: {text if error['type'].startswith('value_error') else text[:1].lower() + text[1:]}"
