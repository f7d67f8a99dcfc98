"""The facts that a card is put together from: each a short text of one line, empty where nothing is known."""

from __future__ import annotations

from typing import assert_never

from bot import markup
from bot.limits import cut_middle
from bot.markup import ago, code, commit_link, count, duration, is_ours, join, name_build, plain, prose
from pipeline.card_models import CardView, DeploymentView
from pipeline.keeper.protocol import ServerState
from pipeline.model import LIVE, Run, RunKind, RunState
from pipeline.policy import MOST_RETURNS


def server_line(view: CardView) -> str:
    """How the server is after this crash."""
    if view.back_after is not None:
        took = f"**{duration(view.back_after)}**"
        return f"Server back after {took}" if view.end_seen else f"Server back after at most {took}: nobody saw it die"
    return server_now(view)


def server_now(view: CardView) -> str:
    match view.server:
        case None:
            return "**The keeper does not answer; whether the server runs is not known**"
        case ServerState.READY:
            return "Server up"
        case ServerState.STARTING:
            return "Server is starting again"
        case ServerState.BACKOFF:
            return f"**Server is down**{down_since(view)}, the next start waits"
        case ServerState.SWAPPING:
            return f"Server is down{down_since(view)} while a build is put in place"
        case ServerState.STOPPING:
            return "Server is stopping"
        case ServerState.HELD | ServerState.ABSENT:
            return f"**Nothing is running**{down_since(view)}"
        case _:
            assert_never(view.server)


def down_since(view: CardView) -> str:
    return f" since {ago(view.down_since)}" if view.down_since else ""


def crash_line(view: CardView) -> str:
    report = view.report
    category = prose(report.category) if report and report.category else ""
    return join(f"{category} {place(view)}".strip(), seen(view), ran(view))


def ran(view: CardView) -> str:
    """What the server ran when it crashed, which it need not run any more."""
    if not view.running:
        return ""
    what = code(markup.revision(view.running)) if is_ours(view.running) else name_build(view.running)
    return f"it ran {what}" + (", taken back since" if view.running_gone else "")


def place(view: CardView) -> str:
    frame = view.report.frame if view.report else None
    if frame is None or frame.file is None:
        return ""
    name = frame.file.replace("\\", "/").rsplit("/", 1)[-1]
    return f"at {code(name if frame.line is None else f'{name}:{frame.line}')}"


def seen(view: CardView) -> str:
    if view.occurrences <= 1 and not view.before:
        return "first time seen"
    tonight = f"{count(view.occurrences, 'time')} tonight" if view.occurrences else ""
    return join(tonight, f"{count(view.before, 'time')} before" if view.before else "")


def seen_again(view: CardView) -> str:
    if view.occurrences <= 1:
        return ""
    last = f", last {ago(view.last_seen)}" if view.last_seen else ""
    return f"**crashed {count(view.occurrences, 'time')} tonight**{last}"


def cause(run: Run) -> str:
    summary = run.analysis.summary if run.analysis else None
    return f"**{prose(cut_middle(' '.join(summary.split()), 600))}**" if summary else ""


def confidence(run: Run) -> str:
    sure = run.analysis.confidence if run.analysis else None
    return f"Confidence {plain(sure)}" if sure else ""


def changes(view: CardView) -> str:
    if not view.changes:
        return ""
    added, removed = sum(each.added for each in view.changes), sum(each.removed for each in view.changes)
    return f"{count(len(view.changes), 'file')}, +{added} −{removed}"


def fix_link(view: CardView) -> str:
    if view.fix is None:
        return ""
    branch = f" on {code(view.fix.branch)}" if view.fix.branch else ""
    undone = f", takes back {commit_link(view.undone.commit, view.undone.url)}" if view.undone else ""
    return commit_link(view.fix.commit, view.fix.url) + branch + undone


def asked(run: Run) -> str:
    return f"asked for by {plain(run.asked_by)}" if run.asked_by else ""


def reason(run: Run) -> str:
    return prose(cut_middle(run.reason, 800)) if run.reason else ""


def first_diagnostic(view: CardView) -> str:
    more = len(view.diagnostics) - 1
    return join(
        code(str(view.diagnostics[0]), 300), f"+{more} more, log in the thread" if more > 0 else "log in the thread"
    )


def say_death(title: str, link: str | None) -> str:
    """Where its stack is; `link` to its card."""
    name = f"[{code(title)}]({link}), also by " if link else ""
    return f"what it died of: {name}{code(f'/crash {title}')}"


