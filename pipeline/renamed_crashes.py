"""A new key that differs from a known one by functions that were renamed alone is that known crash.

The source of both builds is asked, in two seconds at most. What it does not tell clearly stays another crash, and is
told of as similar: so do crashes of a dirty build, and those from before our clone is ready.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from pipeline import regrouping, suspects
from pipeline.crash.conclude import sign_again
from pipeline.crash.renames import is_renamed, list_words, pair_names
from pipeline.errors import Obstructed, PipelineError
from pipeline.model import CrashReport, Rename
from pipeline.store import Crash
from pipeline.tools import Tools

LOOKING = 2.0  # seconds that git may take for one known crash
MOST = 2  # known crashes that are compared


def name_as_known(tools: Tools, crash: Crash, report: CrashReport) -> CrashReport:
    """The report with the key of the known crash that it is, and a note of it; else as it came. Raises Obstructed."""
    signature = report.signature
    if signature is None or report.environment or not tools.prepared.is_set() or tools.store.count_crashes(signature):
        return report
    known = [(each, pair_names(each.signature, signature)) for each in tools.store.list_relatives(signature)
             if each.signature]  # fmt: skip
    found = next((pairs for each, pairs in [pair for pair in known if pair[1]][:MOST]
                  if _is_renamed(tools, each, crash, report, pairs)), ())  # fmt: skip
    return _rename(tools, report, found) if found else report


def _is_renamed(tools: Tools, known: Crash, crash: Crash, report: CrashReport, pairs: Sequence[Rename]) -> bool:
    then, now = suspects.find_commit(tools, known, known.report), suspects.find_commit(tools, crash, report)
    if then is None or now is None or then.endswith("+") or now.endswith("+") or then == now:
        return False
    words = sorted({word for each in pairs for both in list_words(each) for word in both})
    try:
        found = [tools.source.find_words(commit, words, LOOKING / 2) for commit in (then, now)]
    except Obstructed:
        raise
    except PipelineError:  # it takes too long, or our clone has no such commit
        return False
    return is_renamed(pairs, *found)


def _rename(tools: Tools, report: CrashReport, renames: tuple[Rename, ...]) -> CrashReport:
    again = sign_again(replace(report, renames=renames), regrouping.get_rules_in_force(tools.store))
    notes = [f"known by another name: `{each.now}` was called `{each.before}` when it crashed first"
             for each in renames]  # fmt: skip
    return replace(again, crashing_frame=report.crashing_frame, notes=(*notes, *report.notes))
