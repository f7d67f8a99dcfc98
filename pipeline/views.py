"""What people see, gathered: read models made of rows and of the observed world. Blocking; nothing is changed."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Collection, Sequence
from datetime import UTC, date, datetime, timedelta
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sqlalchemy import func, select

from pipeline import policy, startup
from pipeline import tables as t
from pipeline.card_models import CardView, DeploymentView, FixLink, Post, PostKind, Withdrawn
from pipeline.errors import Obstructed
from pipeline.keeper.protocol import EventKind, Exit, ExitVerdict, Observed, ServerState, from_plain
from pipeline.model import OURS, CrashReport, Diagnostic, Progress, Run, RunKind, RunState, Verdict
from pipeline.needs import Links, Seen, gather_waiting, list_given_up, list_needs, list_server_needs
from pipeline.ports import Halt, Halted, Keeper
from pipeline.read_models import FixLine, RevertPlan
from pipeline.startup import Trouble
from pipeline.status_models import OrderLine, PauseView, RunLine, StatusView
from pipeline.store import Deployment, Store
from pipeline.summary import NightSummary, Scene, summarize
from pipeline.tools import Tools

DATABASE = "database"  # in `degraded`: it could not be opened yet


def status(tools: Tools) -> StatusView:
    """While the database does not work: what can be seen without it, and why that is all."""
    degraded = tuple(dict.fromkeys(tools.degraded.values()))
    if DATABASE in tools.degraded:
        return blind_status(tools, degraded)
    try:
        return dataclasses.replace(_status(tools), degraded=degraded)
    except Obstructed as fault:
        return blind_status(tools, tuple(dict.fromkeys((*degraded, tools.redact(str(fault))))))


def _status(tools: Tools) -> StatusView:
    observed = tools.keeper.observed()
    branch = tools.store.get_open_branch()
    view = outside_status(
        tools.realm.name, tools.store, tools.keeper, tools.now(), tools.realm.state_dir, links_of(tools)
    )
    return dataclasses.replace(
        view,
        players=count_players(tools, observed) if view.server else None,
        head=link(tools, branch.head, branch.name) if branch else None,
        running=_running(tools, observed) if view.pid else None,
    )


def blind_status(tools: Tools, degraded: tuple[str, ...]) -> StatusView:
    """What the keeper and the machine tell by themselves."""
    view = _seen_status(tools.realm.name, tools.keeper, tools.realm.state_dir)
    players = count_players(tools, tools.keeper.observed()) if view.server else None
    return dataclasses.replace(view, players=players, degraded=degraded)


def outside_status(
    realm: str, store: Store, keeper: Keeper, now: datetime, state_dir: Path, links: Links
) -> StatusView:
    """What the database and the keeper tell by themselves: for a command line beside the bot, or without one."""
    branch = store.get_open_branch()
    night = store.night_of(now)
    seen = look(store, keeper)
    waiting = gather_waiting(store, night)
    return dataclasses.replace(
        _seen_status(realm, keeper, state_dir),
        restarts_tonight=_count_restarts(store, now - timedelta(hours=24), night),
        crashes_tonight=store.count_tonight(night),
        paused=waiting.pause,
        branch=branch.name if branch else None,
        head=FixLink(branch.head, None, branch.name) if branch else None,
        runs=tuple(run_line(store, run, waiting.unanswered) for run in store.list_unfinished_runs()),
        failed=tuple(run_line(store, run, waiting.unanswered) for run in waiting.given_up),
        orders=tuple(OrderLine(each.kind, each.by, each.reason, each.due) for each in store.list_waiting_orders()),
        trouble=seen.trouble,
        trouble_detail=seen.cure,
        needs=tuple(list_needs(store, waiting, now, seen, links)),
        push_owed=bool(waiting.owed),
        undelivered=store.count_undelivered(),
    )


def _seen_status(realm: str, keeper: Keeper, state_dir: Path) -> StatusView:
    """Without the database."""
    seen, halt = _look(keeper)
    observed = keeper.observed() if keeper.alive() else None
    return StatusView(
        realm=realm,
        server=seen.state if seen else None,
        hold=seen.hold if seen else None,
        hold_detail=seen.hold_detail if seen else "",
        pid=seen.pid if seen else None,
        started=_time(seen.started if seen else None),
        ready_at=_time(seen.ready_at if seen else None),
        next_start=_time(seen.next_start if seen else None),
        revision=seen.revision if seen else None,
        build=seen.build if seen else None,
        players=None,
        restarts_tonight=None,
        crashes_tonight=None,
        paused=None,
        branch=None,
        head=None,
        runs=(),
        push_owed=False,
        degraded=(),
        halted=halt.detail if halt else "",
        needs=tuple(list_server_needs(Seen(seen, halt.detail if halt else ""))),
        keeper_pid=observed.keeper_pid if observed else None,
        disk_free=_disk_free(state_dir),
        version=own_version(),
    )


def look(store: Store, keeper: Keeper) -> Seen:
    """With why the server is not up, where something was found out about it."""
    observed, halt = _look(keeper)
    trouble = _trouble(store, observed)
    found = (trouble.cause, trouble.detail) if trouble else ("", "")
    return Seen(observed, halt.detail if halt else "", *found)


def links_of(tools: Tools) -> Links:
    return Links(tools.source.url, tools.source.compare_url, tools.realm.remote, tools.analyst.has_command)


def _look(keeper: Keeper) -> tuple[Observed | None, Halt | None]:
    """What the keeper observes, nothing where nobody does; and who was stopped."""
    halt = keeper.find_halt()
    if not keeper.alive():
        return None, halt if halt and halt.who is Halted.KEEPER else None
    return (None if halt and halt.who is Halted.KEEPER else keeper.observed()), halt


def _running(tools: Tools, observed: Observed | None) -> FixLink | None:
    """Of a build that we made; what lay there before us is known by its revision alone."""
    build = tools.store.get_build(observed.build) if observed is not None and observed.build else None
    return link(tools, build.commit, None) if build is not None and build.commit == build.build else None


def _trouble(store: Store, seen: Observed | None) -> Trouble | None:
    """Why the server is not up, where something was found out about it."""
    if seen is None or seen.state not in (ServerState.BACKOFF, ServerState.STARTING, ServerState.ABSENT):
        return None
    told, last = startup.find_present(store), seen.last_exit
    if last is None or last.verdict is not ExitVerdict.CRASH or (told and told[0].timestamp() >= last.at):
        return told[1] if told else None
    title = store.find_last_title()
    return Trouble(f"it crashed: `{title}`" if title else "it crashed", "")


def own_version() -> str:
    try:
        return version("spirit-healer")
    except PackageNotFoundError:
        return "uninstalled"


def link(tools: Tools, commit: str, branch: str | None) -> FixLink:
    return FixLink(commit, tools.source.url(commit), branch)


def _time(seconds: float | None) -> datetime | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def count_players(tools: Tools, observed: Observed | None) -> int | None:
    return None if observed is None or observed.pid is None else tools.players.count(observed.pid)


def _disk_free(state_dir: Path) -> int | None:
    try:
        return shutil.disk_usage(state_dir).free
    except OSError:
        return None


def _count_restarts(store: Store, since: datetime, night: date) -> int:
    """Starts of this night that an end came before: the very first start is none."""
    events = [(at, kind) for at, kind, _ in store.list_events(since)]
    ended = next((at for at, kind in events if kind == EventKind.EXITED), None)
    starts = [at for at, kind in events if kind == EventKind.SPAWNED and ended is not None and at >= ended]
    return sum(store.night_of(at) == night for at in starts)


def run_line(store: Store, run: Run, unanswered: Collection[Run] | None = None) -> RunLine:
    """`unanswered` = the requests that nobody works on; None = they are looked for."""
    return RunLine(
        run.id, run.subject, run.state, run.reason, run.question, _progress(_build_row(store, run)),
        _is_in_line(store, run), run.not_before, waits_for_resume(store, run),
        in_queue=_is_in_queue(store, run, unanswered),
        hindered=policy.is_hindered(run),
        kind=run.kind,
    )  # fmt: skip


def _is_in_queue(store: Store, run: Run, unanswered: Collection[Run] | None) -> bool:
    if run.state is not RunState.ANALYZING:
        return False
    return any(each.id == run.id for each in (store.list_unanswered() if unanswered is None else unanswered))


def waits_for_resume(store: Store, run: Run) -> bool:
    if store.get_pause() is None:
        return False
    return policy.waits_for_resume(run, asked=run.state is RunState.ANALYZING and store.was_asked(run))


def _is_in_line(store: Store, run: Run) -> bool:
    """Built, and another deployment has the lane: it waits for that one, for no quiet moment."""
    active = store.get_active_deployment() if run.state is RunState.AWAITING_DEPLOYMENT else None
    return active is not None and active.id != run.deployment


# --- fixes and orders ------------------------------------------------------------------------------------------------


def list_fixes(tools: Tools) -> list[FixLine]:
    since = tools.night() - timedelta(days=1)
    runs = [run for run in tools.store.list_committed_runs(since) if run.kind is RunKind.FIX]
    return [_fix_line(tools, run) for run in reversed(runs)]


def _fix_line(tools: Tools, run: Run) -> FixLine:
    commit = run.commit or ""
    return FixLine(
        commit, run.subject, run.id, run.state, run.updated_at, tools.source.url(commit),
        policy.find_revert(commit, tools.store.list_reverts()) is not None,
    )  # fmt: skip


def plan_revert(tools: Tools, run: Run) -> RevertPlan:
    observed = tools.keeper.observed()
    verifying = run.state in (RunState.DEPLOYING, RunState.VERIFYING)
    down = expected_down_seconds(tools, observed)
    back = run.kind is RunKind.REVERT
    why = (run.reason or "") if back else ""
    players = count_players(tools, observed)
    return RevertPlan(run.commit or "", run.subject, down, players, verifying, back, why, say_down(tools))


def say_down(tools: Tools) -> str:
    """That no server runs, and why; "" = one runs, or nobody can tell."""
    observed = tools.keeper.observed() if tools.keeper.alive() else None
    if observed is None or observed.pid is not None:
        return ""
    match observed.state:
        case ServerState.HELD:
            return f"The server does not run: it is held ({observed.hold_detail or observed.hold})."
        case ServerState.BACKOFF:
            return "The server does not run: it died, and its next start waits."
        case _:
            return "The server does not run at this moment: it is between two lives."


def expected_down_seconds(tools: Tools, observed: Observed | None) -> float | None:
    last = tools.store.get_last_deployment()
    if last is not None and last.down_seconds is not None:
        return last.down_seconds
    return observed.learned_start if observed else None


# --- nights ----------------------------------------------------------------------------------------------------------


def night_summary(tools: Tools, night: date) -> NightSummary:
    """What a person reads in the morning, or so far."""
    degraded = tuple(dict.fromkeys(tools.degraded.values()))
    seen = look(tools.store, tools.keeper)
    scene = Scene(tools.realm.name, tools.now(), tools.realm.timezone, seen, links_of(tools), degraded)
    return summarize(tools.store, night, scene)


# --- cards -----------------------------------------------------------------------------------------------------------


class Ledger:
    """What the outbox asks of the pipeline: the store's sentences about delivery, and a card as it is now."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        store = tools.store
        self.list_dirty_cards = store.list_dirty_cards
        self.get_card_state = store.get_card_state
        self.card_delivered = store.card_delivered
        self.card_lost = store.card_lost
        self.card_replaced = store.card_replaced
        self.list_pending_posts = store.list_pending_posts
        self.post_delivered = store.post_delivered
        self.post_deferred = store.post_deferred
        self.append_audit = store.append_audit
        self.list_outdated_orders = store.list_outdated_orders
        self.note_order_shown = store.note_order_shown

        self.post_settled = store.post_settled

    def get_card_view(self, card: int) -> CardView:
        return card_view(self._tools, card)

    def list_outlived_posts(self) -> list[Post]:
        """News that no longer hold, and whose buttons no longer do what they say."""
        offers = self._tools.store.list_offers()
        return [post for post in offers if is_outlived(self._tools, post, offers)]


