"""The answer of /status. A pure function of the pipeline's own view."""

from __future__ import annotations

import os
import platform
import socket
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from typing import assert_never

from bot import markup
from bot.facts import LOOK_WORDS, WITHDRAWN_WORDS, WITHOUT, say_requests
from bot.markup import ago, code, commit_link, count, is_ours, join, name_build, plain, prose, size
from bot.needs import QUESTIONS, YOU, count_needs, list_unneeded, name_run, say_need
from bot.payloads import Colour, Embed, Field, Message
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import Awaits, FixState, Question, RunState
from pipeline.status_models import OrderLine, RunLine, Stale, StatusView

SHOWN_RUNS = 8


@dataclass(frozen=True)
class Instance:
    """The bot that answers: it holds the lock of its state folder."""

    pid: int
    host: str
    since: datetime
    versions: str  # of what it stands on


def find_instance(now: datetime) -> Instance:
    versions = f"Python {platform.python_version()}, discord.py {metadata.version('discord.py')}"
    return Instance(os.getpid(), socket.gethostname(), now, versions)


def render_status(view: StatusView, instance: Instance | None = None, who: str = YOU) -> Message:
    """For `who` reads it. First whether a person is needed, then server, runs, branch, and what does not work."""
    state, colour = _state(view)
    fields = [Field("Server", _server(view)), Field("Pipeline", _pipeline(view, who))]
    if others := list_unneeded(view.degraded, view.needs):
        fields.append(Field("Does not work", "\n".join(f"- {prose(each)}" for each in others)))
    if instance is not None:
        fields.append(Field("Bot", _bot(view, instance)))
    embed = Embed(
        title=markup.title("{}: ", view.realm, state),
        description=_needs(view, who),
        colour=colour,
        fields=tuple(fields),
        footer=_footer(view),
    )
    return Message(embed=embed)


def _bot(view: StatusView, instance: Instance) -> str:
    lock = f"process {instance.pid} on {code(instance.host)} holds the lock, since {ago(instance.since)}"
    waiting = f"{count(view.undelivered, 'message')} wait for Discord" if view.undelivered > 1 else ""
    return "\n".join(part for part in (lock, join(instance.versions, waiting)) if part)


def _state(view: StatusView) -> tuple[str, Colour]:
    match view.server:
        case None if view.stale:
            runs = view.stale.server is not None
            seen = "server runs" if runs else "no server seen"
            return f"{seen}, nothing is reported of it", Colour.AMBER if runs else Colour.RED
        case None:
            return "the keeper does not answer", Colour.RED
        case ServerState.READY | ServerState.STARTING if view.halted:
            return "server stands still", Colour.RED
        case ServerState.READY:
            return "server up", Colour.AMBER if view.needs or view.crashes_tonight is None else Colour.GREEN
        case ServerState.STARTING:
            return "server starting", Colour.BLUE
        case ServerState.STOPPING:
            return "server stopping", Colour.BLUE
        case ServerState.SWAPPING:
            return "a build is put in place", Colour.BLUE
        case ServerState.BACKOFF:
            return "server down, starts again", Colour.RED
        case ServerState.HELD:
            return "server stopped" if view.hold is Hold.STOPPED else "server held", Colour.RED
        case ServerState.ABSENT:
            return "server not running", Colour.RED
        case _:
            assert_never(view.server)


def _needs(view: StatusView, who: str) -> str:
    if not view.needs and view.crashes_tonight is None:
        return f"Whether something waits for {who} is not known: the database does not work."
    if not view.needs:
        return f"Nothing waits for {who}."
    lines = [f"**{count_needs(view.needs, who)}**", *(f"- {say_need(each)}" for each in view.needs)]
    if view.crashes_tonight is None:
        lines.append("Whether anything else does is not known while the database does not work.")
    return "\n".join(lines)


