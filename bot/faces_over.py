"""Faces of a run that is over: done, reverted, back again, rolled back, failed, cancelled."""

from __future__ import annotations

from typing import assert_never

from bot import facts
from bot.faces import Face, make_face, withdrawal, words_for
from bot.markup import ago, code, commit_link, count, join
from bot.payloads import Button, Colour, Style
from pipeline.card_models import CardView
from pipeline.model import FixState, Run, RunKind, Verdict


def succeeded(view: CardView, run: Run) -> Face:
    if view.withdrawn is not None:
        return make_face(view, words_for(view, run).done, Colour.GREY, facts.crash_line(view), facts.server_line(view))
    if run.kind is not RunKind.FIX:
        return make_face(
            view,
            words_for(view, run).done,
            Colour.GREEN,
            join(facts.fix_link(view), facts.live_since(view)) or "Over",
            facts.asked(run),
            facts.reason(run),
        )
    match run.fix_state:
        case FixState.REVERTED:
            taken = f"taken back in {commit_link(view.revert.commit, view.revert.url)}" if view.revert else "taken back"
            return make_face(view, "Reverted: {}", Colour.GREY, join(facts.fix_link(view), taken), facts.cause(run))
        case FixState.RECURRED:
            lines = (
                "**It crashed again with its fix in place**",
                join(facts.fix_link(view), facts.history(view)),
                facts.crash_line(view),
            )
            return make_face(view, "Back after its fix: {}", Colour.AMBER, *lines, buttons=revert_button(run))
        case FixState.WATCHING | FixState.VERIFIED | None:
            return fixed(view, run)
        case _:
            assert_never(run.fix_state)


def fixed(view: CardView, run: Run) -> Face:
    """Of a crash that nothing else ever had, no fix can be shown to have cured it."""
    if view.absent:
        lines = (f"**{facts.NOT_RUNNING[:1].upper()}{facts.NOT_RUNNING[1:]}**", facts.fix_link(view), facts.cause(run))
        return make_face(view, "Fix not in what runs: {}", Colour.AMBER, *lines, buttons=revert_button(run))
    if view.only_taken_back:
        known = f"**It was {facts.ONLY_TAKEN_BACK}:** nothing that stayed ever crashed so"
        live = join(facts.fix_link(view), facts.live_since(view), facts.owed(run))
        lines = (known, live, facts.cause(run))
        return make_face(view, "Fix live: {}", Colour.GREEN, *lines, buttons=revert_button(run))
    doubt = f"*Verification was inconclusive:* {facts.reason(run)}" if run.verdict is Verdict.INCONCLUSIVE else ""
    live = join(facts.fix_link(view), facts.live_since(view), facts.owed(run))
    return make_face(
        view,
        words_for(view, run).done,
        Colour.GREEN,
        live,
        facts.history(view),
        doubt,
        facts.cause(run),
        buttons=revert_button(run),
    )


def revert_button(run: Run) -> tuple[Button, ...]:
    return (Button("Revert", f"revert:{run.commit}", Style.DANGER),) if run.commit else ()


def retry_button(run: Run, style: Style = Style.PRIMARY) -> tuple[Button, ...]:
    """Of a fix: a revert or an update, typed, shows first what it will do."""
    return (Button("Retry", f"retry:{run.id}", style),) if run.kind is RunKind.FIX else ()


_GONE = {
    RunKind.FIX: "fix reverted",
    RunKind.REVERT: "the fix is in again: its revert was reverted",
    RunKind.UPDATE: "what the base had brought was taken out",
}


_ROLLED_BACK = {
    RunKind.FIX: "Rolled back: {}", RunKind.REVERT: "Revert rolled back: {}", RunKind.UPDATE: "Update rolled back: {}",
}  # fmt: skip


_PAUSED = "**Pipeline paused, a person is needed:** see what it died of, then `/resume`"
_PAUSED_ALIVE = "**Pipeline paused, a person is needed:** see in the thread why, then `/resume`"
_PAUSED_BY_ORDER = "**Pipeline paused:** `/resume` lets it go on, when you like"


