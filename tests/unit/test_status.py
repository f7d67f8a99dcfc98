"""What `/status` tells: whole texts, what needs a person first."""

from __future__ import annotations

import os

import pytest
from edge_fakes import COMMIT, NAME, NOW, THEN, URL, make_status

from bot import report
from bot.cards import Home
from bot.needs import say_need
from bot.payloads import Colour
from bot.status import Instance, find_instance, render_status, say_tonight
from pipeline.card_models import FixLink
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import OURS, Awaits, Progress, Question, RunKind, RunState
from pipeline.moments import write_moment
from pipeline.needs import Seen, list_machine_needs, list_server_needs
from pipeline.status_models import Need, PauseView, RunLine, Stale, Topic

WAITING = (RunState.PROPOSED, RunState.AWAITING_APPROVAL)  # for a person, who reads it first


def test_a_quiet_status_needs_nobody() -> None:
    embed = render_status(make_status()).embed
    assert embed is not None
    assert (embed.title, embed.colour, embed.description) == (
        "Testrealm: server up",
        Colour.GREEN,
        "Nothing waits for you.",
    )
    assert [(each.name, each.value) for each in embed.fields] == [
        (
            "Server",
            f"up since <t:{THEN}:R> · runs `7d14957a32df` · pid 4711 · 14 players\n2 crashes and 3 restarts tonight",
        ),
        ("Pipeline", f"Nothing in work.\n`overnight-20241122` at [`a1b2c3d`]({URL})"),
    ]
    assert embed.footer == "Spirit Healer 0.1.0 · keeper 4710 · 12.0 GiB free"


def test_a_status_begins_with_what_needs_a_person() -> None:
    runs = (
        RunLine("9f3c21aa", NAME, RunState.AWAITING_APPROVAL, None, Question.PATCH, None),
        RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, Progress(1, 4)),
    )
    view = make_status(
        server=ServerState.HELD,
        hold=Hold.BREAKER,
        hold_detail="5 deaths in 3 min",
        ready_at=None,
        started=None,
        pid=None,
        players=None,
        paused=PauseView("Ann", "raid", NOW),
        runs=runs,
        push_owed=True,
        degraded=("the remote does not answer",),
        needs=(
            Need(Topic.SERVER, "breaker", "5 deaths in 3 min"),
            Need(Topic.PAUSE, "Ann", "raid"),
            Need(Topic.APPROVAL, NAME, "", "9f3c21aa", None, "AWAITING_APPROVAL", "patch"),
        ),
    )
    embed = render_status(view).embed
    assert embed is not None
    assert (embed.title, embed.colour) == ("Testrealm: server held", Colour.RED)
    asks = f"`{NAME}` **waits for an approval** of its patch · run `9f3c21aa`"
    approval = f"{asks} · `/approve 9f3c21aa` or `/reject 9f3c21aa <reason>`"
    assert embed.description == (
        "**3 things need you**\n"
        "- the server is held: it died too often (5 deaths in 3 min) · `/start-server` starts it\n"
        f"- the pipeline is paused by Ann · raid · `/resume` lets it go on\n- {approval}"
    )
    assert [each.value for each in embed.fields] == [
        "2 crashes and 3 restarts tonight",
        f"**Paused** <t:{THEN}:R>\n"
        f"`overnight-20241122` at [`a1b2c3d`]({URL}) · **not all of it is on the remote yet**\n"
        "1 waiting for you · 1 in work\n- `Map::Update` building, 25 % · run `77aa77aa`",
        "- the remote does not answer",
    ]