def _server(view: StatusView) -> str:
    first = join(
        _since(view.down_since, "down") or _since(view.ready_at or view.started, "up" if view.ready_at else "started"),
        f"next start {ago(view.next_start)}" if view.next_start else "",
        _runs(view),
        _build(view),
        f"pid {view.pid}" if view.pid else "",
        count(view.players, "player") if view.players is not None else "",
    )
    trouble = f"down: {prose(view.trouble)}" if view.trouble and view.pid is None else ""
    stale = _stale(view.stale) if view.stale else ""
    return "\n".join(line for line in (trouble, stale, first, *map(_order, view.orders), _tonight(view)) if line)


def _stale(stale: Stale) -> str:
    """What the table of processes tells, and no more."""
    runs = f"process {stale.server} runs; whether it is ready is not known" if stale.server else "no process of it runs"
    report = f"last report of the keeper {ago(datetime.fromtimestamp(stale.at, UTC))}"
    return join(runs, f"process {stale.gone} is gone" if stale.gone else "", report)


def _tonight(view: StatusView) -> str:
    if view.crashes_tonight is None or view.restarts_tonight is None:
        return ""
    return f"{say_tonight(view)} tonight{', as far as they are reported' if view.stale else ''}"


def say_tonight(view: StatusView) -> str:
    """`2 crashes, 3 restarts and 1 deployment`."""
    crashes = count(view.crashes_tonight or 0, "crash", "crashes")
    restarts = count(view.restarts_tonight or 0, "restart")
    if not view.deployments_tonight:
        return f"{crashes} and {restarts}"
    return f"{crashes}, {restarts} and {count(view.deployments_tonight, 'deployment')}"


def _runs(view: StatusView) -> str:
    """What the server says of itself, else which build it is."""
    if view.pid is None or _is_named(view):
        return ""
    if view.revision is not None:
        return f"runs {code(markup.revision(view.revision))}"
    return f"runs {name_build(view.build)}" if view.build is not None else ""


def _build(view: StatusView) -> str:
    """The build that lies there, where the revision alone does not name it; a commit of ours with its page."""
    if view.running is not None:
        link = commit_link(view.running.commit, view.running.url)
        return f"{'runs' if _is_named(view) else 'build'} {link}"
    if view.build is None or view.revision is None or view.build.startswith(view.revision[:7]):
        return ""
    name = name_build(view.build)
    return f"build {name}" if is_ours(view.build) else name


def _is_named(view: StatusView) -> bool:
    """What the server printed is that very commit, and no more: once is enough."""
    if view.running is None or view.revision is None:
        return view.running is not None
    return not view.revision.endswith("+") and view.running.commit.startswith(view.revision[:7])


def _order(order: OrderLine) -> str:
    why = f": {prose(order.reason)}" if order.reason else ""
    return f"**{plain(order.kind)}** {ago(order.due)}, ordered by {plain(order.by)}{why}"


def _since(moment: datetime | None, word: str) -> str:
    return f"{word} since {ago(moment)}" if moment else ""


def _pipeline(view: StatusView, who: str) -> str:
    if view.crashes_tonight is None:
        return "Not known while the database does not work."
    going = [line for line in view.runs if line.state not in _PERSONS_TURN]
    lines = [_pause(view), _branch(view), _queue(view, who), *(f"- {_run(line)}" for line in going[:SHOWN_RUNS])]
    if len(going) > SHOWN_RUNS:
        lines.append(f"- and {len(going) - SHOWN_RUNS} more")
    lines.append(say_requests(sum(line.in_queue for line in view.runs)))
    return "\n".join(line for line in lines if line) or "Nothing in work."


def _pause(view: StatusView) -> str:
    if view.paused is None:
        return "" if view.runs else "Nothing in work."
    return f"**Paused** {ago(view.paused.at)}"  # by whom and why is what needs somebody, above


def _queue(view: StatusView, who: str) -> str:
    """Where more than one is under way: how many wait for whom."""
    waits = Counter(_wait(line, who) for line in view.runs)
    return join(*(f"{number} {who}" for who, number in waits.items())) if len(view.runs) > 1 else ""


