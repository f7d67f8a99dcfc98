"""What the bot answers to people: questions, confirmations, refusals, errors. Pure functions.

The other texts are beside it: cards.py (the card of a crash), posts.py (threads and news), status.py, with the forms in
markup.py and Discord's limits in limits.py. Names of people and all else that came from elsewhere are neutralised here.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from enum import Enum
from typing import assert_never

from bot.markup import ago, code, count, duration, plain, prose, short
from bot.payloads import Button, Embed, Message, Style
from pipeline.model import Actor, Done, FixLine, Impossible, RestartPlan, RevertPlan

OPERATOR_SETTING = "DISCORD_OPERATOR_ROLE_IDS"
ASK_AGAIN_AFTER = timedelta(minutes=15)


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


def under_way() -> Message:
    return Message(content="This is being done already; it was not done twice.")


def not_understood(reason: str) -> Message:
    return Message(content=f"{prose(reason)} Nothing was changed.")


def failed(what: str, phase: Phase) -> Message:
    """A fault of ours. The details are in the log, not here."""
    order = f"/{what}" if what else "this"
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


def bare(message: Message) -> Message:
    """The same news with nothing in it that Discord could refuse: for when it refused the full form."""
    embed = message.embed or Embed()
    text = "This message could not be shown as it should be; the log of the bot has the reason."
    return Message(embed=replace(embed, description=text, fields=()))


# --- questions -------------------------------------------------------------------------------------------------------


def ask_revert(plan: RevertPlan) -> Message:
    fix = f"{code(short(plan.commit))} *{plain(plan.subject)}*"
    watched = "It is still being verified: the revert waits for that. " if plan.verifying else ""
    outage = _outage(plan.down_seconds, plan.players)
    text = f"Revert {fix}? {watched}Builds and deploys the branch without it; the server goes down{outage}."
    buttons = (
        Button("Revert", f"confirm-revert:{plan.commit}", Style.DANGER),
        Button("Keep", f"keep:{plan.commit}"),
    )
    return Message(content=text, buttons=buttons)


def ask_restart(plan: RestartPlan, delay: timedelta, reason: str) -> Message:
    when = "now" if not delay else f"in {duration(delay.total_seconds())}"
    lines = [f"Restart the server {when}? It goes down{_outage(plan.down_seconds, plan.players)}."]
    if plan.brings:
        lines.append("It brings with it: " + ", ".join(f"*{plain(each)}*" for each in plan.brings[:5]))
    if reason:
        lines.append(f"Reason: {plain(reason)}")
    confirm = f"restart:{int(delay.total_seconds())}:{reason}"
    buttons = (Button("Restart", confirm, Style.DANGER), Button("Keep running", "keep:restart"))
    return Message(content="\n".join(lines), buttons=buttons)


def _outage(down_seconds: float | None, players: int | None) -> str:
    down = f" for about {duration(down_seconds)}" if down_seconds is not None else ""
    online = f" ({count(players, 'player')})" if players is not None else ""
    return down + online


# --- confirmations: the present state, and who asked -----------------------------------------------------------------


def paused(done: Done, by: Actor, reason: str) -> Message:
    why = f": {plain(reason)}" if reason else ""
    return _done(f"Pipeline paused by {plain(by.name)}{why}.", done)


def resumed(done: Done, by: Actor) -> Message:
    return _done(f"Pipeline goes on, asked for by {plain(by.name)}.", done)


def reverting(done: Done, commit: str, by: Actor) -> Message:
    run = f" (run {code(done.run)})" if done.run else ""
    text = f"Reverting {code(short(commit))}, asked for by {plain(by.name)}{run}. The card of the crash goes on."
    return _done(text, done)


def restarting(done: Done, by: Actor, reason: str, now: datetime) -> Message:
    """With a Cancel button for as long as there is something to cancel."""
    why = f": {plain(reason)}" if reason else ""
    waits = done.due is not None and done.due > now
    when = f" {ago(done.due)}" if done.due is not None and waits else ""
    buttons = (Button("Cancel", f"cancel:{done.order}"),) if waits and done.order is not None else ()
    return _done(f"The server restarts{when}, asked for by {plain(by.name)}{why}.", done, buttons)


def cancelled(done: Done, by: Actor) -> Message:
    return _done(f"The restart was cancelled by {plain(by.name)}. The server keeps running.", done)


def approved(done: Done, run: str, by: Actor) -> Message:
    return _done(f"Run {code(run)} approved by {plain(by.name)}.", done)


def rejected(done: Done, run: str, by: Actor) -> Message:
    return _done(f"Run {code(run)} rejected by {plain(by.name)}.", done)


def deploying(done: Done, run: str, by: Actor) -> Message:
    return _done(f"Run {code(run)} goes live now, asked for by {plain(by.name)}.", done)


def starting(done: Done, by: Actor) -> Message:
    return _done(f"The server is being started, asked for by {plain(by.name)}.", done)


def kept(by: Actor) -> Message:
    return Message(content=f"Nothing was changed: {plain(by.name)} kept it as it is.")


def _done(text: str, done: Done, buttons: tuple[Button, ...] = ()) -> Message:
    return Message(content=join_sentences(text, prose(done.text)), buttons=buttons)


def join_sentences(*parts: str) -> str:
    return " ".join(part for part in parts if part)


def label_fix(fix: FixLine) -> str:
    """A line of the completion of /revert; shown as plain text by Discord, so nothing is escaped."""
    state = " (reverted)" if fix.reverted else ""
    return f"{short(fix.commit)} {' '.join(fix.subject.split())}{state}"