def rolled_back(view: CardView, run: Run) -> Face:
    build = facts.name_previous(view.deployment) or "the previous build"
    taken = f"{_GONE[run.kind]} in {commit_link(view.revert.commit, view.revert.url)}" if view.revert else ""
    worse_so = _PAUSED if view.death is not None else _PAUSED_ALIVE
    paused = worse_so if run.verdict is Verdict.UNHEALTHY else _PAUSED_BY_ORDER
    look = facts.WITHOUT.get(run.kind, facts.LOOK_WORDS[run.state])
    again = f"{look}: `/retry {run.id}` tries it again" if view.given_up else ""
    resume = (Button("Resume", "resume:pipeline", Style.PRIMARY),) if view.paused_by_it else ()
    worse = run.kind is RunKind.FIX and run.verdict is Verdict.UNHEALTHY and view.made_worse and not view.went_with
    title = "Rolled back: the fix made it worse" if worse else _ROLLED_BACK[run.kind]
    return make_face(
        view,
        title,
        Colour.RED,
        paused if view.paused_by_it else "",
        again,
        join(code(view.title) if worse else "", facts.reason(run)),
        join(f"{build} was put back", taken),
        _company(view),
        _next_try(view),
        buttons=(*resume, *(retry_button(run) if view.given_up else ())),
    )


def _next_try(view: CardView) -> str:
    """What goes on by itself."""
    if view.next_try is None:
        return ""
    if view.paused:
        return "A new try, which is told of this, is asked for after `/resume`"
    since = ago(view.next_try.updated_at)
    if view.in_queue:
        return f"*The request for a new try waits in the queue for an answer, since* {since}"
    return "*Asking the analyst for a new try*"


def _company(view: CardView) -> str:
    """Who went live together is rolled back together."""
    if not view.went_with or view.run is None or view.run.verdict is not Verdict.UNHEALTHY:
        return ""
    others = count(view.went_with, "other change")
    return f"It went live with {others}, rolled back with it: which of them made the server worse is not known"


def failed(view: CardView, run: Run) -> Face:
    needed = f"**No further try by itself; a person is needed:** `/retry {run.id}` tries it again"
    if run.verdict is Verdict.NOT_CURED:
        kept = join("it crashed again with the fix in place; the build stays", facts.fix_link(view))
        return make_face(
            view,
            "Not cured: {}",
            Colour.AMBER,
            f"**{kept}**",
            needed if view.given_up else "",
            facts.reason(run),
            facts.crash_line(view),
            buttons=(*(retry_button(run) if view.given_up else ()), *revert_button(run)),
        )
    if view.only_taken_back:
        known = f"**It was {facts.ONLY_TAKEN_BACK}:** nobody is needed unless it comes again"
        return make_face(view, "Not fixed: {}", Colour.GREY, known, facts.reason(run), facts.server_line(view))
    if view.diagnostics and not run.commit:
        return make_face(
            view,
            "Fix does not compile: {}",
            Colour.AMBER,
            needed,
            facts.first_diagnostic(view),
            facts.server_line(view),
            buttons=retry_button(run),
        )
    lines = (needed, facts.reason(run), facts.crash_line(view), facts.server_line(view))
    return make_face(view, "Not fixed: {}", Colour.AMBER, *lines, buttons=retry_button(run))


def cancelled(view: CardView, run: Run) -> Face:
    again = run.kind is RunKind.FIX and not view.mended
    return make_face(
        view,
        f"{withdrawal(run.reason or '')}: {{}}",
        Colour.GREY,
        join(
            facts.reason(run) or facts.WITHDRAWN_WORDS[run.state],
            facts.unmended(view) if run.kind is RunKind.FIX else "",
            f"`/retry {run.id}` asks anew" if again else "",
        ),
        facts.crash_line(view),
        facts.server_line(view),
        buttons=retry_button(run, Style.SECONDARY) if again else (),
    )