_ANSWERED = "`docs/analysts.md` says how to answer"
_QUEUE = "`ANALYST_QUEUE_DIR` (unless set, `queue` in the state folder)"


def say_request(request_id: str) -> str:
    """Where whoever answers by hand finds it; the folder is a setting, and its path stays on the machine."""
    request = code(f"requests/request_{request_id}.json")
    return f"**Its request waits for an answer:** {request} in {_QUEUE}; {_ANSWERED}"


def say_try(number: int) -> str:
    """Of those that an analyst has before a run is given up."""
    return f"try {number} of {MOST_RETURNS + 1}"


def say_requests(number: int, folder: str = _QUEUE) -> str:
    """The same of all that wait, once; "" = none does. `folder` = the queue, as whoever reads it may know it."""
    if not number:
        return ""
    waits = f"{count(number, 'request')} {'waits' if number == 1 else 'wait'} for an answer"
    return f"**{waits}**, in `requests` of {folder}; {_ANSWERED}"


def roughly(seconds: float) -> str:
    return f"{round(seconds / 60)} min" if seconds >= 90 else duration(seconds)


LOOK_WORDS = {
    RunState.PROPOSED: "**needs a look**",
    RunState.FAILED: "**given up: needs a person**",
    RunState.AWAITING_DEPLOYMENT: "**built, and may not go live: needs a person**",
    RunState.ROLLED_BACK: "**rolled back, so it still crashes: needs a person**",
}


# Rolled back, and no fix: what is live without it.
WITHOUT = {
    RunKind.REVERT: "**rolled back: what it had taken back is live again**",
    RunKind.UPDATE: "**rolled back: what it had brought is not live**",
}
WITHDRAWN_WORDS = {RunState.CANCELLED: "taken back", RunState.ROLLED_BACK: "rolled back"}  # by people; by its verdict


def owed(run: Run) -> str:
    return "" if run.pushed else "not on the remote yet"


def outage(deployment: DeploymentView | None) -> str:
    """What is over."""
    if deployment is None or deployment.down_seconds is None:
        return ""
    return f"was down for {duration(deployment.down_seconds)}"


def name_previous(deployment: DeploymentView | None) -> str:
    if deployment is None or deployment.previous is None:
        return ""
    name = name_build(deployment.previous, deployment.previous_commit)
    return f"the previous build {name}" if is_ours(deployment.previous) else name


def taken_back_line(view: CardView) -> str:
    """Why a crash that was fixed is asked about again."""
    back = view.taken_back
    if back is None:
        return ""
    fix, by = commit_link(back.fix.commit, back.fix.url), back.revert
    revert = commit_link(by.commit, by.url) if by is not None else "a revert that has no commit yet"
    if back.over:
        return f"**Its fix {fix} was taken back** by {revert}: a new one is asked for"
    return f"**Its fix {fix} is being taken back** by {revert}: a new one is asked for already"


def withdrawn(view: CardView) -> str:
    """What became of a change that was taken back before it was live, and of its commit."""
    if view.withdrawn is None or view.run is None:
        return ""
    word = "was" if view.run.state is RunState.SUCCEEDED else "is being"
    fix = commit_link(view.withdrawn.fix.commit, view.withdrawn.fix.url)
    taken = f"{fix} {word} reverted" + (f" in {fix_link(view)}" if view.fix else "")
    return f"{join(f'**{prose(view.withdrawn.reason)}**', 'it was never live', unmended(view))}\n{taken}"


def unmended(view: CardView) -> str:
    return "" if view.mended else "the crash is not mended"


def live_since(view: CardView) -> str:
    deployment = view.deployment
    return f"live since {ago(deployment.ready_at)}" if deployment and deployment.ready_at else ""


NOT_RUNNING = "not in what runs now: a rollback went further back, and the next build of its branch brings it again"
ONLY_TAKEN_BACK = "seen only in a build that was taken back"


def history(view: CardView) -> str:
    """How often it crashed; `0 since` only where a fix is watched and nothing of the kind was seen."""
    times = view.before + view.occurrences
    quiet = view.run is not None and view.run.fix_state in LIVE
    last = f", last {ago(view.last_seen)}" if view.last_seen else ""
    return f"crashed {count(times, 'time')}{' before, 0 since' if quiet else last}" if times else ""
