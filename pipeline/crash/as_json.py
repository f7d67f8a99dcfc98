"""Reports as JSON: the object that `inspect --json` prints, and the lossless form that the store keeps."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from functools import partial
from typing import Any

from pipeline.crash.names import drop_parameters
from pipeline.model import Assertion, CrashReport, ExceptionInfo, Frame, Rename, ReportKind, Revision, Signature


def inspect_object(report: CrashReport, file: str) -> dict[str, Any]:
    """Exactly the keys of DESIGN.md's `inspect --json`, in its order; what is unknown is None."""
    return {
        "file": file,
        "kind": report.kind.value,
        "category": report.category,
        "exception": _plain(report.exception),
        "assertion": _plain(report.assertion),
        "revision": _plain(report.revision),
        "crashed_at": report.crashed_at.isoformat() if report.crashed_at else None,
        "frames": [_plain(frame) for frame in report.frames],
        "crashing_frame": report.crashing_frame,
        "signature": _plain(report.signature),
        "environment": report.environment,
        "notes": [*report.notes, *([report.cure] if report.cure else [])],
    }


def _plain(value: Any) -> dict[str, Any] | None:
    return None if value is None else dataclasses.asdict(value)


def report_to_plain(report: CrashReport) -> dict[str, Any]:
    """All fields as JSON values; `report_from_plain` gives the same report back."""
    parts = {name: _plain(getattr(report, name)) for name in ("exception", "assertion", "revision", "signature")}
    return {
        **vars(report),
        **parts,
        "kind": report.kind.value,
        "crashed_at": report.crashed_at.isoformat() if report.crashed_at else None,
        "frames": [{**vars(frame)} for frame in report.frames],
        "notes": list(report.notes),
        "renames": [{**vars(each)} for each in report.renames],
    }


def report_from_plain(plain: dict[str, Any]) -> CrashReport:
    """Raises KeyError, TypeError or ValueError on what `report_to_plain` did not make; unknown keys are left out."""
    return CrashReport(
        kind=ReportKind(plain["kind"]),
        category=plain.get("category"),
        exception=_build(ExceptionInfo, plain.get("exception")),
        assertion=_build(Assertion, plain.get("assertion")),
        revision=_build(Revision, plain.get("revision")),
        crashed_at=datetime.fromisoformat(plain["crashed_at"]) if plain.get("crashed_at") else None,
        frames=tuple(frame for each in plain.get("frames", ()) if (frame := _build(Frame, each))),
        crashing_frame=plain.get("crashing_frame"),
        start=int(plain.get("start") or 0),
        signature=_build(Signature, plain.get("signature")),
        environment=bool(plain.get("environment")),
        cure=plain.get("cure"),
        notes=tuple(plain.get("notes", ())),
        renames=tuple(each for each in map(partial(_build, Rename), plain.get("renames", ())) if each),
    )


def _build(shape: Any, plain: dict[str, Any] | None) -> Any:
    if plain is None:
        return None
    names = {each.name for each in dataclasses.fields(shape)}
    return shape(**{name: value for name, value in plain.items() if name in names})


def render_frames(report: CrashReport, limit: int = 20) -> str:
    """The stack as text for people, the frame of interest marked."""
    lines = []
    for index, frame in enumerate(report.frames[:limit]):
        mark = ">" if index == report.crashing_frame else " "
        lines.append(f"{mark} #{index:<2} {spell_frame(frame)}")
    if len(report.frames) > limit:
        lines.append(f"  ... {len(report.frames) - limit} more")
    return "\n".join(lines)


def spell_frame(frame: Frame) -> str:
    """`Map::Update at Map.cpp:14`, or `worldserver+6d062a`."""
    module = f"{frame.module or '??'}{f'+{frame.offset}' if frame.offset else ''}"
    name = drop_parameters(frame.function) if frame.function else module
    return f"{name} at {frame.file}:{frame.line}" if frame.file else name
