"""Faces of a change on its way to being live: approval, patch, build, deployment, verification."""

from __future__ import annotations

from typing import assert_never

from bot import facts, markup
from bot.faces import Face, make_face, words_for
from bot.markup import ago, clock_time, code, count, join, name_build
from bot.payloads import Button, Colour, Style
from pipeline.card_models import CardView
from pipeline.keeper.protocol import ServerState
from pipeline.model import Awaits, Question, Run, Verdict
from pipeline.policy import is_hindered, is_kept_out, is_ordered, is_stuck

BAR = 10  # cells of the progress bar


def awaiting_approval(view: CardView, run: Run) -> Face:
    lines = (
        question(view, run),
        facts.cause(run),
        join(facts.confidence(run), facts.changes(view), "" if run.question is Question.PATCH else facts.reason(run)),
        facts.server_line(view),
    )
    buttons = (Button("Approve", f"approve:{run.id}:{run.asks}", Style.PRIMARY), Button("Reject", f"reject:{run.id}"))
    return make_face(view, "Waits for approval: {}", Colour.AMBER, *lines, buttons=buttons)


def question(view: CardView, run: Run) -> str:
    match run.question:
        case Question.PATCH | None:
            again = facts.reason(run)  # why it is asked about although APPROVAL would let it pass
            asked = "**May this patch be applied?** The diff is in the thread"
            return f"{asked}\n**{again[:1].upper()}{again[1:]}**" if again else asked
        case Question.DEPLOY:
            return join("**May this build go live?**", facts.fix_link(view))
        case Question.BASE:
            return f"**May the night branch begin here?** {_describe_base(view, run)}"
        case _:
            assert_never(run.question)


def _describe_base(view: CardView, run: Run) -> str:
    """Which commit the build would be of, as far as that can be told yet, and what comes of that; the run's reason says
    why it is asked."""
    if run.base:
        named = markup.web_link(code(markup.revision(run.base)), view.base.url if view.base else None)
        return f"At {named}"
    head = f" (at this writing {markup.commit_link(view.base.commit, view.base.url)})" if view.base else ""
    follows = "**whatever that has and the server has not goes live with the fix**"
    return f"At the head that the base branch has when it is approved{head}: {follows}"


def patching(view: CardView, run: Run) -> Face:
    branch = f"going onto {code(run.branch)}" if run.branch else "going onto the night branch"
    line = join(facts.changes(view), branch, facts.asked(run))
    return make_face(view, words_for(view, run).applying, Colour.BLUE, line, facts.cause(run))


def publishing(view: CardView, run: Run) -> Face:
    line = join("Built", facts.fix_link(view))
    return make_face(view, words_for(view, run).publishing, Colour.BLUE, line, facts.cause(run))


def building(view: CardView, run: Run) -> Face:
    progress = view.progress
    if progress is None or not progress.total:
        return make_face(
            view, words_for(view, run).building, Colour.BLUE, join("Compiling", facts.fix_link(view)), facts.cause(run)
        )
    filled = progress.percent * BAR // 100
    bar = f"`{'▓' * filled}{'░' * (BAR - filled)} {progress.percent} %`"
    left = f"about {facts.roughly(view.build_eta)} left" if view.build_eta is not None else ""
    steps = f"{progress.done} of {progress.total}"
    return make_face(
        view, words_for(view, run).building, Colour.BLUE, join(bar, steps, left), facts.fix_link(view), facts.cause(run)
    )


def awaiting_deployment(view: CardView, run: Run) -> Face:
    """While paused, what was found out about its build before is not looked at any more."""
    return hindered(view, run) if is_hindered(run) and not view.paused else waiting(view, run)


def hindered(view: CardView, run: Run) -> Face:
    """No hour and no order helps before what stands in its way is gone."""
    lines = (f"**{facts.reason(run)}**", join(code(view.title), facts.fix_link(view), facts.owed(run)))
    reject = (Button("Reject", f"reject:{run.id}"),)
    colour = Colour.AMBER if is_stuck(run) else Colour.GREY
    return make_face(view, words_for(view, run).hindered, colour, *lines, buttons=reject)


