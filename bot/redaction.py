"""Secrets go before anything else looks at a text: one walk over whatever is to be shown."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import Enum
from typing import Any, TypeVar, cast

T = TypeVar("T")
Redact = Callable[[str], str]


def cleaned(value: T, redact: Redact) -> T:
    """The same value with every text redacted; escaping comes later, or a secret would no longer be recognised."""
    return cast(T, _clean(value, redact))


def _clean(value: Any, redact: Redact) -> Any:
    if isinstance(value, str) and not isinstance(value, Enum):
        return redact(value)
    if isinstance(value, dict):
        return {key: _clean(each, redact) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return type(value)(_clean(each, redact) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = {each.name: _clean(getattr(value, each.name), redact) for each in dataclasses.fields(value)}
        return dataclasses.replace(value, **parts)
    return value
