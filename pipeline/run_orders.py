"""What people order of runs: approve, reject, cancel, deploy now, retry."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import assert_never

from pipeline import policy
from pipeline.change_orders import begin_revert, update
from pipeline.model import (
    LIVE,
    STATE_WORDS,
    Approval,
    Done,
    Impossible,
    Outcome,
    Question,
    Run,
    RunKind,
    RunState,
    Verdict,
)
from pipeline.points import point
from pipeline.stages import carrying, deploying, finding, rolling_back, wish
from pipeline.tools import Tools

# Where a run can still be taken back; what goes live or is pushed at this moment is reverted instead.
REJECTABLE = (
    RunState.ANALYZING,
    RunState.PROPOSED,
    RunState.READY,
    RunState.AWAITING_APPROVAL,
    RunState.AWAITING_DEPLOYMENT,
)
CANCELLABLE = (*REJECTABLE, RunState.PATCHING, RunState.BUILDING)
RETRYABLE = (RunState.FAILED, RunState.CANCELLED, RunState.PROPOSED, RunState.ROLLED_BACK)
WHILE_PAUSED = "The pipeline is paused: it is asked now, and what comes back waits for `/resume`."
THROUGH = "The pipeline is paused; what a person orders goes through all the same."
SHOWN = timedelta(seconds=20)  # how long a question must have stood for a yes that does not name it
_QUESTIONS = {
    Question.PATCH: "may its patch be applied?",
    Question.DEPLOY: "may its build go live?",
    Question.BASE: "may the night branch begin where its card says?",
}
STOPPED = "The server is stopped: it goes live with the next start."


def find(tools: Tools, run: str) -> Run | Impossible:
    found = tools.store.get_run(run.strip().lower())
    return found if found is not None else Impossible(f"There is no run `{run[:20]}`.")


def _done(about: Run, text: str = "", run: str | None = None) -> Done:
    """`run` = the one that goes on with it, None = that very one."""
    return Done(text, run or about.id, subject=about.subject, kind=about.kind)


# --- yes -------------------------------------------------------------------------------------------------------------


def approve(tools: Tools, run: str, by: str, asks: str | None = None) -> Outcome:
    """A build contains every run before it on the branch: approving one approves and names them all. `asks` = the
    question that the person saw (`Run.asks`): a yes to one is none to the next. None = the one that it asks, unless
    that followed on another a moment ago."""
    found = find(tools, run)
    if isinstance(found, Impossible):
        return found
    if found.state is not RunState.AWAITING_APPROVAL or found.question is None:
        return Impossible(f"Run `{found.id}` asks for nothing: it is {STATE_WORDS[found.state]}.")
    if asks is not None and asks != found.asks:
        return Impossible(f"Run `{found.id}` asks something else by now: look at its card again.")
    if asks is None and _asks_since_a_moment(tools, found):
        return Impossible(
            f"Run `{found.id}` asks something else since a moment ago: {_QUESTIONS[found.question]} Its card shows it: "
            f"the button there says yes at once, `/approve` once it has stood for {SHOWN.seconds} s."
        )
    below = carrying.list_below(tools, found) if found.question is Question.DEPLOY else []
    with tools.store.together():
        _approve(tools, found, below, by)
    return _done(found, " ".join(filter(None, (_say_allowed(tools, found, found.question), _name_below(below)))))


def _asks_since_a_moment(tools: Tools, run: Run) -> bool:
    """Whether it has asked before, and whoever types an answer may have begun while that question stood."""
    asked = [at for at, _, after, _ in tools.store.history(run.id) if after == RunState.AWAITING_APPROVAL]
    return len(asked) > 1 and timedelta() <= tools.now() - asked[-1] < SHOWN


def _say_allowed(tools: Tools, run: Run, question: Question) -> str:
    """What the yes was to, and whether another question follows."""
    match question:
        case Question.PATCH:
            return "Its patch may be applied."
        case Question.DEPLOY:
            return "Its build may go live."
        case Question.BASE:
            place = f"`{run.base[:12]}`" if run.base else "the head of the base branch"
            asks_patch = tools.realm.approval is Approval.PATCH and run.kind is RunKind.FIX
            follows = " Its card asks next whether the patch may be applied."
            more = follows if asks_patch and Question.PATCH not in run.answered else ""
            return f"The night branch may begin at {place}.{more}"
        case _:
            assert_never(question)


def _approve(tools: Tools, run: Run, below: Sequence[Run], by: str) -> None:
    for each in (run, *below):
        _say_yes(tools, each, f"{run.question} approved by {by}")


def _name_below(below: Sequence[Run]) -> str:
    named = ", ".join(f"`{each.subject}`" for each in below)
    return f"Its build contains these too, which are approved with it: {named}." if below else ""


def _say_yes(tools: Tools, run: Run, note: str) -> None:
    question = run.question or Question.PATCH
    back = RunState.AWAITING_DEPLOYMENT if question is Question.DEPLOY else RunState.READY
    answered = (*run.answered, question)
    tools.store.advance(run, back, tools.now(), note=note, question=None, answered=answered, reason=None)


def deploy_now(tools: Tools, run: str, by: str) -> Outcome:
    found = find(tools, run)
    if isinstance(found, Impossible):
        return found
    asked = found.question is Question.DEPLOY and found.state is RunState.AWAITING_APPROVAL
    below = carrying.list_below(tools, found) if asked else []
    with tools.store.together():
        if asked:
            _approve(tools, found, below, by)
            found = tools.store.get_run(found.id) or found
        if found.state is not RunState.AWAITING_DEPLOYMENT:
            return Impossible(f"Run `{found.id}` does not wait for a deployment: it is {STATE_WORDS[found.state]}.")
        answered = (*found.answered, policy.NOW)
        tools.store.advance(found, found.state, tools.now(), answered=answered, not_before=None)
    waits = STOPPED if wish.is_stopped(tools) else name_wait(tools, found)
    return _done(found, " ".join(filter(None, (_name_below(below), waits))))


def name_wait(tools: Tools, run: Run) -> str:
    """Why it does not go now, "" = it does."""
    veto = carrying.find_hindrance(tools, carrying.look_at(tools, run.commit or "", [run]))
    return "" if veto is None else f"It goes as soon as it may: {veto.words}."


# --- no --------------------------------------------------------------------------------------------------------------


def reject(tools: Tools, run: str, by: str, reason: str, end: Callable[[str], None]) -> Outcome:
    words = f"{policy.REJECTED} {by}" + (f": {reason}" if reason else "")
    return take_back(tools, run, by, words, REJECTABLE, end)


def cancel(tools: Tools, run: str, by: str, end: Callable[[str], None]) -> Outcome:
    return take_back(tools, run, by, f"{policy.CALLED_OFF} {by}", CANCELLABLE, end)


def take_back(
    tools: Tools, run: str, by: str, words: str, where: Sequence[RunState], end: Callable[[str], None]
) -> Outcome:
    """The run is over; what it is doing at this moment is told to `end`; what it has built already is reverted."""
    found = find(tools, run)
    if isinstance(found, Impossible):
        return found
    if found.state not in where:
        return Impossible(why_not(found))
    if (refused := find_refused(tools, found)) is not None:
        return Impossible(f"{refused} To bring it back on purpose: `/revert {(found.commit or '')[:7]}`.")
    revert, untold = None, ""
    with tools.wishing, tools.store.together():
        tools.store.advance(found, RunState.CANCELLED, tools.now(), note=words, reason=words, question=None)
        if found.commit is not None and is_built(tools, found):
            revert = begin_revert(tools, found, (found.commit,), by)
            deploying.drop_standby(tools, tools.keeper.observed(), words)
            untold = deploying.tell_keeper(tools)
    point("revert.noted")
    end(found.id)
    if revert is None:
        return _done(found)
    words = f"It was built and committed already: run `{revert.id}` reverts it. {untold}".rstrip()
    return _done(found, words, revert.id)


def find_refused(tools: Tools, run: Run) -> str | None:
    """What a revert that has been built takes out, where nobody wants that live; None = it may be taken back."""
    if (
        not run.undoes
        or not is_built(tools, run)
        or finding.holds_any(tools, finding.running_commit(tools), run.undoes)
    ):
        return None
    undone = [each for each in map(tools.store.get_run_by_commit, run.undoes) if each is not None]
    named = ", ".join(f"`{each.subject}` ({STATE_WORDS[each.state]})" for each in undone)
    return f"Run `{run.id}` takes out {named}, which nobody wants live: what was built since would bring it."


def why_not(run: Run) -> str:
    """What to do instead."""
    match run.state:
        case RunState.PATCHING | RunState.BUILDING:
            return f"Run `{run.id}` is {STATE_WORDS[run.state]}: `/cancel` ends that."
        case RunState.PUBLISHING:
            return f"Run `{run.id}` is being pushed at this moment: `/revert` takes it back in a few seconds."
        case RunState.DEPLOYING | RunState.VERIFYING | RunState.ROLLING_BACK:
            words = STATE_WORDS[run.state]
            return f"Run `{run.id}` is {words}: too late for that. `/revert` or `/rollback` takes it back."
        case RunState.SUCCEEDED:
            return f"Run `{run.id}` is live: `/revert` takes it back."
        case _:
            return f"Run `{run.id}` is over already: it {say_end(run)}."


def say_end(run: Run) -> str:
    """As its card tells it: who called it off, or that it cured nothing."""
    if run.state is RunState.CANCELLED and (run.reason or "").startswith(policy.NOES):
        return f"was {run.reason}"
    if run.verdict is Verdict.NOT_CURED:
        return "did not cure its crash"
    return f"is {STATE_WORDS[run.state]}"


def is_built(tools: Tools, run: Run) -> bool:
    build = None if run.commit is None else tools.store.get_build(run.commit)
    return build is not None and build.state == "built"


# --- again, and back -------------------------------------------------------------------------------------------------


def retry(tools: Tools, run: str, by: str) -> Outcome:
    """A new run on the same card. What is asked again knows what became of this one."""
    with tools.beginning, tools.store.together():  # its crash may be judged in the same moment
        found = find_retryable(tools, run)
        if isinstance(found, Impossible):
            return found
        if found.kind is not RunKind.UPDATE:
            return try_again(tools, found, by)
    return update(tools, by)


def find_retryable(tools: Tools, run: str) -> Run | Impossible:
    """The run, where nobody works on the same and nothing has mended it."""
    found = find(tools, run)
    if isinstance(found, Impossible):
        return found
    if found.state not in RETRYABLE:
        return Impossible(f"Run `{found.id}` is {STATE_WORDS[found.state]}: there is nothing to try again.")
    other = find_other(tools, found)
    if other is not None and other.state is RunState.PROPOSED:
        return Impossible(
            f"Run `{other.id}` is about the same and waits for a person: `/retry {other.id}` asks anew, "
            f"`/reject {other.id}` closes it."
        )
    if other is not None:
        return Impossible(f"Run `{other.id}` works on the same already: it is {STATE_WORDS[other.state]}.")
    live = find_live(tools, found)
    if live is not None:
        return Impossible(f"Run `{live.id}` has fixed it since, in `{(live.commit or '')[:7]}`. Nothing was changed.")
    return found


def try_again(tools: Tools, run: Run, by: str) -> Done:
    again = begin_again(tools, run, by)
    if run.state is RunState.PROPOSED:
        words = f"tried again as run {again.id}, asked for by {by}"
        tools.store.advance(run, RunState.CANCELLED, tools.now(), note=words, reason=words)
    paused = WHILE_PAUSED if again.kind is RunKind.FIX else THROUGH
    return _done(run, paused if tools.store.get_pause() is not None else "", again.id)


def begin_again(tools: Tools, run: Run, by: str) -> Run:
    return begin_revert(tools, run, run.undoes, by) if run.kind is RunKind.REVERT else ask_again(tools, run, by)


def find_other(tools: Tools, run: Run) -> Run | None:
    """A run that is not over and is about the same."""
    for each in tools.store.list_unfinished_runs():
        same = each.signature == run.signature if run.signature is not None else each.subject == run.subject
        if each.id != run.id and each.kind is run.kind and same:
            return each
    return None


def find_live(tools: Tools, run: Run) -> Run | None:
    """A later fix of the same crash that is live and holds."""
    if run.kind is not RunKind.FIX or run.signature is None:
        return None
    later = [each for each in tools.store.list_runs_of_signature(run.signature) if each.created_at > run.created_at]
    return next((each for each in later if each.fix_state in LIVE), None)


def ask_again(tools: Tools, run: Run, by: str) -> Run:
    now, name = tools.now(), secrets.token_hex(4)
    again = Run(
        name, RunKind.FIX, RunState.ANALYZING, tools.night(), run.signature, run.subject, now, now, request_id=name,
        retry_of=run.id, asked_by=by,
    )  # fmt: skip
    before = rolling_back.attempt_of(run, f"a person asked again after it was {run.state}", run.reason or "")
    previous = [*tools.store.get_previous(run.id), before]
    return tools.store.add_run(again, now, card=tools.store.get_card_of_run(run.id), previous=previous)
