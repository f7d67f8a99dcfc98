"""A card as it is now: one signature on one night. Blocking; nothing is changed."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline import policy
from pipeline.card_models import CardView, Death, DeploymentView, FixLink, TakenBack, Withdrawn
from pipeline.errors import PipelineError
from pipeline.fix_links import add_page, find_revert, link
from pipeline.keeper.protocol import Exit, Observed, from_plain
from pipeline.model import (
    OF_WHAT_WENT,
    CrashReport,
    Diagnostic,
    FixState,
    Question,
    Run,
    RunKind,
    RunState,
    Signature,
    Verdict,
)
from pipeline.needs import came_again, find_death, find_down_since, is_given_up, is_gone, is_paused_over
from pipeline.run_views import deployment_view, find_wait, is_in_queue, progress_of, waits_for_resume
from pipeline.server_views import count_players
from pipeline.status_models import PauseView
from pipeline.store import Store
from pipeline.tools import Tools


def card_view(tools: Tools, card: int) -> CardView:
    """The present state of one signature on one night. Its rows are of one moment; what else it shows is asked before
    and after, while nobody waits for the database."""
    observed = tools.keeper.observed()
    with tools.store.together():
        view = _stored_card(tools, card)
    waits = view.run is not None and view.run.state is RunState.AWAITING_DEPLOYMENT
    return dataclasses.replace(
        view,
        server=observed.state if observed else None,
        down_since=None if (down := find_down_since(observed)) is None else datetime.fromtimestamp(down, UTC),
        build=observed.build if observed else None,
        players=count_players(tools, observed) if waits else None,
        deployment=view.deployment and _soak_again(view.deployment, observed, tools.realm.soak),
        fix=add_page(tools, view.fix),
        revert=add_page(tools, view.revert),
        undone=add_page(tools, view.undone),
        not_cured=add_page(tools, view.not_cured),
        taken_back=view.taken_back and _with_their_pages(tools, view.taken_back),
        withdrawn=view.withdrawn and _with_its_page(tools, view.withdrawn),
        base=_find_base(tools, view.run),
    )


def _soak_again(deployment: DeploymentView, observed: Observed | None, soak: timedelta) -> DeploymentView:
    """Stopped or restarted by a person, its server is watched anew from when it is ready again."""
    ready = observed.ready_at if observed is not None and observed.build == deployment.commit else None
    if ready is None or deployment.healthy_at is None:
        return deployment
    anew = datetime.fromtimestamp(ready, UTC) + soak
    return dataclasses.replace(deployment, healthy_at=max(anew, deployment.healthy_at))


def _find_base(tools: Tools, run: Run | None) -> FixLink | None:
    """While it is asked about: the commit, or the head that the base branch has now; None = nobody can tell it."""
    if run is None or run.state is not RunState.AWAITING_APPROVAL or run.question is not Question.BASE:
        return None
    try:
        commit = run.base or tools.source.base_head()
    except PipelineError:
        return None
    return FixLink(commit, tools.source.url(commit.rstrip("+")), None)


def _stored_card(tools: Tools, card: int) -> CardView:
    """As far as the database tells: without server, players and the pages of commits."""
    store = tools.store
    row, crashes, before = store.get_card(card)
    newest = store.get_run(row.run) if row.run else None
    run = _find_rolled_back(store, newest) or newest
    next_try = _find_next_try(store, run)
    waits = next_try or newest
    build = store.get_pace(run.id) if run and run.state is RunState.BUILDING else None
    last = crashes[-1] if crashes else None
    withdrawn = _withdrawn(store, run) if run else None
    last_fix = _find_last_fix(store, run)
    return CardView(
        card=card,
        realm=tools.realm.name,
        night=row.night,
        title=row.title,
        run=run,
        report=_report(store, last),
        occurrences=len(crashes),
        before=before,
        first_seen=crashes[0].at if crashes else None,
        last_seen=last.at if last else None,
        back_after=last.back_after if last else None,
        end_seen=last is None or not from_plain(Exit, last.exit).unseen,
        running=(last.exit.get("revision") or last.exit.get("build")) if last else None,
        running_gone=last is not None and store.is_bad(last.exit.get("build") or ""),
        server=None,
        fix=FixLink(run.commit, None, run.branch) if run and run.commit else None,
        changes=run.changes if run else (),
        progress=progress_of(build),
        build_eta=build and build.eta,
        diagnostics=_diagnostics(store, run),
        deployment=deployment_view(tools, run),
        revert=find_revert(store, run),
        players=None,
        player_limit=tools.realm.max_players_for_restart,
        deploy_at_latest=policy.next_time(tools.now(), tools.realm.deploy_at_latest, tools.realm.timezone),
        paused=waits is not None and waits_for_resume(store, waits),
        awaits=find_wait(store, run) if run else None,
        previous_card=row.previous_message,
        paused_by_it=_paused_itself(tools, run, store.get_pause()),
        puts_back=run is not None and store.puts_back(run),
        withdrawn=withdrawn,
        undone=FixLink(run.reverts, None, None) if run and run.reverts and withdrawn is None else None,
        in_queue=waits is not None and is_in_queue(store, waits, None),
        next_try=next_try,
        death=_find_death(store, run),
        absent=run is not None and run.id in store.list_absent(),
        mended=_is_mended(store, run, withdrawn),
        made_worse=_made_worse(store, run),
        given_up=run is not None and is_given_up(tools, run),
        went_with=_count_others(store, run),
        only_taken_back=_was_only_taken_back(store, run, last),
        brought_again=run is None and _was_taken_back(last) and _came_again(store, last),
        not_cured=_find_not_cured(store, last_fix),
        taken_back=_find_taken_back(store, last_fix),
    )


def _find_rolled_back(store: Store, run: Run | None) -> Run | None:
    """What the card goes on to show until the try that follows it by itself has an answer."""
    if run is None or run.state is not RunState.ANALYZING or run.returns or run.asked_by is not None:
        return None
    tried = store.get_run(run.retry_of) if run.retry_of else None
    return tried if tried is not None and tried.state is RunState.ROLLED_BACK else None


def _find_next_try(store: Store, run: Run | None) -> Run | None:
    """Asked of what was rolled back; else its card does not tell."""
    if run is None or run.signature is None or run.state is not RunState.ROLLED_BACK:
        return None
    same = store.list_runs_of_signature(run.signature)
    return next((each for each in same if each.retry_of == run.id and each.state is RunState.ANALYZING), None)


def _is_mended(store: Store, run: Run | None, withdrawn: Withdrawn | None) -> bool:
    """Asked where a change was taken back; else its card does not tell."""
    if run is None or run.signature is None or not (withdrawn or run.state is RunState.CANCELLED):
        return True
    return store.is_mended(run.signature)


def _was_only_taken_back(store: Store, run: Run | None, last: Any) -> bool:
    """Asked of what nobody was asked about, is live, or was given up; else its card does not tell."""
    if run is None:
        return _was_taken_back(last) and not _came_again(store, last)
    if run.state not in (RunState.SUCCEEDED, RunState.FAILED):
        return False
    return is_gone(store, run.signature)


def _was_taken_back(last: Any) -> bool:
    """How the last crash of the card was judged, when its build went or was about to."""
    return last is not None and last.judged == OF_WHAT_WENT


def _came_again(store: Store, last: Any) -> bool:
    return came_again(store, Signature(last.family, last.exact, last.version))


def _find_last_fix(store: Store, run: Run | None) -> Run | None:
    """Asked of what is being analysed, where it is the last that went live before; else its card tells of what came
    after."""
    if run is None or run.signature is None or run.state is not RunState.ANALYZING:
        return None
    before = [each for each in store.list_runs_of_signature(run.signature) if each.created_at < run.created_at]
    return next((each for each in reversed(before) if each.kind is RunKind.FIX and _went_live(each)), None)


def _went_live(run: Run) -> bool:
    return run.state in (RunState.SUCCEEDED, RunState.ROLLED_BACK) or run.verdict is Verdict.NOT_CURED


def _find_not_cured(store: Store, fix: Run | None) -> FixLink | None:
    """Where it stands: the crash came again at once, or after it had been found healthy."""
    if fix is None or fix.commit is None or policy.find_revert(fix.commit, store.list_reverts()) is not None:
        return None
    came_again = fix.verdict is Verdict.NOT_CURED or fix.fix_state is FixState.RECURRED
    return FixLink(fix.commit, None, fix.branch) if came_again else None


def _find_taken_back(store: Store, fix: Run | None) -> TakenBack | None:
    """The crash is there again because its last fix is not."""
    revert = policy.find_revert(fix.commit, store.list_reverts()) if fix is not None and fix.commit else None
    if fix is None or fix.commit is None or revert is None:
        return None
    made = FixLink(revert.commit, None, revert.branch) if revert.commit else None
    return TakenBack(FixLink(fix.commit, None, fix.branch), made, revert.state is RunState.SUCCEEDED)


def _withdrawn(store: Store, run: Run) -> Withdrawn | None:
    undone = store.get_run_by_commit(run.reverts) if run.reverts else None
    if undone is None or undone.commit is None or undone.kind is RunKind.REVERT:
        return None
    never_live = undone.state is RunState.CANCELLED
    return Withdrawn(undone.reason or "", FixLink(undone.commit, None, undone.branch)) if never_live else None


def _count_others(store: Store, run: Run | None) -> int:
    """Asked of what was rolled back; else its card does not tell."""
    if run is None or run.state is not RunState.ROLLED_BACK or run.deployment is None:
        return 0
    return sum(each.id != run.id and not each.undoes for each in store.list_runs_of(run.deployment))


def _made_worse(store: Store, run: Run | None) -> bool:
    """Asked of what was rolled back; else its card does not tell."""
    rolled_back = run is not None and run.state is RunState.ROLLED_BACK
    deployment = store.get_deployment(run.deployment) if run and rolled_back and run.deployment else None
    return deployment is None or not store.crashed_as_known(deployment.build, deployment.created_at)


def _find_death(store: Store, run: Run | None) -> Death | None:
    """Asked of what was rolled back; else its card does not tell."""
    rolled_back = run is not None and run.state is RunState.ROLLED_BACK
    deployment = store.get_deployment(run.deployment) if run and rolled_back and run.deployment else None
    return None if deployment is None else find_death(store, deployment)


def _paused_itself(tools: Tools, run: Run | None, pause: PauseView | None) -> bool:
    """Not by an operator, and not over what came later: a rollback pauses before its deployment is over."""
    deployment = tools.store.get_deployment(run.deployment) if run and run.deployment else None
    return deployment is not None and is_paused_over(deployment, pause)


def _report(store: Store, row: Any) -> CrashReport | None:
    return None if row is None or row.report is None else store.read_report(row.report)


def _diagnostics(store: Store, run: Run | None) -> tuple[Diagnostic, ...]:
    """Of the last build that failed, where the run still has to do with it."""
    if run is None or not (run.returns or run.state is RunState.FAILED):
        return ()
    failed = [each["commit"] for each in store.get_previous(run.id) if each.get("diagnostics") and each.get("commit")]
    commit = run.commit or (failed[-1] if failed else None)
    build = store.get_build(commit) if commit else None
    return build.diagnostics if build is not None else ()


def _with_their_pages(tools: Tools, back: TakenBack) -> TakenBack:
    return TakenBack(link(tools, back.fix.commit, back.fix.branch), add_page(tools, back.revert), back.over)


def _with_its_page(tools: Tools, withdrawn: Withdrawn) -> Withdrawn:
    return Withdrawn(withdrawn.reason, link(tools, withdrawn.fix.commit, withdrawn.fix.branch))