@pytest.mark.parametrize(
    ("server", "title", "colour", "needed", "seen"),
    [
        (
            4720, "Testrealm: server runs, nothing is reported of it", Colour.AMBER,
            "**1 thing needs you**\n"
            "- only 12.0 KiB are free on the disk of `STATE_DIR`, where all is noted: make room there",
            "process 4720 runs; whether it is ready is not known",
        ),
        (
            None, "Testrealm: no server seen, nothing is reported of it", Colour.RED,
            "**2 things need you**\n"
            f"- no server is seen to run; its keeper (process 4710) lives and has reported nothing, since <t:{THEN}:R>"
            " · see that it can write to the state folder\n"
            "- only 12.0 KiB are free on the disk of `STATE_DIR`, where all is noted: make room there",
            "no process of it runs",
        ),
    ],
)  # fmt: skip
def test_a_status_tells_no_more_than_is_seen_while_a_full_disk_keeps_the_keeper_from_its_report(
    server: int | None, title: str, colour: Colour, needed: str, seen: str
) -> None:
    stale = Stale(NOW.timestamp(), keeper=4710, gone=4711, server=server)
    words = (
        "the database does not work: disk is full. Cure: make room on the disk that holds it",
        "what runs is older",
    )
    needs = (*list_server_needs(Seen(stale=stale)), *list_machine_needs(words, 12 << 10))
    embed = render_status(
        make_status(
            server=None, started=None, ready_at=None, pid=None, revision=None, build=None, players=None, stale=stale,
            needs=needs, degraded=words, crashes_tonight=0, restarts_tonight=0,
        )
    ).embed  # fmt: skip
    assert embed is not None
    assert (embed.title, embed.colour, embed.description) == (title, colour, needed)
    server_field, _, broken = [each.value for each in embed.fields]
    assert server_field == (
        f"{seen} · process 4711 is gone · last report of the keeper <t:{THEN}:R>\n"
        "0 crashes and 0 restarts tonight, as far as they are reported"
    )
    assert broken == "- the database does not work: disk is full\n- what runs is older", "the cure is said once"


def test_what_a_person_can_mend_is_counted_once_for_each_cause_and_what_mends_itself_is_not() -> None:
    degraded = (
        "the state folder cannot be written: no space left on device. Cure: make room in the state folder",
        "the database does not work: database or disk is full. Cure: make room on the disk that holds it",
        "what runs is older than the fix of `Map::Update` (`a1b2c3d`): it is live again with the next build",
        "git fetch failed: permission denied. Cure: let our user write to the disk that holds it",
    )
    view = make_status(degraded=degraded, needs=tuple(list_machine_needs(degraded, 1 << 40)))
    embed = render_status(view).embed
    assert embed is not None
    assert (embed.description, embed.fields[-1].value) == (
        f"**2 things need you**\n- {degraded[0]}\n- {degraded[3]}",
        "- the database does not work: database or disk is full\n"
        "- what runs is older than the fix of `Map::Update` (`a1b2c3d`): it is live again with the next build",
    )


def test_a_database_that_is_away_is_needed_and_whether_anything_else_is_is_not_known() -> None:
    words = "the database does not work: connection refused. Cure: see that PostgreSQL runs"
    needs = tuple(list_machine_needs((words,), None))
    embed = render_status(make_status(crashes_tonight=None, needs=needs, degraded=(words,))).embed
    assert embed is not None and embed.description == (
        f"**1 thing needs you**\n- {words}\nWhether anything else does is not known while the database does not work."
    )
    assert [each.name for each in embed.fields] == ["Server", "Pipeline"]


def test_a_pipeline_that_paused_itself_says_so() -> None:
    need = Need(Topic.PAUSE, OURS, "`Map::Update` was rolled back", message="77", since=NOW.timestamp())
    words = f"the pipeline paused itself <t:{THEN}:R> · `Map::Update` was rolled back"
    assert say_need(need) == f"{words} · the thread of its card has what to look at, then `/resume` lets it go on"
    linked = "[its card](https://discord.com/channels/1/2/77)"
    assert say_need(need, Home(1, 2)).endswith(
        f"the thread of {linked} has what to look at, then `/resume` lets it go on"
    )
    of = Need(Topic.PAUSE, OURS, need.detail, message="77", since=NOW.timestamp(), crash="Loot::Roll")
    assert say_need(of) == f"{words} · what it died of: `/crash Loot::Roll` · then `/resume` lets it go on"
    named = "[`Loot::Roll`](https://discord.com/channels/1/2/77), also by `/crash Loot::Roll`"
    assert say_need(of, Home(1, 2)) == f"{words} · what it died of: {named} · then `/resume` lets it go on"
    ordered = Need(Topic.PAUSE, OURS, "rolled back: `A`: ordered by Ann", since=NOW.timestamp(), ordered=True)
    assert say_need(ordered) == (
        f"the pipeline is paused by a rollback since <t:{THEN}:R> · rolled back: `A`: ordered by Ann · "
        "`/resume` lets it go on, when you like"
    )
    by_ann = Need(Topic.PAUSE, "Ann", "raid", since=NOW.timestamp())
    assert say_need(by_ann) == f"the pipeline is paused by Ann since <t:{THEN}:R> · raid · `/resume` lets it go on"