_WAITS = {
    Awaits.RESUME: "paused: {}",
    Awaits.LANE: "next in line: {}",
    Awaits.START: "on next start: {}",
    Awaits.RETRY: "tried again: {}",
    Awaits.QUIET: "waiting for a quiet moment",
    Awaits.TURN: "goes live next: {}",
}


def waiting(view: CardView, run: Run) -> Face:
    """One thing is waited for, whatever else would have to be waited for without it."""
    awaits = view.awaits or Awaits.QUIET
    name = code(view.title) if awaits is Awaits.QUIET else ""
    kept_out = awaits is Awaits.RETRY and is_kept_out(run)
    needed = "**A person is needed:** " if kept_out else ""
    known = join(name, facts.fix_link(view), facts.owed(run), facts.asked(run))
    lines = (f"{needed}{_say_wait(view, run, awaits)}", known)
    now = Button("Deploy now", f"deploy:{run.id}", Style.PRIMARY)
    helps = awaits is not Awaits.START and not is_ordered(run)
    buttons = (*((now,) if helps else ()), Button("Reject", f"reject:{run.id}"))
    template = f"{words_for(view, run).built}, {_WAITS[awaits]}"
    colour = Colour.AMBER if kept_out else Colour.GREY
    return make_face(view, template, colour, *lines, buttons=buttons)


def _say_wait(view: CardView, run: Run, awaits: Awaits) -> str:
    match awaits:
        case Awaits.RESUME:
            return "*Pipeline paused, goes on after* `/resume`"
        case Awaits.LANE:
            return facts.reason(run) or "waits for the deployment under way to end"
        case Awaits.START:
            return "The server is stopped: it goes live with the next start, `/start-server`"
        case Awaits.RETRY:
            return facts.reason(run)
        case Awaits.QUIET:
            return facts.reason(run) or _say_players(view)
        case Awaits.TURN:
            return "Nothing stands in its way"
        case _:
            assert_never(awaits)


def _say_players(view: CardView) -> str:
    """While nobody has looked yet whether it may go."""
    limit = "" if view.player_limit is None else f", limit {view.player_limit}"
    players = f"{count(view.players, 'player')} online{limit}" if view.players is not None else ""
    latest = f"deploys at {clock_time(view.deploy_at_latest)} at the latest" if view.deploy_at_latest else ""
    return join(players, latest)


def deploying(view: CardView, run: Run) -> Face:
    words = {
        "staged": "The server goes down for it soon",
        "stopping": "The server is stopping",
        "starting": "The server is starting",
    }
    state = words.get(view.deployment.state if view.deployment else "", "The server is being exchanged")
    if view.server is ServerState.HELD:
        state = "The server is stopped; this goes live with its next start"
    return make_face(
        view, words_for(view, run).deploying, Colour.BLUE, join(state, facts.fix_link(view)), facts.cause(run)
    )


def verifying(view: CardView, run: Run) -> Face:
    """A build holds every change before it on its branch: what runs may be a later one's."""
    deployment = view.deployment
    build = view.build or (deployment.commit if deployment else None)
    now = facts.server_now(view)
    if view.server is ServerState.READY:
        runs = f", runs {name_build(build)}" if build else ""
        healthy = f"healthy {ago(deployment.healthy_at)} if it stays up" if deployment and deployment.healthy_at else ""
        now = join(f"{now}{runs}", facts.outage(deployment), healthy)
    held = view.server is ServerState.HELD
    if held:
        now = f"{now}: it is watched once the server is up again"
    part = "part of that build" if deployment and build == deployment.commit != run.commit else ""
    words = words_for(view, run)
    return make_face(
        view,
        f"{words.built}, server is down: {{}}" if held else words.live,
        Colour.RED if held else Colour.GREEN,
        now,
        join(facts.fix_link(view), part, facts.asked(run)),
        facts.cause(run),
    )


def rolling_back(view: CardView, run: Run) -> Face:
    back = f"going back to {facts.name_previous(view.deployment) or 'the previous build'}"
    why = "Worse than before" if run.verdict is Verdict.UNHEALTHY else "Taken back"
    return make_face(
        view, "Rolling back: {}", Colour.RED, f"**{why}:** {facts.reason(run) or 'no reason recorded'}", back
    )
