"""The card of a crash: one message, edited as its run goes its way. Pure functions of what the store tells.

The first line says the present state and whether a person is needed; then what, where, since when (MESSAGES.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bot import faces_change, faces_crash, faces_over, facts, markup
from bot.faces import Face
from bot.limits import cut_middle
from bot.markup import begin_sentence, plain
from bot.payloads import Embed, Message
from pipeline.card_models import CardView
from pipeline.model import Run, RunState

ON_THE_WAY = (
    RunState.PROPOSED, RunState.READY, RunState.AWAITING_APPROVAL, RunState.PATCHING, RunState.BUILDING,
    RunState.PUBLISHING, RunState.AWAITING_DEPLOYMENT,
)  # fmt: skip


@dataclass(frozen=True)
class Home:
    """Where the channel is, for links from one message to another."""

    guild: int
    channel: int

    def link(self, message: str) -> str:
        return f"https://discord.com/channels/{self.guild}/{self.channel}/{message}"


def render_card(view: CardView, home: Home | None = None) -> Message:
    """The message of a card in its present state."""
    face = _choose(view)
    earlier = f"[The card before this one]({home.link(view.previous_card)})" if home and view.previous_card else ""
    below = (facts.withdrawn(view), _again(view), _death(view, home), earlier)
    text = "\n".join(line for line in (*face.lines, *below) if line)
    return Message(embed=Embed(face.title, text, face.colour, footer=footer(view)), buttons=face.buttons)


def _again(view: CardView) -> str:
    """That the server goes on dying of it while its fix is on the way, or waits for somebody."""
    on_the_way = view.run is not None and view.run.state in ON_THE_WAY
    return facts.seen_again(view) if on_the_way else ""


def _death(view: CardView, home: Home | None) -> str:
    """The thread of this card has no stack of what its build died of."""
    if view.death is None:
        return ""
    link = home.link(view.death.message) if home and view.death.message else None
    return begin_sentence(facts.say_death(view.death.title, link))


def footer(view: CardView) -> str:
    """Ends with the outbox id, by which a card is found in the channel again."""
    return f"{plain(view.realm)} · night of {view.night.day} {view.night:%b %Y} · #c{view.card}"


def thread_name(subject: str) -> str:
    """Names of threads have no markup; what would be a mention elsewhere is parted all the same."""
    return cut_middle(markup.hush(" ".join(markup.visible(subject).split())) or "crash", 90)


def _choose(view: CardView) -> Face:
    if faces_crash.is_held(view):
        return faces_crash.held(view)
    if view.run is not None:
        return _of_run(view, view.run)
    if view.report is not None and view.report.environment:
        return faces_crash.environment(view, view.report)
    if view.brought_again:
        return faces_crash.brought_again(view)
    return faces_crash.taken_back(view) if view.only_taken_back else faces_crash.counted(view)


def _of_run(view: CardView, run: Run) -> Face:
    match run.state:
        case RunState.ANALYZING:
            return faces_crash.analyzing(view, run)
        case RunState.PROPOSED:
            return faces_crash.proposed(view, run)
        case RunState.READY:
            return faces_crash.ready(view, run)
        case RunState.AWAITING_APPROVAL:
            return faces_change.awaiting_approval(view, run)
        case RunState.PATCHING:
            return faces_change.patching(view, run)
        case RunState.BUILDING:
            return faces_change.building(view, run)
        case RunState.PUBLISHING:
            return faces_change.publishing(view, run)
        case RunState.AWAITING_DEPLOYMENT:
            return faces_change.awaiting_deployment(view, run)
        case RunState.DEPLOYING:
            return faces_change.deploying(view, run)
        case RunState.VERIFYING:
            return faces_change.verifying(view, run)
        case RunState.ROLLING_BACK:
            return faces_change.rolling_back(view, run)
        case RunState.SUCCEEDED:
            return faces_over.succeeded(view, run)
        case RunState.ROLLED_BACK:
            return faces_over.rolled_back(view, run)
        case RunState.FAILED:
            return faces_over.failed(view, run)
        case RunState.CANCELLED:
            return faces_over.cancelled(view, run)
        case _:
            assert_never(run.state)
