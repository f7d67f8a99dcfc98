"""What needs a person, in words: the same line wherever it is read."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import assert_never

from bot.cards import Home
from bot.facts import LOOK_WORDS, WITHDRAWN_WORDS, WITHOUT, say_death
from bot.limits import cut_middle
from bot.markup import ago, code, count, join, plain, prose, short, size, web_link
from pipeline import obstacles
from pipeline.keeper.protocol import Hold
from pipeline.model import OURS, Question, RunKind, RunState
from pipeline.status_models import Need, Rider, RunLine, Setback, Topic

SHOWN_RIDERS = 3
YOU, SOMEBODY = "you", "an operator"  # who is needed, as an operator and as a guest reads it

HOLD_WORDS = {
    Hold.EXIT_ZERO: "it was shut down",
    Hold.BREAKER: "it died too often",
    Hold.FOREIGN: "somebody else looks after it",
    Hold.SWAP: "its files fit no build",
    Hold.STOPPED: "an operator stopped it",
}
QUESTIONS = {
    Question.PATCH: "its patch",
    Question.DEPLOY: "its deployment",
    Question.BASE: "the commit to begin at",
}


_OTHER_FIRST = "end that one: the hold then ends by itself"  # no order lifts it


def count_needs(needs: Sequence[Need], who: str = YOU) -> str:
    """`3 things need you`."""
    return f"{count(len(needs), 'thing')} {'needs' if len(needs) == 1 else 'need'} {who}"


def say_need(need: Need, home: Home | None = None) -> str:
    detail = prose(cut_middle(need.detail, 200))
    match need.topic:
        case Topic.SERVER:
            return _server(need)
        case Topic.PAUSE:
            when = _moment(need) if need.subject == OURS and not need.ordered else _lasting(need)
            by = "is paused by a rollback" if need.ordered else say_pauser(need.subject)
            return join(f"the pipeline {by}{when}", detail, _say_resume(need, home))
        case Topic.APPROVAL:
            asks = f" of {QUESTIONS[Question(need.question)]}" if need.question in list(Question) else ""
            return join(_of_run(need, f"**waits for an approval**{asks}", home), _order(need))
        case Topic.LOOK:
            return join(_of_run(need, _look(need), home), _order(need))
        case Topic.ANSWER:
            waits = _of_run(need, f"**waits in the queue for an answer**{_since(need)}", home)
            return join(waits, f"`/run {need.run}` names its file" if need.run else "")
        case Topic.REVIEW:
            fixes = f"{code(need.subject)} has {_changes(need)} to review"
            seen = join(f"{fixes}: {web_link('compare', need.url)}" if need.url else fixes, _uncured(need))
            return join(seen, say_setback(need.setback) if need.setback else say_riders(need.riders))
        case Topic.PUSH:
            owed = f"{code(need.subject)} **does not reach the remote**{_since(need)}"
            return join(owed, detail, "it goes there by itself once the remote takes it")
        case Topic.DEGRADED:
            return _degraded(need, detail)
        case _:
            assert_never(need.topic)


def _degraded(need: Need, detail: str) -> str:
    if need.subject == obstacles.ROOM and need.detail.isdecimal():
        return f"only {size(int(need.detail))} are free on the disk of `STATE_DIR`, where all is noted: make room there"
    return detail if need.subject else f"does not work: {detail}"  # so in summaries of earlier versions


def list_unneeded(degraded: Sequence[str], needs: Sequence[Need]) -> list[str]:
    """What does not work and is not told among what needs somebody; without a cure that is."""
    told = {each.subject: each.detail for each in needs if each.topic is Topic.DEGRADED}
    others = [each for each in degraded if each not in told.values()]
    return [each.partition(obstacles.CURE)[0] if obstacles.find_cause(each) in told else each for each in others]


def _look(need: Need) -> str:
    state = RunState(need.state or "PROPOSED")
    if state is RunState.ROLLED_BACK and need.kind in WITHOUT:
        return WITHOUT[RunKind(need.kind)]
    return LOOK_WORDS.get(state, "**needs a look**")


_CURES = {
    RunState.AWAITING_APPROVAL: "`/approve {}` or `/reject {} <reason>`",
    RunState.PROPOSED: "`/retry {}` asks anew, `/reject {} <reason>` closes it",
    RunState.FAILED: "`/retry {}` tries it again",
    RunState.ROLLED_BACK: "`/retry {}` tries it again",
}


def _order(need: Need) -> str:
    """What one can type; what may not go live says by itself what has to come first."""
    return _CURES.get(RunState(need.state), "").replace("{}", need.run) if need.state and need.run else ""


def _changes(need: Need) -> str:
    fixes = [count(need.fixes, "fix", "fixes")] if need.fixes or not need.reverts else []
    return " and ".join([*fixes, *([count(need.reverts, "revert")] if need.reverts else [])])


def _uncured(need: Need) -> str:
    """They are part of the branch, and no fixes."""
    if not need.uncured:
        return ""
    return f"with {count(need.uncured, 'commit')} that did not cure {'its' if need.uncured == 1 else 'their'} crash"


def _say_resume(need: Need, home: Home | None) -> str:
    """What to look at before, where the pipeline has paused itself over it."""
    if need.ordered:
        return "`/resume` lets it go on, when you like"
    if need.subject != OURS:
        return "`/resume` lets it go on"
    if need.crash:
        link = home.link(need.message) if need.message and home else None
        return join(say_death(need.crash, link), "then `/resume` lets it go on")
    card = f"[its card]({home.link(need.message)})" if need.message and home else "its card"
    return f"the thread of {card} has what to look at, then `/resume` lets it go on"


def say_pauser(by: str) -> str:
    """What the pipeline did, or somebody with it."""
    return "paused itself" if by == OURS else f"is paused by {plain(by)}"


def _server(need: Need) -> str:
    detail = prose(need.detail)
    match need.subject:
        case "halted":
            return detail
        case "unknown":
            return "the keeper does not answer: whether the server runs is not known"
        case "not ready":
            return join(f"the server does not get ready{_since(need, 'started')}", detail)
        case "unreported":
            seen = f"no server is seen to run; its keeper (process {detail}) lives and has reported nothing"
            return join(f"{seen}{_since(need)}", "see that it can write to the state folder")
        case "alone":
            return f"the server runs by itself (process {detail}): no keeper looks after it"
        case "gone":
            return "the server does not run, and no keeper looks after it"
        case "down":
            return f"the server does not start: {detail}"
        case Hold.STOPPED if detail:  # which says who stopped it
            return f"the server is down{_lasting(need)}: {detail} · `/start-server` starts it"
        case _:
            why = HOLD_WORDS[Hold(need.subject)] if need.subject in list(Hold) else plain(need.subject)
            cure = _OTHER_FIRST if need.subject == Hold.FOREIGN else "`/start-server` starts it"
            return join(f"the server is held{_lasting(need)}: {why}{f' ({detail})' if detail else ''}", cure)


def _since(need: Need, word: str = "since") -> str:
    return f", {word}{_moment(need)}" if need.since is not None else ""


def _lasting(need: Need) -> str:
    return f" since{_moment(need)}" if need.since is not None else ""


def _moment(need: Need) -> str:
    return f" {ago(datetime.fromtimestamp(need.since, UTC))}" if need.since is not None else ""


def _of_run(need: Need, words: str, home: Home | None) -> str:
    run = f"run {code(need.run)}" if need.run else ""
    see = f"[see]({home.link(need.message)})" if need.message and home else ""
    name = name_put_back(need.subject) if need.puts_back else name_change(need.subject, need.kind)
    return join(f"{name} {words}", run, prose(cut_middle(need.detail, 200)), see)


def name_change(subject: str, kind: str) -> str:
    """A fix goes by the name of its crash."""
    return code(subject) if kind == RunKind.FIX else f"the {plain(kind)} of {code(subject)}"


def name_put_back(subject: str) -> str:
    """A revert of a revert."""
    return f"the putting back of {code(subject)}"


def name_run(line: RunLine) -> str:
    return name_put_back(line.subject) if line.puts_back else name_change(line.subject, line.kind)


# --- what a merge would bring beside the fixes, and what it would take out -------------------------------------------


def say_setback(setback: Setback) -> str:
    """Why a branch is not to be merged."""
    taken = f"{plain(setback.subject)} was taken back in {code(short(setback.revert))}"
    return f"**do not merge it:** {taken}, and a merge would take that out of your base branch too"


def say_riders(riders: Sequence[Rider]) -> str:
    """How many, and which; "" = none."""
    if not riders:
        return ""
    shown = [f"{name_rider(each)} {_fate(each)}" for each in riders[:SHOWN_RIDERS]]
    more = [f"and {len(riders) - SHOWN_RIDERS} more"] if len(riders) > SHOWN_RIDERS else []
    return f"**a merge brings {count(len(riders), 'other commit')} too:** {', '.join([*shown, *more])}"


def say_rider(rider: Rider) -> str:
    """With what comes before a merge."""
    return f"{name_rider(rider)} {_fate(rider)}: {_cure(rider)}"


def name_rider(rider: Rider) -> str:
    return f"{name_change(rider.subject, rider.kind)} ({code(short(rider.commit))})"


def _fate(rider: Rider) -> str:
    return _FATES.get(rider.state) or ("is being reverted" if rider.reverting else "is not wanted")


def _cure(rider: Rider) -> str:
    if rider.state == RunState.AWAITING_APPROVAL:
        return f"wait until run {code(rider.run)} is approved or rejected"
    if rider.reverting:
        return "wait until its revert, which is under way, is on the branch"
    return f"`/revert` {code(short(rider.commit))} first"


_FATES: dict[str, str] = {
    RunState.AWAITING_APPROVAL: "waits for an approval",
    **{state: f"was {words}" for state, words in WITHDRAWN_WORDS.items()},
    RunState.FAILED: "has failed",
}