def is_outlived(tools: Tools, post: Post, offers: Sequence[Post]) -> bool:
    """A pause that was resumed; a push that was made up; a hold that ended, or that another came after."""
    if post.data.get("what") == "push owed":
        return all(branch.owed_since != post.created_at for branch in tools.store.list_owed_branches())
    if post.kind is PostKind.PIPELINE:
        pause = tools.store.get_pause()
        return pause is None or pause.at > post.created_at
    observed = tools.keeper.observed() if tools.keeper.alive() else None
    later = any(each.kind is post.kind and each.id > post.id for each in offers)
    return later or (observed is not None and observed.hold is None)


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
        build=observed.build if observed else None,
        players=count_players(tools, observed) if waits else None,
        fix=_with_page(tools, view.fix),
        revert=_with_page(tools, view.revert),
        withdrawn=view.withdrawn and _with_its_page(tools, view.withdrawn),
    )


def _stored_card(tools: Tools, card: int) -> CardView:
    """As far as the database tells: without server, players and the pages of commits."""
    store = tools.store
    row, crashes, before = _read_card(store, card)
    run = store.get_run(row.run) if row.run else None
    build = _build_row(store, run)
    last = crashes[-1] if crashes else None
    withdrawn = _withdrawn(store, run) if run else None
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
        server=None,
        fix=FixLink(run.commit, None, run.branch) if run and run.commit else None,
        changes=run.changes if run else (),
        progress=_progress(build),
        build_eta=build and build.eta,
        diagnostics=_diagnostics(store, run),
        deployment=deployment_view(tools, run),
        revert=_find_revert(store, run),
        players=None,
        player_limit=tools.realm.max_players_for_restart,
        deploy_at_latest=policy.next_time(tools.now(), tools.realm.deploy_at_latest, tools.realm.timezone),
        paused=run is not None and waits_for_resume(store, run),
        previous_card=row.previous_message,
        paused_by_it=_paused_itself(tools, run, store.get_pause()),
        puts_back=run is not None and _puts_back(store, run),
        withdrawn=withdrawn,
        in_queue=run is not None and _is_in_queue(store, run, None),
        mended=_is_mended(store, run, withdrawn),
        made_worse=_made_worse(store, run),
        given_up=run is not None and _is_given_up(tools, run),
        only_taken_back=_was_only_taken_back(store, run),
    )


