"""The card of a crash: one message, edited as its run goes its way. Pure functions of what the store tells.

The first line says the present state and whether a person is needed; then what, where, since when (MESSAGES.md).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import assert_never

from bot import facts, markup
from bot.limits import cut_middle
from bot.markup import ago, clock_time, code, commit_link, count, join, plain, prose
from bot.payloads import Button, Colour, Embed, Message, Style
from pipeline.keeper.protocol import ServerState
from pipeline.model import CardView, CrashReport, FixState, Question, Run, RunKind, RunState, Verdict

BAR = 10  # cells


@dataclass(frozen=True)
class Home:
    """Where the channel is, for links from one message to another."""

    guild: int
    channel: int

    def link(self, message: str) -> str:
        return f"https://discord.com/channels/{self.guild}/{self.channel}/{message}"


@dataclass(frozen=True)
class Words:
    """How the titles of a kind of run read; {} is the subject."""

    ready: str
    applying: str
    building: str
    publishing: str
    waiting: str
    deploying: str
    live: str
    done: str


WORDS = {
    RunKind.FIX: Words(
        "Fix proposed: {}", "Applying fix: {}", "Building fix for {}", "Pushing fix: {}",
        "Fix built, waiting for a quiet moment", "Deploying fix: {}", "Fix live, watching: {}", "Fixed: {}",
    ),
    RunKind.REVERT: Words(
        "Revert ordered: {}", "Reverting: {}", "Building without {}", "Pushing revert: {}",
        "Revert built, waiting for a quiet moment", "Deploying revert: {}", "Revert live, watching: {}", "Reverted: {}",
    ),
    RunKind.UPDATE: Words(
        "Update ordered: {}", "Merging the base: {}", "Building update: {}", "Pushing update: {}",
        "Update built, waiting for a quiet moment", "Deploying update: {}", "Update live, watching: {}", "Updated: {}",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Face:
    """What one state makes of a card."""

    title: str
    colour: Colour
    lines: tuple[str, ...]  # empty ones are left out
    buttons: tuple[Button, ...] = ()


def render_card(view: CardView, home: Home | None = None) -> Message:
    """The message of a card in its present state."""
    face = _choose(view)
    earlier = f"[The card of an earlier night]({home.link(view.previous_card)})" if home and view.previous_card else ""
    text = "\n".join(line for line in (*face.lines, earlier) if line)
    return Message(embed=Embed(face.title, text, face.colour, footer=footer(view)), buttons=face.buttons)


def footer(view: CardView) -> str:
    """Ends with the outbox id, by which a card is found in the channel again."""
    return f"{plain(view.realm)} · night of {view.night.day} {view.night:%b %Y} · #c{view.card}"


def thread_name(subject: str) -> str:
    """Names of threads have no markup; what would be a mention elsewhere is parted all the same."""
    return cut_middle(markup.hush(" ".join(markup.visible(subject).split())) or "crash", 90)


def _choose(view: CardView) -> Face:
    if _is_held(view):
        return _held(view)
    if view.run is None:
        return _environment(view, view.report) if view.report and view.report.environment else _counted(view)
    return _of_run(view, view.run)


def _of_run(view: CardView, run: Run) -> Face:
    match run.state:
        case RunState.ANALYZING:
            return _analyzing(view, run)
        case RunState.PROPOSED:
            return _proposed(view, run)
        case RunState.READY:
            return _ready(view, run)
        case RunState.AWAITING_APPROVAL:
            return _awaiting_approval(view, run)
        case RunState.PATCHING:
            return _face(view, WORDS[run.kind].applying, Colour.BLUE, _patch_line(view, run), facts.cause(run))
        case RunState.BUILDING:
            return _building(view, run)
        case RunState.PUBLISHING:
            return _face(
                view, WORDS[run.kind].publishing, Colour.BLUE, join("Built", facts.fix_link(view)), facts.cause(run)
            )
        case RunState.AWAITING_DEPLOYMENT:
            return _awaiting_deployment(view, run)
        case RunState.DEPLOYING:
            return _deploying(view, run)
        case RunState.VERIFYING:
            return _verifying(view, run)
        case RunState.ROLLING_BACK:
            return _rolling_back(view, run)
        case RunState.SUCCEEDED:
            return _succeeded(view, run)
        case RunState.ROLLED_BACK:
            return _rolled_back(view, run)
        case RunState.FAILED:
            return _failed(view, run)
        case RunState.CANCELLED:
            return _cancelled(view, run)
        case _:
            assert_never(run.state)


def _face(view: CardView, template: str, colour: Colour, *lines: str, buttons: tuple[Button, ...] = ()) -> Face:
    return Face(markup.title(template, view.title), colour, lines, buttons)


# --- before there is a fix -------------------------------------------------------------------------------------------


def _held(view: CardView) -> Face:
    lines = (
        "**Nothing is running: the server is held until somebody decides**",
        facts.crash_line(view),
        _run_line(view),
    )
    return _face(view, "Server held: {}", Colour.RED, *lines, buttons=(Button("Start", "start:server", Style.PRIMARY),))


def _is_held(view: CardView) -> bool:
    """Held by this crash: its last end was never followed by a start that got ready."""
    return view.server is ServerState.HELD and view.back_after is None


def _run_line(view: CardView) -> str:
    return "" if view.run is None else f"Its run is {_WAITING_WORDS.get(view.run.state, 'over')}"


_WAITING_WORDS = {
    RunState.ANALYZING: "with the analyst",
    RunState.PROPOSED: "waiting for a person",
    RunState.READY: "waiting for its turn",
    RunState.AWAITING_APPROVAL: "waiting for an approval",
    RunState.PATCHING: "applying its patch",
    RunState.BUILDING: "building",
    RunState.PUBLISHING: "pushing",
    RunState.AWAITING_DEPLOYMENT: "built and waiting to go live",
    RunState.DEPLOYING: "being deployed",
    RunState.VERIFYING: "being verified",
    RunState.ROLLING_BACK: "being rolled back",
}


def _environment(view: CardView, report: CrashReport) -> Face:
    cure = f"**To mend:** {prose(report.cure)}" if report.cure else ""
    notes = tuple(prose(each) for each in report.notes[:3])
    return _face(
        view, "Not a bug: {}", Colour.AMBER, facts.server_line(view), *notes, cure, "*nobody is asked for a patch*"
    )


def _counted(view: CardView) -> Face:
    return _crash_face(view, f"{facts.server_line(view)} · *counted, no run*", facts.crash_line(view))


def _crash_face(view: CardView, *lines: str) -> Face:
    down = view.back_after is None and view.server in (None, ServerState.BACKOFF, ServerState.ABSENT)
    colour = Colour.RED if down else Colour.GREY
    suffix = f" (×{view.occurrences})" if view.occurrences > 1 else ""
    return Face(markup.title("Crash in {}", view.title, suffix), colour, lines)


def _analyzing(view: CardView, run: Run) -> Face:
    if run.returns and view.diagnostics:
        return _given_back(view, run)
    if run.reason:
        request = f"request {code(run.request_id)} waits" if run.request_id else ""
        known = join(f"What we know: {facts.crash_line(view)}", request)
        return _crash_face(
            view, f"{facts.server_line(view)} · *since {ago(run.created_at)}:* {prose(run.reason)}", known
        )
    asked = "*pipeline paused, goes on after* `/resume`" if view.paused else "*asking the analyst*"
    return _crash_face(view, join(facts.server_line(view), asked), facts.crash_line(view))


def _given_back(view: CardView, run: Run) -> Face:
    tries = f"given back to the analyst, try {run.returns + 1} of {view.max_returns + 1}"
    return _face(
        view, "Fix does not compile: {}", Colour.GREY, facts.first_diagnostic(view), tries, facts.server_line(view)
    )


def _proposed(view: CardView, run: Run) -> Face:
    reason = prose(run.reason) if run.reason else "the answer has no patch that may be applied"
    lines = (
        f"**A person is needed:** {reason}",
        facts.cause(run),
        "The proposal is in the thread",
        facts.server_line(view),
    )
    return _face(view, "Needs a look: {}", Colour.AMBER, *lines)


def _ready(view: CardView, run: Run) -> Face:
    wait = "*pipeline paused, goes on after* `/resume`" if view.paused and not run.asked_by else "waiting for its turn"
    detail = join(
        facts.confidence(run), facts.changes(view), "diff in the thread" if run.kind is RunKind.FIX else "", wait
    )
    return _face(
        view, WORDS[run.kind].ready, Colour.GREY, facts.cause(run), detail, facts.asked(run), facts.server_line(view)
    )


# --- patch, build, push ----------------------------------------------------------------------------------------------


def _awaiting_approval(view: CardView, run: Run) -> Face:
    lines = (
        _question(view, run),
        facts.cause(run),
        join(facts.confidence(run), facts.changes(view), facts.reason(run)),
        facts.server_line(view),
    )
    buttons = (Button("Approve", f"approve:{run.id}", Style.PRIMARY), Button("Reject", f"reject:{run.id}"))
    return _face(view, "Waits for approval: {}", Colour.AMBER, *lines, buttons=buttons)


def _question(view: CardView, run: Run) -> str:
    match run.question:
        case Question.PATCH | None:
            return "**May this patch be applied?** The diff is in the thread"
        case Question.DEPLOY:
            return join("**May this build go live?**", facts.fix_link(view))
        case Question.BASE:
            base = code(markup.revision(run.base)) if run.base else "the commit the settings name"
            return f"**May the night branch begin at** {base}**?** What runs cannot be told for certain"
        case _:
            assert_never(run.question)


def _patch_line(view: CardView, run: Run) -> str:
    branch = f"going onto {code(run.branch)}" if run.branch else "going onto the night branch"
    return join(facts.changes(view), branch, facts.asked(run))


def _building(view: CardView, run: Run) -> Face:
    progress = view.progress
    if progress is None or not progress.total:
        return _face(
            view, WORDS[run.kind].building, Colour.BLUE, join("Compiling", facts.fix_link(view)), facts.cause(run)
        )
    filled = progress.percent * BAR // 100
    bar = f"`{'▓' * filled}{'░' * (BAR - filled)} {progress.percent} %`"
    left = f"about {facts.roughly(view.build_eta)} left" if view.build_eta is not None else ""
    steps = f"{progress.done} of {progress.total}"
    return _face(
        view, WORDS[run.kind].building, Colour.BLUE, join(bar, steps, left), facts.fix_link(view), facts.cause(run)
    )


# --- deployment ------------------------------------------------------------------------------------------------------


def _awaiting_deployment(view: CardView, run: Run) -> Face:
    if view.players is not None:
        limit = "" if view.player_limit is None else f", limit {view.player_limit}"
        players = f"{count(view.players, 'player')} online{limit}"
    else:
        players = ""
    latest = f"deploys at {clock_time(view.deploy_at_latest)} at the latest" if view.deploy_at_latest else ""
    paused = "*pipeline paused, goes on after* `/resume`" if view.paused and not run.asked_by else ""
    lines = (
        join(code(view.title), facts.fix_link(view), facts.owed(run)),
        join(players, latest, paused),
        facts.reason(run),
    )
    buttons = (Button("Deploy now", f"deploy:{run.id}", Style.PRIMARY), Button("Reject", f"reject:{run.id}"))
    return _face(view, WORDS[run.kind].waiting, Colour.GREY, *lines, buttons=buttons)


def _deploying(view: CardView, run: Run) -> Face:
    words = {
        "staged": "The server goes down for it soon",
        "stopping": "The server is stopping",
        "starting": "The server is starting",
    }
    state = words.get(view.deployment.state if view.deployment else "", "The server is being exchanged")
    return _face(view, WORDS[run.kind].deploying, Colour.BLUE, join(state, facts.fix_link(view)), facts.cause(run))


def _verifying(view: CardView, run: Run) -> Face:
    deployment = view.deployment
    commit = run.commit or (deployment.commit if deployment else None)
    runs = f"Server up, runs {code(markup.short(commit))}" if commit else "Server up"
    healthy = f"healthy {ago(deployment.healthy_at)} if it stays up" if deployment and deployment.healthy_at else ""
    return _face(
        view,
        WORDS[run.kind].live,
        Colour.GREEN,
        join(runs, facts.down(deployment), healthy),
        facts.fix_link(view),
        facts.cause(run),
    )


def _rolling_back(view: CardView, run: Run) -> Face:
    previous = view.deployment.previous if view.deployment else None
    back = f"going back to {code(markup.short(previous))}" if previous else "going back to the previous build"
    return _face(
        view,
        "Rolling back: {}",
        Colour.RED,
        f"**Worse than before:** {facts.reason(run) or 'no reason recorded'}",
        back,
    )


# --- over ------------------------------------------------------------------------------------------------------------


def _succeeded(view: CardView, run: Run) -> Face:
    if run.kind is not RunKind.FIX:
        return _face(
            view,
            WORDS[run.kind].done,
            Colour.GREEN,
            join(facts.fix_link(view), facts.live_since(view)) or "Over",
            facts.asked(run),
            facts.reason(run),
        )
    match run.fix_state:
        case FixState.REVERTED:
            taken = f"taken back in {commit_link(view.revert.commit, view.revert.url)}" if view.revert else "taken back"
            return _face(view, "Reverted: {}", Colour.GREY, join(facts.fix_link(view), taken), facts.cause(run))
        case FixState.RECURRED:
            lines = (
                "**It crashed again with its fix in place**",
                join(facts.fix_link(view), facts.history(view)),
                facts.crash_line(view),
            )
            return _face(view, "Back after its fix: {}", Colour.AMBER, *lines, buttons=_revert_button(run))
        case FixState.WATCHING | FixState.VERIFIED | None:
            return _fixed(view, run)
        case _:
            assert_never(run.fix_state)


def _fixed(view: CardView, run: Run) -> Face:
    doubt = f"*Verification was inconclusive:* {facts.reason(run)}" if run.verdict is Verdict.INCONCLUSIVE else ""
    live = join(facts.fix_link(view), facts.live_since(view), facts.owed(run))
    return _face(
        view,
        WORDS[run.kind].done,
        Colour.GREEN,
        live,
        facts.history(view),
        doubt,
        facts.cause(run),
        buttons=_revert_button(run),
    )


def _revert_button(run: Run) -> tuple[Button, ...]:
    return (Button("Revert", f"revert:{run.commit}", Style.DANGER),) if run.commit else ()


def _rolled_back(view: CardView, run: Run) -> Face:
    previous = view.deployment.previous if view.deployment else None
    back = f"previous build {code(markup.short(previous))} runs again" if previous else "the previous build runs again"
    taken = f"fix reverted in {commit_link(view.revert.commit, view.revert.url)}" if view.revert else ""
    needed = "**pipeline paused: someone should look**" if view.paused else ""
    buttons = (Button("Resume", "resume:pipeline", Style.PRIMARY),) if view.paused else ()
    title = "Rolled back: the fix made it worse" if run.kind is RunKind.FIX else "Rolled back: {}"
    return _face(
        view, title, Colour.RED, needed, join(code(view.title), facts.reason(run)), join(back, taken), buttons=buttons
    )


def _failed(view: CardView, run: Run) -> Face:
    needed = "**No further try by itself; a person is needed**"
    if run.verdict is Verdict.NOT_CURED:
        kept = join("it crashed again with the fix in place; the build stays", facts.fix_link(view))
        return _face(
            view,
            "Not cured: {}",
            Colour.AMBER,
            f"**{kept}**",
            facts.reason(run),
            facts.crash_line(view),
            buttons=_revert_button(run),
        )
    if view.diagnostics and not run.commit:
        return _face(
            view,
            "Fix does not compile: {}",
            Colour.AMBER,
            needed,
            facts.first_diagnostic(view),
            facts.server_line(view),
        )
    return _face(
        view, "Not fixed: {}", Colour.AMBER, needed, facts.reason(run), facts.crash_line(view), facts.server_line(view)
    )


def _cancelled(view: CardView, run: Run) -> Face:
    return _face(
        view,
        "Cancelled: {}",
        Colour.GREY,
        facts.reason(run) or "Taken back",
        facts.crash_line(view),
        facts.server_line(view),
    )