def _wait(line: RunLine, who: str) -> str:
    if line.paused:
        return "waiting for `/resume`"
    return f"waiting for {who}" if line.state in _PERSONS_TURN else _WAITS_FOR.get(line.state, "in work")


def _branch(view: StatusView) -> str:
    if view.branch is None:
        return ""
    head = f"at {commit_link(view.head.commit, view.head.url)}" if view.head else ""
    owed = "· **not all of it is on the remote yet**" if view.push_owed else ""
    return " ".join(part for part in (code(view.branch), head, owed) if part)


def _run(line: RunLine) -> str:
    does, why = describe(line)
    return join(f"{name_run(line)} {does}", f"run {code(line.id)}", why)


def describe(line: RunLine) -> tuple[str, str]:
    """What it does, and what there is to say beside that; the one thing that a build waits for is said once."""
    reason = prose(line.reason or "")
    if line.awaits in (Awaits.LANE, Awaits.QUIET) and reason:
        return f"built: {reason}", ""
    return doing(line), "" if line.awaits in (Awaits.START, Awaits.TURN, Awaits.RESUME) else reason


def doing(line: RunLine) -> str:
    if line.paused:
        return _PAUSED.get(line.state, "waits for `/resume`")
    match line.state:
        case RunState.ANALYZING:
            return "its request waits in the queue for an answer" if line.in_queue else "with the analyst"
        case RunState.ROLLED_BACK if line.kind in WITHOUT:
            return WITHOUT[line.kind]
        case RunState.PROPOSED | RunState.FAILED | RunState.ROLLED_BACK:
            return LOOK_WORDS[line.state]
        case RunState.READY:
            return "waits for its turn"
        case RunState.AWAITING_APPROVAL:
            return f"**waits for an approval** of {QUESTIONS[line.question or Question.PATCH]}"
        case RunState.PATCHING:
            return "being applied"
        case RunState.BUILDING:
            return f"building, {line.progress.percent} %" if line.progress else "building"
        case RunState.PUBLISHING:
            return "being pushed"
        case RunState.AWAITING_DEPLOYMENT:
            return _waiting(line)
        case RunState.DEPLOYING:
            return "being deployed"
        case RunState.VERIFYING:
            return "live, being watched"
        case RunState.ROLLING_BACK:
            return "being rolled back"
        case RunState.SUCCEEDED:
            return _SINCE.get(line.fix_state, "succeeded")
        case RunState.CANCELLED:
            return WITHDRAWN_WORDS[line.state]
        case _:
            assert_never(line.state)


def _waiting(line: RunLine) -> str:
    if line.hindered:
        return "built, may not go live yet"
    if line.awaits is Awaits.RETRY and line.not_before is not None:
        return f"built, tried again {ago(line.not_before)}"
    return f"built, {_AWAITS.get(line.awaits, 'waits for a quiet moment')}"


_AWAITS: dict[Awaits | None, str] = {
    Awaits.LANE: "next after the deployment under way",
    Awaits.START: "goes live with the next start",
    Awaits.TURN: "goes live next",
}


_SINCE: dict[FixState | None, str] = {
    FixState.REVERTED: "taken back",
    FixState.RECURRED: "came back after its fix",
}
_PAUSED = {
    RunState.ANALYZING: "not asked yet, waits for `/resume`",
    RunState.AWAITING_DEPLOYMENT: "built, waits for `/resume`",
}

_PERSONS_TURN = (RunState.PROPOSED, RunState.AWAITING_APPROVAL)
_WAITS_FOR = {
    RunState.ANALYZING: "with the analyst",
    RunState.READY: "waiting for their turn",
    RunState.AWAITING_DEPLOYMENT: "waiting to go live",
}


def _footer(view: StatusView) -> str:
    disk = f"{size(view.disk_free)} free" if view.disk_free is not None else ""
    keeper = f"keeper {view.keeper_pid}" if view.keeper_pid else ""
    return join(f"Spirit Healer {view.version}", keeper, disk)
