"""A request as the handlers see it, and what they give back."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Upload:
    index: int
    # n of the form field files[n]
    filename: str
    content: bytes
    content_type: str | None


@dataclass(frozen=True)
class Call:
    method: str
    path: str
    # below /api/v10
    query: Mapping[str, str]
    body: Any
    # parsed JSON; {} where there was none
    files: tuple[Upload, ...]
    args: Mapping[str, str]
    # what the route's placeholders matched


@dataclass(frozen=True)
class Answer:
    body: Any = None
    status: int = 200


NOTHING = Answer(status=204)


@dataclass(frozen=True)
class Exchange:
    """One request and its answer, for the record and for a check against the specification."""

    method: str
    path: str
    body: Any
    # None where there was none
    multipart: bool
    status: int | None
    # None: the connection was cut
    answer: Any


@dataclass(frozen=True)
class Violation:
    """Something that the specification does not allow, said by the optional check."""

    method: str
    path: str
    fault: str
