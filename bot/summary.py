"""The morning summary as a message: what needs you, what was fixed, what was not, the server, how to merge.

A pure function of what the pipeline gathered (pipeline/summary.py). A quiet night says so in one line.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from bot.cards import Home
from bot.facts import NOT_RUNNING, ONLY_TAKEN_BACK, WITHDRAWN_WORDS, say_try
from bot.limits import cut_middle
from bot.markup import ago, block, code, commit_link, count, duration, join, plain, prose
from bot.needs import YOU, count_needs, list_unneeded, say_need, say_rider, say_setback
from bot.payloads import Attachment, Colour, Embed, Message
from pipeline.model import OF_WHAT_WENT, FixState, RunState, Verdict
from pipeline.status_models import Need, Topic
from pipeline.summary import (
    BEING_REVERTED,
    BROUGHT_AGAIN,
    BranchLine,
    CrashLine,
    FixedLine,
    NightSummary,
    UndoneLine,
    UnfixedLine,
)

OLD = timedelta(days=180)  # a night of which the day alone could be another year's
SHOWN = 8  # lines of one part; the rest is counted
PICTURE = "night.png"
PICKED = "what your base branch lacks is picked one by one"


def render_summary(summary: NightSummary, home: Home | None = None, who: str = YOU) -> Message:
    """For `who` reads it. With the chart of the night, unless nothing happened in it."""
    heading = f"Night of {_day(summary)}: {_state(summary, who)}"
    if is_quiet(summary):
        return Message(embed=Embed(heading, quiet_line(summary, who), Colour.GREEN))
    parts = [part for part in (list_parts(summary, home)) if part]
    from bot.chart import draw  # what draws takes as long to load as much else, and one message of a night needs it

    picture = Attachment(PICTURE, content=draw(summary.chart))
    return Message(embed=Embed(heading, "\n\n".join(parts), _colour(summary), image=PICTURE), files=(picture,))


def _day(summary: NightSummary) -> str:
    """With its year once that is worth saying."""
    night = date.fromisoformat(summary.night or "1970-01-01")
    old = summary.told is not None and _time(summary.told).date() - night > OLD
    return f"{night.day} {night:%b}" + (f" {night.year}" if old else "")


def _state(summary: NightSummary, who: str) -> str:
    if summary.needs:
        return count_needs(summary.needs, who)
    if is_quiet(summary):
        return "quiet" if _is_on_record(summary) else "nothing on record"
    return "something does not work" if summary.degraded else f"nothing needs {who}"


def _colour(summary: NightSummary) -> Colour:
    if any(each.topic is Topic.SERVER for each in summary.needs):
        return Colour.RED
    return Colour.AMBER if summary.needs or summary.degraded else Colour.GREEN


def is_quiet(summary: NightSummary) -> bool:
    happened = (
        summary.needs,
        summary.degraded,
        summary.fixed,
        summary.unfixed,
        summary.undone,
        summary.updates,
        summary.crashes,
        summary.branches,
    )
    return not any(happened) and not summary.counts.starts


def quiet_line(summary: NightSummary, who: str = YOU) -> str:
    if not _is_on_record(summary):
        return "Nobody looked at the server in that night."
    waits = "0 crashes." if summary.over else f"0 crashes, nothing waits for {who}."
    return f"Up {_share(summary)}, {waits}"


def _is_on_record(summary: NightSummary) -> bool:
    return summary.counts.up + summary.counts.down > 0


def list_parts(summary: NightSummary, home: Home | None) -> Iterator[str]:
    """In the order in which they are read."""
    yield _part("", [f"{number}. {_need(each, summary, home)}" for number, each in enumerate(summary.needs, 1)])
    yield _part(
        "Does not work",
        [f"- {prose(cut_middle(each, 300))}" for each in list_unneeded(summary.degraded, summary.needs)],
    )
    yield _part(_title("Fixed", summary.fixed), [f"- {_fixed(each)}" for each in summary.fixed])
    for heading, lines in (("In work", list_in_work(summary)), ("Not fixed yet", list_left(summary))):
        yield _part(_title(heading, lines), [f"- {_unfixed(each, home)}" for each in lines])
    yield _part(_title("Taken back", summary.undone), [f"- {_undone(each)}" for each in summary.undone])
    yield "\n".join(line for line in (update_line(summary), server_line(summary), crash_line(summary)) if line)
    yield merge_part(summary.branches)


def _need(need: Need, summary: NightSummary, home: Home | None) -> str:
    """What rides along with a merge is named where that is told of; once is enough."""
    told = any(each.name == need.subject and each.riders and not each.setback for each in summary.branches)
    if need.topic is not Topic.REVIEW or not told:
        return say_need(need, home)
    rides = f"a merge brings {count(len(need.riders), 'other commit')} too"
    return join(say_need(replace(need, riders=()), home), f"**{rides}**, named below" if need.riders else "")


def list_in_work(summary: NightSummary) -> list[UnfixedLine]:
    """What goes on by itself."""
    return [line for line in summary.unfixed if line.state in _IN_WORK]


def list_left(summary: NightSummary) -> list[UnfixedLine]:
    """What only a build had that was taken back is no more there to be fixed."""
    return [line for line in summary.unfixed if line.state not in (*_IN_WORK, OF_WHAT_WENT)]


def _title(words: str, lines: Sequence[object]) -> str:
    return f"{words} ({len(lines)})"


def _part(heading: str, lines: Sequence[str]) -> str:
    shown = [*lines[:SHOWN], *([f"and {len(lines) - SHOWN} more"] if len(lines) > SHOWN else [])]
    return "\n".join([*([f"**{heading}**"] if heading else []), *shown]) if lines else ""


# --- what became of the crashes --------------------------------------------------------------------------------------


def _fixed(line: FixedLine) -> str:
    change = f"{count(line.files, 'file')}, +{line.added} −{line.removed}" if line.files else ""
    live = f"live since {ago(_time(line.live_since))}" if line.live_since is not None else ""
    doubt = "" if line.verdict == Verdict.HEALTHY else f"verdict {plain(line.verdict or 'none')}"
    if line.absent:
        live = f"**{NOT_RUNNING}**"
    if line.only_taken_back:
        doubt = join(doubt, ONLY_TAKEN_BACK)
    crashed = f"crashed {count(line.crashes, 'time')} before" if line.crashes else ""
    facts = join(f"{code(line.subject)} {commit_link(line.commit, line.url)}", live, crashed, change, doubt)
    return f"{facts}\n  {prose(cut_middle(line.cause, 160))}" if line.cause else facts


def _unfixed(line: UnfixedLine, home: Home | None) -> str:
    times = f" ×{line.crashes}" if line.crashes > 1 else ""
    why = prose(cut_middle(line.why, 160))
    see = f"[see]({home.link(line.message)})" if line.message and home else ""
    doing = "" if line.state == RunState.CANCELLED and why else _doing(line.state)  # that begins with the word for it
    tried = say_try(line.tries) if line.tries > 1 else ""
    return join(f"{code(line.subject)}{times}: {doing or why}", tried, why if doing else "", see)


def _doing(state: str) -> str:
    return _DOING.get(state, plain(state.lower().replace("_", " ")))


_IN_WORK = (
    RunState.ANALYZING, RunState.READY, RunState.PATCHING, RunState.BUILDING, RunState.PUBLISHING,
    RunState.AWAITING_DEPLOYMENT, RunState.DEPLOYING, RunState.VERIFYING, RunState.ROLLING_BACK, "hindered", "in queue",
    BEING_REVERTED,
)  # fmt: skip
_DOING = {
    "paused": "waits for `/resume`",
    "in queue": "its request waits in the queue for an answer",
    "hindered": "a fix is built and may not go live yet",
    "stuck": "a fix is built and may not go live: needs a person",
    RunState.ANALYZING: "with the analyst",
    RunState.PROPOSED: "a proposal waits for a look",
    RunState.READY: "a fix waits for its turn",
    RunState.AWAITING_APPROVAL: "a fix waits for an approval",
    RunState.PATCHING: "a fix is being made",
    RunState.BUILDING: "a fix is being built",
    RunState.PUBLISHING: "a fix is being pushed",
    RunState.AWAITING_DEPLOYMENT: "a fix is built and waits to go live",
    RunState.DEPLOYING: "a fix is being deployed",
    RunState.VERIFYING: "a fix is live and being watched",
    RunState.ROLLING_BACK: "its fix is being rolled back",
    RunState.ROLLED_BACK: f"its fix was {WITHDRAWN_WORDS[RunState.ROLLED_BACK]}",
    RunState.FAILED: "given up",
    RunState.CANCELLED: WITHDRAWN_WORDS[RunState.CANCELLED],
    "environment": "environment, not a bug",
    FixState.RECURRED: "came back with its fix in place",
    FixState.REVERTED: "its fix was reverted",
    BEING_REVERTED: "its fix is being taken back",
    BROUGHT_AGAIN: "what brought it was taken back, and is live again",
}


def _undone(line: UndoneLine) -> str:
    who = f"reverted by {plain(line.by)}" if line.by else "rolled back"
    why = prose(cut_middle(line.why, 160))
    return join(f"{code(line.subject)} {who} in {commit_link(line.commit, line.url)}", why)


def update_line(summary: NightSummary) -> str:
    """How often the base was moved, where it is now, and who ordered it."""
    if not summary.updates:
        return ""
    last = summary.updates[-1]
    since = f"live since {ago(_time(last.at))}" if last.at is not None else ""
    people = list(dict.fromkeys(plain(each.by) for each in summary.updates if each.by))
    ordered = f"ordered by {' and '.join(people)}" if people else ""
    times = count(len(summary.updates), "update")
    return f"**Base:** {join(f'at {commit_link(last.commit, last.url)} after {times}', since, ordered)}"


# --- figures ---------------------------------------------------------------------------------------------------------


def server_line(summary: NightSummary) -> str:
    counts = summary.counts
    line = join(
        f"up {_share(summary)}" if counts.up + counts.down else "nobody looked at it",
        _crashes(summary),
        count(counts.starts - counts.deployed, "restart"),
        count(counts.deployed, "deployment") if counts.deployed else "",
        f"down for {duration(counts.down)} in all" if counts.down else "",
        f"back after {duration(counts.recovery)} (median)" if counts.recovery is not None else "",
        "**not back from the last crash**" if counts.not_back else "",
    )
    return f"**Server:** {line}"


def _crashes(summary: NightSummary) -> str:
    counts = summary.counts
    before = f"{counts.crashes_before} of {counts.kinds_before}" if counts.crashes_before else "none"
    of_kinds = f" of {count(counts.kinds, 'kind')}" if counts.kinds else ""
    return f"{count(counts.crashes, 'crash', 'crashes')}{of_kinds} (night before: {before})"


def _share(summary: NightSummary) -> str:
    """Never rounded up to a full 100."""
    counts = summary.counts
    percent = 100 * counts.up / (counts.up + counts.down)
    if counts.down and percent > 99.9:
        return "99.9 %"
    return f"{percent:.1f} %" if counts.down else "100 %"


def crash_line(summary: NightSummary) -> str:
    """By signature, the most frequent first, against the night before."""
    kinds = [_kind(each) for each in summary.crashes[:SHOWN]]
    more = len(summary.crashes) - SHOWN
    return f"**Crashes:** {join(*kinds, f'and {more} more' if more > 0 else '')}" if kinds else ""


def _kind(line: CrashLine) -> str:
    before = f" (night before: {line.before})" if line.before else ""
    return f"{code(line.title, 60)} ×{line.crashes}{before}"


def merge_part(branches: Sequence[BranchLine]) -> str:
    """The exact words to type. What is not to be merged stands apart."""
    merged = [each for each in branches if each.setback is None]
    picked = [each for each in branches if each.setback is not None]
    parts = [_bring_all("To merge", merged) if merged else "", _bring_all("To bring in", picked) if picked else ""]
    return "\n\n".join(part for part in parts if part)


def _bring_all(heading: str, branches: Sequence[BranchLine]) -> str:
    first = branches[0]
    where = f"in your checkout on {code(first.base) if first.base else 'its base branch'}; `git push` follows"
    commands = [f"git fetch {_word(first.remote)}", *map(_bring, branches)]
    owed = [f"{code(each.name)} is not all on the remote yet" for each in branches if not each.pushed]
    why = [f"{say_setback(each.setback)}: {PICKED}" for each in branches if each.setback]
    riders = [rider for each in branches for rider in each.riders if not each.setback]
    brings = [f"**It brings {count(len(riders), 'commit')} that nobody wants live, or not yet:**"] if riders else []
    lines = [f"- {say_rider(each)}" for each in riders[:SHOWN]]
    more = [f"and {len(riders) - SHOWN} more"] if len(riders) > SHOWN else []
    return "\n".join([f"**{heading}**, {where}", block("\n".join(commands)), *owed, *why, *brings, *lines, *more])


def _bring(branch: BranchLine) -> str:
    if branch.setback is None:
        return f"git merge {_word(branch.remote)}/{_word(branch.name)}"
    return f"git cherry-pick {' '.join(_word(each[:12]) for each in branch.setback.picks)}"


def _word(text: str) -> str:
    """Names of remotes and branches, which need no quoting; anything else is not typed by anybody."""
    return "".join(each for each in text if each.isalnum() or each in "-_./")


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
