"""Faces of a crash before there is a fix: counted, held, environment, analysed."""

from __future__ import annotations

from bot import facts, markup
from bot.faces import Face, make_face, words_for
from bot.markup import ago, code, commit_link, join, prose
from bot.payloads import Button, Colour, Style
from pipeline.card_models import CardView
from pipeline.keeper.protocol import ServerState
from pipeline.model import OVER, STATE_WORDS, CrashReport, Run, RunKind


def held(view: CardView) -> Face:
    lines = (
        f"**Nothing is running**{facts.down_since(view)}: **the server is held until somebody decides**",
        facts.crash_line(view),
        run_line(view),
    )
    return make_face(
        view, "Server held: {}", Colour.RED, *lines, buttons=(Button("Start", "start:server", Style.PRIMARY),)
    )


def is_held(view: CardView) -> bool:
    """Held by this crash: its last end was never followed by a start that got ready."""
    return view.server is ServerState.HELD and view.back_after is None


def run_line(view: CardView) -> str:
    if view.run is None:
        return ""
    words = "over" if view.run.state in OVER else STATE_WORDS[view.run.state]
    return f"Its run is {'waiting for `/resume`' if view.paused else words}"


def environment(view: CardView, report: CrashReport) -> Face:
    cure = f"**To mend:** {prose(report.cure)}" if report.cure else ""
    notes = tuple(prose(each) for each in report.notes[:3])
    return make_face(
        view, "Not a bug: {}", Colour.AMBER, facts.server_line(view), *notes, cure, "*nobody is asked for a patch*"
    )


def counted(view: CardView) -> Face:
    return crash_face(view, f"{facts.server_line(view)} · *counted, no run*", facts.crash_line(view))


def taken_back(view: CardView) -> Face:
    """What was to be mended by that build is asked about again, and is told of this crash."""
    known = f"**It was {facts.ONLY_TAKEN_BACK}:** nobody is needed unless it comes again"
    return crash_face(view, known, facts.server_line(view), facts.crash_line(view))


def brought_again(view: CardView) -> Face:
    known = "**What brought it is live again:** should the server crash so again, the analyst is asked"
    return crash_face(view, known, facts.server_line(view), facts.crash_line(view))


def crash_face(view: CardView, *lines: str) -> Face:
    """Its title goes on telling what came of the fix before, while a new one is asked for."""
    down = view.back_after is None and view.server in (None, ServerState.BACKOFF, ServerState.ABSENT)
    colour = Colour.RED if down else Colour.GREY
    suffix = f" (×{view.occurrences})" if view.occurrences > 1 else ""
    if view.not_cured is None:
        return Face(markup.title("Crash in {}", view.title, suffix), colour, (facts.taken_back_line(view), *lines))
    fix = commit_link(view.not_cured.commit, view.not_cured.url)
    stays = f"**It crashed again with {fix} in place:** that build stays, and a new try goes on from it"
    revert = Button("Revert", f"revert:{view.not_cured.commit}", Style.DANGER)
    return Face(markup.title("Not cured: {}", view.title, suffix), colour, (stays, *lines), (revert,))


def analyzing(view: CardView, run: Run) -> Face:
    if run.returns and (view.diagnostics or run.reason):
        return given_back(view, run)
    if run.reason:
        request = f"request {code(run.request_id)} waits" if run.request_id and view.in_queue else ""
        known = join(f"What we know: {facts.crash_line(view)}", request)
        since = f"*since {ago(run.created_at)}:* {prose(run.reason)}"
        return crash_face(view, join(facts.server_line(view), since), known)
    return crash_face(view, join(facts.server_line(view), _asked(view, run)), facts.crash_line(view))


def _asked(view: CardView, run: Run) -> str:
    if view.paused:
        return "*pipeline paused, goes on after* `/resume`"
    if view.in_queue:
        return f"*its request waits in the queue for an answer, since* {ago(run.updated_at)}"
    return "*asking the analyst*"


def given_back(view: CardView, run: Run) -> Face:
    tries = f"given back to the analyst, {facts.say_try(run.returns + 1)}"
    template = "Fix does not compile: {}" if view.diagnostics else "Fix refused: {}"
    why = facts.first_diagnostic(view) if view.diagnostics else facts.reason(run)
    return make_face(view, template, Colour.GREY, why, tries, facts.server_line(view))


def proposed(view: CardView, run: Run) -> Face:
    reason = prose(run.reason) if run.reason else "the answer has no patch that may be applied"
    lines = (
        f"**A person is needed:** {reason}",
        facts.cause(run),
        "The proposal is in the thread, and another answer is taken",
        f"`/retry {run.id}` asks anew, `/reject {run.id} <reason>` closes it",
        facts.server_line(view),
    )
    buttons = (Button("Retry", f"retry:{run.id}", Style.PRIMARY), Button("Reject", f"reject:{run.id}"))
    return make_face(view, "Needs a look: {}", Colour.AMBER, *lines, buttons=buttons)


def ready(view: CardView, run: Run) -> Face:
    wait = "*pipeline paused, goes on after* `/resume`" if view.paused else "waiting for its turn"
    shown = "diff in the thread" if run.kind is RunKind.FIX and view.changes else ""  # both come once it was looked at
    detail = join(facts.confidence(run), facts.changes(view), shown, wait)
    return make_face(
        view,
        words_for(view, run).ready,
        Colour.GREY,
        facts.cause(run),
        facts.reason(run),
        detail,
        facts.asked(run),
        facts.server_line(view),
    )