def test_a_server_that_an_operator_stopped_is_called_stopped_and_by_whom_once() -> None:
    need = Need(Topic.SERVER, "stopped", "stopped by Ann: new disk")
    view = make_status(server=ServerState.HELD, hold=Hold.STOPPED, hold_detail=need.detail, pid=None, needs=(need,))
    embed = render_status(view).embed
    assert embed is not None and embed.title == "Testrealm: server stopped"
    assert embed.description == (
        "**1 thing needs you**\n- the server is down: stopped by Ann: new disk · `/start-server` starts it"
    )


def test_a_status_names_the_bot_that_holds_the_lock_its_versions_and_what_waits_for_discord() -> None:
    bot = Instance(4709, "realm-host", NOW, "Python 3.11.7, discord.py 2.7.1")
    embed = render_status(make_status(undelivered=3), bot).embed
    assert embed is not None
    assert (embed.fields[-1].name, embed.fields[-1].value) == (
        "Bot",
        f"process 4709 on `realm-host` holds the lock, since <t:{THEN}:R>\n"
        "Python 3.11.7, discord.py 2.7.1 · 3 messages wait for Discord",
    )
    assert find_instance(NOW).pid == os.getpid()


def test_a_status_names_the_build_where_the_revision_does_not() -> None:
    shown = render_status(make_status(build="found-0123456789abcdef")).embed
    ours = render_status(make_status(running=FixLink(COMMIT, URL, None), build=COMMIT)).embed
    assert shown is not None and ours is not None
    runs = f"up since <t:{THEN}:R> · runs `7d14957a32df`"
    assert shown.fields[0].value.startswith(f"{runs} · the build that was there before · pid 4711")
    assert ours.fields[0].value.startswith(f"{runs} · build [`a1b2c3d`]({URL}) · pid 4711")
    silent = render_status(make_status(build=f"found-{'0' * 64}", revision=None)).embed
    assert silent is not None
    assert silent.fields[0].value.startswith(f"up since <t:{THEN}:R> · runs a build that is not ours · pid 4711")


@pytest.mark.parametrize(
    ("revision", "words"),
    [
        (COMMIT[:12], f"runs [`a1b2c3d`]({URL}) · pid 4711"),
        (None, f"runs [`a1b2c3d`]({URL}) · pid 4711"),
        (f"{COMMIT[:12]}+", f"runs `{COMMIT[:12]}+` · build [`a1b2c3d`]({URL}) · pid 4711"),
    ],
)
def test_a_status_names_a_commit_of_ours_once(revision: str | None, words: str) -> None:
    embed = render_status(make_status(running=FixLink(COMMIT, URL, None), build=COMMIT, revision=revision)).embed
    assert embed is not None
    assert embed.fields[0].value.startswith(f"up since <t:{THEN}:R> · {words}")


def test_what_is_no_fix_is_told_with_its_kind() -> None:
    line = RunLine("77aa77aa", "Map::Update", RunState.BUILDING, None, None, None, kind=RunKind.REVERT)
    need = Need(Topic.LOOK, "Map::Update", "no try left", "66bb66bb", state="FAILED", kind="revert")
    view = make_status(runs=(line,), needs=(need,))
    embed = render_status(view).embed
    assert embed is not None
    assert embed.description == (
        "**1 thing needs you**\n"
        "- the revert of `Map::Update` **given up: needs a person** · run `66bb66bb` · no try left · "
        "`/retry 66bb66bb` tries it again"
    )
    assert embed.fields[1].value.endswith("\n- the revert of `Map::Update` building · run `77aa77aa`")
    assert "Run 77aa77aa: the revert of Map::Update: building" in report.as_text(view)