def _read_card(store: Store, card: int) -> tuple[Any, Sequence[Any], int]:
    """Its row, those of its crashes, and how often the same crashed in the nights before."""
    with store.begin() as c:
        row = c.execute(select(t.cards).where(t.cards.c.id == card)).one()
        crashes = c.execute(select(t.crashes).where(t.crashes.c.card == card).order_by(t.crashes.c.id)).all()
        exact = crashes[-1].exact if crashes else None
        same = (t.crashes.c.exact == exact, t.crashes.c.night < row.night)
        before = c.execute(select(func.count()).select_from(t.crashes).where(*same)).scalar_one() if exact else 0
    return row, crashes, before


def _puts_back(store: Store, run: Run) -> bool:
    undone = [store.get_run_by_commit(commit) for commit in run.undoes]
    return any(each is not None and each.kind is RunKind.REVERT for each in undone)


def _is_mended(store: Store, run: Run | None, withdrawn: Withdrawn | None) -> bool:
    """Asked where a change was taken back; else its card does not tell."""
    if run is None or run.signature is None or not (withdrawn or run.state is RunState.CANCELLED):
        return True
    return store.is_mended(run.signature)


def _was_only_taken_back(store: Store, run: Run | None) -> bool:
    """Asked of what is live or was given up; else its card does not tell."""
    if run is None or run.state not in (RunState.SUCCEEDED, RunState.FAILED):
        return False
    return store.was_only_taken_back(run.signature)


