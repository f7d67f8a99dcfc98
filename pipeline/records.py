"""What was recorded, for whoever asks: runs, fixes, crashes by signature, the audit, nights. Blocking; reads only."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from pipeline import policy
from pipeline.card_models import PostKind
from pipeline.fix_links import link, links_of, revert_link
from pipeline.model import Impossible, Run, RunKind, Signature
from pipeline.needs import is_given_up, is_gone
from pipeline.read_models import AuditLine, CrashesView, CrashLine, CrashView, FixLine, RunStep, RunView
from pipeline.run_views import deployment_view, run_line
from pipeline.server_views import look
from pipeline.status_models import RunLine
from pipeline.status_views import find_free
from pipeline.store import CrashRow, card_key
from pipeline.store.nights import Stretch
from pipeline.summary import NightSummary, Scene, summarize
from pipeline.tools import Tools

MOST_RUNS = 200  # in a completion
LONGEST = 366  # nights
NAMED = 5  # signatures in a refusal


# --- runs ------------------------------------------------------------------------------------------------------------


def list_runs(tools: Tools) -> list[RunLine]:
    """Newest first."""
    unanswered = tools.store.list_unanswered()
    return [run_line(tools.store, run, unanswered) for run in tools.store.list_latest_runs(MOST_RUNS)]


def show_run(tools: Tools, given: str) -> RunView | Impossible:
    run = tools.store.get_run(given.strip().lower())
    if run is None:
        return Impossible(f"There is no run `{given[:20]}`.")
    return RunView(
        run=run,
        line=run_line(tools.store, run),
        steps=tuple(RunStep(*step) for step in tools.store.history(run.id)),
        fix=link(tools, run.commit, run.branch) if run.commit else None,
        revert=revert_link(tools, run),
        deployment=deployment_view(tools, run),
        card=tools.store.get_card_state(tools.store.get_card_of_run(run.id)).message,
        crashes=tools.store.count_crashes(run.signature) if run.signature is not None else 0,
        given_up=is_given_up(tools, run),
    )


def list_fixes(tools: Tools) -> list[FixLine]:
    since = tools.night() - timedelta(days=1)
    runs = [run for run in tools.store.list_committed_runs(since) if run.kind is RunKind.FIX]
    return [_fix_line(tools, run) for run in reversed(runs)]


def _fix_line(tools: Tools, run: Run) -> FixLine:
    commit = run.commit or ""
    return FixLine(
        commit, run.subject, run.id, run.state, run.updated_at, tools.source.url(commit),
        policy.find_revert(commit, tools.store.list_reverts()) is not None,
    )  # fmt: skip


# --- crashes ---------------------------------------------------------------------------------------------------------


def list_crashes(tools: Tools, nights: int) -> CrashesView:
    """Of the last so many nights, by signature, the most frequent first, and of those as frequent the newest."""
    night = tools.night()
    since = night - timedelta(days=max(1, min(nights, LONGEST)) - 1)
    rows = tools.store.list_crash_rows(since)
    lines = [_line(tools, signature, each) for signature, each in _group(rows).items()]
    lines.sort(key=lambda line: (line.times, line.last), reverse=True)
    unread = sum(row.signature is None for row in rows)
    return CrashesView(since, night, len(rows), unread, tuple(lines))


def list_signatures(tools: Tools) -> list[tuple[str, str]]:
    """(what it is called, its key) of every signature ever seen, the last seen first."""
    rows = [row for row in tools.store.list_crash_rows(None) if row.signature is not None]
    names: dict[str, str] = {}
    for row in sorted(rows, key=lambda row: row.at, reverse=True):
        if row.signature is not None:
            names.setdefault(key_of(row.signature), row.signature.exact)
    return [(exact, key) for key, exact in names.items()]


def show_crash(tools: Tools, given: str) -> CrashView | Impossible:
    """By key, by the whole signature, or by a part of it that only one has."""
    grouped = _group(tools.store.list_crash_rows(None))
    found = find_signature(grouped, given)
    if isinstance(found, Impossible):
        return found
    rows = grouped[found]
    counts: dict[date, int] = {}
    for row in rows:
        counts[row.night] = counts.get(row.night, 0) + 1
    last = rows[-1]
    report = tools.store.find_report(last.id)
    runs = tools.store.list_runs_of_signature(found)
    return CrashView(
        line=_line(tools, found, rows),
        report=report,
        revision=last.revision,
        status=last.status,
        back_after=last.back_after,
        nights=tuple(sorted(counts.items(), reverse=True)),
        runs=tuple(run_line(tools.store, run) for run in reversed(runs)),
        summary=next((run.analysis.summary for run in reversed(runs) if run.analysis and run.analysis.summary), None),
        card=tools.store.get_card_state(last.card).message if last.card is not None else None,
        suspects=_find_suspects(tools, rows),
    )


def _find_suspects(tools: Tools, rows: list[CrashRow]) -> Mapping[str, Any] | None:
    told = tools.store.find_last_post((row.card for row in rows if row.card is not None), PostKind.BACKTRACE)
    return (told or {}).get("suspects")


def find_signature(known: Iterable[Signature], given: str) -> Signature | Impossible:
    words = given.strip()
    signatures = list(known)
    exactly = [each for each in signatures if words in (key_of(each), each.exact)]
    part = words.lower()
    near = exactly or [each for each in signatures if part and part in each.exact.lower()]
    if len(near) == 1:
        return near[0]
    if not near:
        return Impossible(f"No crash is known by `{words[:60]}`. `/crashes` lists those that are.")
    named = ", ".join(f"`{each.title}`" for each in near[:NAMED])
    return Impossible(f"`{words[:60]}` fits {len(near)} signatures: {named}. Choose one from the list.")


def key_of(signature: Signature) -> str:
    """Short enough for a completion, whatever the functions are called."""
    return hashlib.sha256(card_key(signature).encode("utf-8", "replace")).hexdigest()[:12]


def _group(rows: Iterable[CrashRow]) -> dict[Signature, list[CrashRow]]:
    grouped: dict[Signature, list[CrashRow]] = {}
    for row in rows:
        if row.signature is not None:
            grouped.setdefault(row.signature, []).append(row)
    return grouped


def _line(tools: Tools, signature: Signature, rows: list[CrashRow]) -> CrashLine:
    run = _newest(tools.store.list_runs_of_signature(signature))
    last = rows[-1]
    return CrashLine(
        key=key_of(signature),
        signature=signature,
        title=signature.title,
        times=len(rows),
        ever=tools.store.count_crashes(signature),
        first=tools.store.first_seen(signature) or rows[0].at,
        last=last.at,
        judged=last.judged,
        run=run,
        work=run_line(tools.store, run) if run is not None else None,
        fix=link(tools, run.commit, run.branch) if run is not None and run.commit else None,
        only_taken_back=is_gone(tools.store, signature),
        absent=run is not None and run.id in tools.store.list_absent(),
    )


def _newest(runs: list[Run]) -> Run | None:
    """What people go by: the newest run that is about the crash itself, which a rollback's own revert is not."""
    standing = policy.leave_out_undone(runs)
    about = [run for run in standing if not _is_own_revert(run)] or standing
    return about[-1] if about else None


def _is_own_revert(run: Run) -> bool:
    return run.kind is RunKind.REVERT and run.asked_by is None


# --- the audit -------------------------------------------------------------------------------------------------------


def list_audit(tools: Tools, days: int) -> list[AuditLine]:
    """Newest first."""
    since: datetime = tools.now() - timedelta(days=max(1, min(days, LONGEST)))
    return tools.store.list_audit(since)


# --- nights ----------------------------------------------------------------------------------------------------------


def night_summary(tools: Tools, night: date, stretch: Stretch | None = None) -> NightSummary:
    """What a person reads in the morning, of all since the last time, or asks for, of a night so far."""
    degraded = tuple(dict.fromkeys(tools.degraded.values()))
    seen = look(tools.store, tools.keeper)
    scene = Scene(
        tools.realm.name,
        tools.now(),
        tools.realm.timezone,
        seen,
        links_of(tools),
        degraded,
        find_free(tools.realm.state_dir),
    )
    return summarize(tools.store, night, scene, stretch)