@pytest.mark.parametrize(
    ("awaits", "words"),
    [
        (Awaits.QUIET, f"built: why, <t:{THEN}:R> · run `9f3c21aa`"),
        (Awaits.LANE, f"built: why, <t:{THEN}:R> · run `9f3c21aa`"),
        (Awaits.START, "built, goes live with the next start · run `9f3c21aa`"),
        (Awaits.TURN, "built, goes live next · run `9f3c21aa`"),
        (Awaits.RETRY, f"built, tried again <t:{THEN}:R> · run `9f3c21aa` · why, <t:{THEN}:R>"),
    ],
)
def test_a_status_says_the_one_thing_that_a_build_waits_for(awaits: Awaits, words: str) -> None:
    why = f"why, {write_moment(NOW)}"
    state = RunState.AWAITING_DEPLOYMENT
    line = RunLine("9f3c21aa", NAME, state, why, None, None, not_before=NOW, awaits=awaits)
    view = make_status(runs=(line,))
    embed = render_status(view).embed
    assert embed is not None and embed.fields[1].value.splitlines()[-1] == f"- `{NAME}` {words}"
    assert f"Run 9f3c21aa: {NAME}: built" in report.as_text(view)


def test_a_status_says_what_waits_for_the_end_of_the_pause() -> None:
    states = (RunState.ANALYZING, RunState.READY, RunState.AWAITING_DEPLOYMENT)
    runs = tuple(RunLine("9f3c21aa", NAME, state, None, None, None, paused=True) for state in states)
    embed = render_status(make_status(paused=PauseView("Ann", "", NOW), runs=runs)).embed
    assert embed is not None
    assert embed.fields[1].value.splitlines()[2:] == [
        "3 waiting for `/resume`",
        f"- `{NAME}` not asked yet, waits for `/resume` · run `9f3c21aa`",
        f"- `{NAME}` waits for `/resume` · run `9f3c21aa`",
        f"- `{NAME}` built, waits for `/resume` · run `9f3c21aa`",
    ]


@pytest.mark.parametrize("state", RunState)
def test_every_state_of_a_run_has_words_in_a_status(state: RunState) -> None:
    need = Need(Topic.LOOK, NAME, "why", "1", state=state)
    embed = render_status(make_status(runs=(RunLine("1", NAME, state, "why", None, None),), needs=(need,))).embed
    assert embed is not None
    assert "why" in embed.description and (state in WAITING or "why" in embed.fields[1].value)


def test_a_guest_reads_that_an_operator_is_needed() -> None:
    quiet, busy = make_status(), make_status(needs=(Need(Topic.PAUSE, "Ann"),))
    shown = [render_status(view, who="an operator").embed for view in (quiet, busy)]
    assert [each.description.splitlines()[0] for each in shown if each] == [
        "Nothing waits for an operator.", "**1 thing needs an operator**",
    ]  # fmt: skip


def test_a_guest_reads_of_runs_that_they_wait_for_an_operator() -> None:
    states = (RunState.PROPOSED, RunState.AWAITING_APPROVAL)
    runs = tuple(RunLine(f"9f3c21a{state[0]}", NAME, state, None, None, None) for state in states)
    shown = [render_status(make_status(runs=runs), who=who).embed for who in ("you", "an operator")]
    branch = f"`overnight-20241122` at [`a1b2c3d`]({URL})"
    assert [each.fields[1].value for each in shown if each] == [
        f"{branch}\n2 waiting for you", f"{branch}\n2 waiting for an operator",
    ]  # fmt: skip


def test_deployments_are_no_restarts_in_the_status() -> None:
    assert say_tonight(make_status(deployments_tonight=1)) == "2 crashes, 3 restarts and 1 deployment"