def _withdrawn(store: Store, run: Run) -> Withdrawn | None:
    undone = store.get_run_by_commit(run.reverts) if run.reverts else None
    if undone is None or undone.commit is None or undone.kind is RunKind.REVERT:
        return None
    never_live = undone.state is RunState.CANCELLED
    return Withdrawn(undone.reason or "", FixLink(undone.commit, None, undone.branch)) if never_live else None


def _is_given_up(tools: Tools, run: Run) -> bool:
    if run.state is not RunState.ROLLED_BACK:
        return False
    return any(each.id == run.id for each in list_given_up(tools.store, tools.night() - timedelta(days=1)))


def _made_worse(store: Store, run: Run | None) -> bool:
    """Asked of what was rolled back; else its card does not tell."""
    rolled_back = run is not None and run.state is RunState.ROLLED_BACK
    deployment = store.get_deployment(run.deployment) if run and rolled_back and run.deployment else None
    return deployment is None or not store.crashed_as_known(deployment.build, deployment.created_at)


def _paused_itself(tools: Tools, run: Run | None, pause: PauseView | None) -> bool:
    """Not by an operator, and not over what came later: a rollback pauses before its deployment is over."""
    deployment = tools.store.get_deployment(run.deployment) if run and run.deployment else None
    if pause is None or deployment is None or pause.by != OURS or deployment.verdict is not Verdict.UNHEALTHY:
        return False
    return deployment.created_at <= pause.at and (deployment.over_at is None or pause.at <= deployment.over_at)


