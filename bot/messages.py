"""What the bot answers to people: confirmations, refusals, errors. Pure functions.

The other texts are beside it: questions.py (what is asked before), cards.py (the card of a crash), posts.py (threads
and news), status.py, with the forms in markup.py and Discord's limits in limits.py. Names of people and all else that
came from elsewhere are neutralised here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import assert_never

from bot.markup import ago, begin_sentence, code, duration, name_build, plain, prose, short
from bot.payloads import Button, Embed, Message, Style
from pipeline.model import Actor, Done, FixState, Impossible, RunKind, RunState
from pipeline.read_models import FixLine, OrderEnd
from pipeline.status_models import RunLine

OPERATOR_SETTING = "DISCORD_OPERATOR_ROLE_IDS"
ASK_AGAIN_AFTER = timedelta(minutes=5)  # what a question rests on has changed by then


class Phase(Enum):
    """How far an order had come when something went wrong."""

    BEFORE = "nothing was done"
    DURING = "whether it was done is not known"
    AFTER = "it was done"


# --- refusals and failures -------------------------------------------------------------------------------------------


def not_allowed() -> Message:
    text = (
        f"You may read but not order here: that takes one of the roles in `{OPERATOR_SETTING}`"
        " (or your id in `DISCORD_OPERATOR_USER_IDS`). Nothing was changed."
    )
    return Message(content=text)


def wrong_place(where: str) -> Message:
    return Message(content=f"Orders are taken in the server this bot belongs to, not {where}. Nothing was changed.")


def unknown_action() -> Message:
    return Message(content="This button is of another version of the bot. Nothing was changed.")


def question_lapsed() -> Message:
    minutes = int(ASK_AGAIN_AFTER.total_seconds() // 60)
    old = f"This question is older than {minutes} min and what it says may no longer hold."
    return Message(content=f"{old} Nothing was changed; ask again.")


def question_answered() -> Message:
    return Message(content="This question was answered already; nothing more was done.")


def under_way() -> Message:
    return Message(content="This is being done already; it was not done twice.")


def not_understood(reason: str) -> Message:
    return Message(content=f"{prose(reason)} Nothing was changed.")


def failed(what: str, phase: Phase, obstacle: str = "") -> Message:
    """A fault of ours: the details are in the log, not here. What the machine puts in the way is said with its cure."""
    order = f"/{what}" if what else "this"
    if obstacle and phase is Phase.BEFORE:
        return Message(content=f"{code(order)} cannot be answered now, and **nothing was done**: {prose(obstacle)}.")
    match phase:
        case Phase.BEFORE:
            text = f"{code(order)} met an error and **nothing was done**. The log of the bot has the details."
        case Phase.DURING:
            text = f"{code(order)} met an error half-way: **it may have been done or not**. `/status` and the log tell."
        case Phase.AFTER:
            text = f"{code(order)} **was done**, only its answer met an error. The log of the bot has the details."
        case _:
            assert_never(phase)
    return Message(content=text)


def too_late(what: str, actor: Actor) -> Message:
    """Sent as an ordinary message of the channel, when the answer could no longer be given."""
    who = f" ({plain(actor.name)} asked for it)" if actor.name else ""
    return Message(content=f"Discord gave us no time to answer, but {what} **was** done{who}; see the card.")


def impossible(outcome: Impossible) -> Message:
    said = "" if "nothing was changed" in outcome.reason.lower() else " Nothing was changed."
    return Message(content=prose(outcome.reason.strip()) + said)


def not_found(outcome: Impossible) -> Message:
    """An answer to a question; nothing could have been changed."""
    return Message(content=prose(outcome.reason.strip()))


def bare(message: Message) -> Message:
    """The same news with nothing in it that Discord could refuse: for when it refused the full form."""
    embed = message.embed or Embed()
    text = "This message could not be shown as it should be; the log of the bot has the reason."
    return Message(embed=replace(embed, description=text, fields=()))


# --- confirmations: the present state, and who asked -----------------------------------------------------------------


def paused(done: Done, by: Actor, reason: str) -> Message:
    why = _why(reason)
    buttons = (Button("Resume", "resume:pipeline", Style.PRIMARY),)
    return _done(f"Pipeline paused by {plain(by.name)}{why}.", done, buttons)


def resumed(done: Done, by: Actor) -> Message:
    return _done(f"Pipeline goes on, asked for by {plain(by.name)}.", done)


def reverting(done: Done, commit: str, by: Actor) -> Message:
    run = f" (run {code(done.run)})" if done.run else ""
    text = f"Reverting {code(short(commit))}, asked for by {plain(by.name)}{run}. The card of its crash tells the rest."
    return _done(text, done)


def restarting(done: Done, by: Actor, reason: str, now: datetime) -> Message:
    return _waiting("The server restarts", done, by, reason, now)


def stopping(done: Done, by: Actor, reason: str, now: datetime) -> Message:
    if done.order is None:  # it was down already
        why = _why(reason)
        return _done(f"The server stays down until `/start-server`, asked for by {plain(by.name)}{why}.", done)
    return _waiting("The server stops", done, by, reason, now)


def rolling_back(done: Done, by: Actor, reason: str, now: datetime) -> Message:
    build = "the older build" if done.build is None else name_build(done.build)
    return _waiting(f"The server goes back to {build}", done, by, reason, now)


def _waiting(what: str, done: Done, by: Actor, reason: str, now: datetime) -> Message:
    """With a Cancel button for as long as there is something to cancel."""
    why = _why(reason)
    waits = done.due is not None and done.due > now
    when = f" {ago(done.due)}" if done.due is not None and waits else ""
    buttons = (Button("Cancel", f"cancel-order:{done.order}"),) if waits and done.order is not None else ()
    return _done(f"{what}{when}, asked for by {plain(by.name)}{why}.", done, buttons)


def cancelled(done: Done, by: Actor) -> Message:
    return _done(f"Cancelled by {plain(by.name)}: nothing of it happens.", done)


_CAME_UP = {
    "start": "The server came up",
    "rollback": "The server came up again with the older build",
}
_CARRIED_OUT = {
    "restart": "The server was told to restart",
    "stop": "The server was told to stop",
    "rollback": "The rollback was begun",
    "start": "The server was told to start",
    "pause": "The pipeline was paused",
}


def order_over(end: OrderEnd) -> Message:
    """What the answer to an order says once there is nothing to cancel any more."""
    ordered = f"the {plain(end.kind)} that {plain(end.by)} ordered"
    why = _why(end.reason)
    match end.state:
        case "up":
            came = _CAME_UP.get(end.kind, "The server came up again")
            text = f"{came} {ago(_seen(end))}, {_say_took(end)}, as {plain(end.by)} ordered{why}."
        case "held" if end.kind == "stop":
            since = f"since {ago(_seen(end))} ({_say_took(end)})"
            text = f"The server is down {since}, as {plain(end.by)} ordered{why}. `/start-server` starts it."
        case "held":
            since = f"since {ago(_seen(end))} ({_say_took(end)})"
            held = f"The server did not come up, it is held {since}, as {plain(end.by)} ordered{why}."
            text = join_sentences(held, prose(end.note))
        case "again":
            text = _say_over(end, why)
        case "over":
            text = f"This pause is over. {plain(end.by)} ordered it {ago(end.ended_at)}{why}."
        case "done":
            after = " `/start-server` starts it again." if end.kind == "stop" else ""
            begun = _CARRIED_OUT.get(end.kind, "It was carried out")
            text = f"{begun} {ago(end.ended_at)}, as {plain(end.by)} ordered{why}.{after}"
        case "cancelled":
            text = f"Cancelled by {plain(end.note)} {ago(end.ended_at)}: {ordered}. Nothing of it happened."
        case "lapsed":
            text = f"Lapsed: {ordered} was due {ago(end.due)}, and nobody was there. Nothing was changed."
        case _:
            text = f"Not carried out: {ordered}. {prose(end.note)} Nothing was changed."
    return Message(content=text)


def _seen(end: OrderEnd) -> datetime:
    return end.seen_at or end.ended_at


def _say_took(end: OrderEnd) -> str:
    """How long it took until it came of the order."""
    begun = "the rollback was begun" if end.kind == "rollback" else f"it was told to {plain(end.kind)}"
    return f"**{duration((_seen(end) - end.ended_at).total_seconds())}** after {begun}"


def _say_over(end: OrderEnd, why: str) -> str:
    """Of a hold: what lasted is told as past."""
    up = end.up_at or _seen(end)
    lasted = f"**{duration((up - _seen(end)).total_seconds())}**"
    if end.kind == "stop":
        return f"The server was down for {lasted}, as {plain(end.by)} ordered{why}. It came up again {ago(up)}."
    begun = _CARRIED_OUT.get(end.kind, "It was carried out")
    cause = f" ({prose(end.note)})" if end.note else ""
    return f"{begun}, as {plain(end.by)} ordered{why}, and was held for {lasted}{cause}. It came up {ago(up)}."


def approved(done: Done, run: str, by: Actor) -> Message:
    return _done(f"{_name_run(done, run)} approved by {plain(by.name)}.", done)


def rejected(done: Done, run: str, by: Actor, reason: str = "") -> Message:
    why = _why(reason)
    return _over(f"{_name_run(done, run)} rejected by {plain(by.name)}{why}.", run, done)


def ended(done: Done, run: str, by: Actor) -> Message:
    return _over(f"{_name_run(done, run)} cancelled by {plain(by.name)}.", run, done)


def _over(text: str, run: str, done: Done) -> Message:
    """Nothing more comes of it by itself; what was built already is reverted first."""
    return _done(
        join_sentences(text, prose(done.text), f"{code(f'/retry {run}')} begins anew."), replace(done, text="")
    )


def retried(done: Done, run: str, by: Actor) -> Message:
    again = f" as run {code(done.run)}" if done.run else ""
    name = _name_run(done, run)
    return _done(f"{name} is tried again{again}, asked for by {plain(by.name)}. Its card tells the rest.", done)


def _name_run(done: Done, run: str) -> str:
    """`Fix for Map::Update (run 9f3c21aa)`."""
    if not done.subject:
        return f"Run {code(run)}"
    what = {RunKind.FIX: "Fix for ", RunKind.REVERT: "Revert of ", RunKind.UPDATE: "Update "}[done.kind]
    return f"{what}{code(done.subject)} (run {code(run)})"


def updating(done: Done, commit: str, by: Actor) -> Message:
    run = f" (run {code(done.run)})" if done.run else ""
    return _done(f"The base moves to {code(short(commit))}, asked for by {plain(by.name)}{run}; see its card.", done)


def deploying(done: Done, run: str, by: Actor) -> Message:
    when = "goes live as soon as it can" if done.text else "goes live now"
    return _done(f"{_name_run(done, run)} {when}, asked for by {plain(by.name)}.", done)


def starting(done: Done, by: Actor) -> Message:
    """It has words where the order has to wait: why, and what ends that."""
    if not done.text:
        return Message(content=f"The server is being started, asked for by {plain(by.name)}.")
    waits = f"{begin_sentence(prose(done.text))}. Until then this order waits."
    return Message(content=f"The server is to be started, asked for by {plain(by.name)}. {waits}")


def kept(by: Actor) -> Message:
    return Message(content=f"Nothing was changed: {plain(by.name)} kept it as it is.")


def _done(text: str, done: Done, buttons: tuple[Button, ...] = ()) -> Message:
    return Message(content=join_sentences(text, prose(done.text)), buttons=buttons)


def _why(reason: str) -> str:
    """Of a sentence whose stop comes behind it."""
    return f": {plain(reason.rstrip('. '))}" if reason else ""


def join_sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def label_run(run: RunLine) -> str:
    """A line of a completion of runs; shown as plain text by Discord."""
    of = "putting back of " if run.puts_back else "" if run.kind is RunKind.FIX else f"{run.kind} of "
    state = _OUTCOMES.get(run.fix_state) if run.state is RunState.SUCCEEDED else None
    return f"{run.id} {of}{' '.join(run.subject.split())} ({state or run.state.lower().replace('_', ' ')})"


_OUTCOMES: dict[FixState | None, str] = {FixState.RECURRED: "came back after its fix", FixState.REVERTED: "reverted"}


def label_fix(fix: FixLine) -> str:
    """A line of the completion of /revert; shown as plain text by Discord, so nothing is escaped."""
    state = " (reverted)" if fix.reverted else ""
    return f"{short(fix.commit)} {' '.join(fix.subject.split())}{state}"