def _report(store: Store, row: Any) -> CrashReport | None:
    return None if row is None or row.report is None else store.read_report(row.report)


def _progress(row: Any) -> Progress | None:
    return None if row is None or row.total is None else Progress(row.done, row.total)


def _build_row(store: Store, run: Run | None) -> Any:
    if run is None or run.state is not RunState.BUILDING:
        return None
    with store.begin() as c:
        return c.execute(select(t.runs.c.done, t.runs.c.total, t.runs.c.eta).where(t.runs.c.id == run.id)).first()


def _diagnostics(store: Store, run: Run | None) -> tuple[Diagnostic, ...]:
    """Of the last build that failed, where the run still has to do with it."""
    if run is None or not (run.returns or run.state is RunState.FAILED):
        return ()
    failed = [each["commit"] for each in store.get_previous(run.id) if each.get("diagnostics") and each.get("commit")]
    commit = run.commit or (failed[-1] if failed else None)
    build = store.get_build(commit) if commit else None
    return build.diagnostics if build is not None else ()


def deployment_view(tools: Tools, run: Run | None) -> DeploymentView | None:
    found = tools.store.get_deployment(run.deployment) if run and run.deployment else None
    if found is None or found.state == "standby":
        return None
    healthy_at = found.ready_at + tools.realm.soak if found.ready_at else None
    return DeploymentView(
        found.id, found.build, _stage_of(found), found.down_seconds, found.ready_at, healthy_at, found.previous
    )


def _stage_of(deployment: Deployment) -> str:
    return "starting" if deployment.state == "stopping" else deployment.state


def revert_link(tools: Tools, run: Run | None) -> FixLink | None:
    """The commit that took the fix back, once there is one."""
    return _with_page(tools, _find_revert(tools.store, run))


def _find_revert(store: Store, run: Run | None) -> FixLink | None:
    if run is None or run.commit is None:
        return None
    is_it = run.kind is RunKind.REVERT and run.state is not RunState.ROLLED_BACK
    undone = run if is_it else policy.find_revert(run.commit, store.list_reverts())
    return FixLink(undone.commit, None, undone.branch) if undone and undone.commit else None


def _with_its_page(tools: Tools, withdrawn: Withdrawn) -> Withdrawn:
    return Withdrawn(withdrawn.reason, link(tools, withdrawn.fix.commit, withdrawn.fix.branch))


def _with_page(tools: Tools, found: FixLink | None) -> FixLink | None:
    return None if found is None else link(tools, found.commit, found.branch)
