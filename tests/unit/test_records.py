"""What people look up: a run, crashes, the audit, a log. Whole texts, and what the fake world has recorded."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from edge_fakes import COMMIT, NAME, NIGHT, NOW, URL, make_crash_line, make_crash_view, make_run, make_run_view
from harmless import HOSTILE, assert_harmless
from hypothesis import given
from hypothesis import strategies as st
from world import GOOD, OPERATOR, World

from bot import entries, limits, records
from bot.cards import Home
from bot.commands.buttons import QUESTIONS
from bot.commands.delays import LONGEST_DELAY, read_delay, write_delay
from bot.payloads import Colour, Message
from bot.permissions import Operators, Visitor
from bot.standing import Standing, find_standing, render_standing
from bot.status import doing
from pipeline import log_tails, status_views
from pipeline.card_models import FixLink
from pipeline.errors import Obstructed
from pipeline.keeper.protocol import Observed
from pipeline.log_tails import read_end
from pipeline.model import (
    Actor,
    Analysis,
    CrashReport,
    FixState,
    Frame,
    Impossible,
    ReportKind,
    Run,
    RunKind,
    RunState,
    Signature,
)
from pipeline.read_models import AuditLine, CrashesView, CrashLine, CrashView, LogView, RunStep, RunView
from pipeline.status_models import RunLine
from pipeline.tools import Tools

HOME = Home(1, 2)
THEN, FIRST = int(NOW.timestamp()), int((NOW - timedelta(days=3)).timestamp())
CARD = "[its card](https://discord.com/channels/1/2/77)"
ASKED = AuditLine(NOW, "Ann", "1", "10/20", "restart-server", "2m new map", "answered")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    world = await World(tmp_path).start()
    yield world
    world.engine.dispose()


def look(message: Message) -> tuple[str, str, dict[str, str]]:
    assert message.embed is not None
    return message.embed.title, message.embed.description, {each.name: each.value for each in message.embed.fields}


# --- one run ---------------------------------------------------------------------------------------------------------


def test_a_run_is_shown_with_its_steps() -> None:
    assert look(records.render_run(make_run_view(), HOME)) == (
        f"{NAME}: live, being watched",
        "run `9f3c21aa` · kind fix\n"
        "**Cause:** It dies twice.\n"
        f"[`a1b2c3d`]({URL}) on `overnight-20241122` · not on the remote yet\n"
        f"crashed 3 times in all · {CARD}",
        {"Steps": f"<t:{THEN}:t> analyzing\n<t:{THEN}:t> ready · answered with a change"},
    )


def test_a_run_that_waits_for_a_person_begins_with_why() -> None:
    view = make_run_view(RunState.PROPOSED, fix=None, card=None)
    run = replace(view.run, reason="it touches `sql/`", retry_of="77aa77aa", asked_by="Ann", analysis=None)
    message = records.render_run(replace(view, run=run, steps=()), HOME)
    assert message.embed is not None and message.embed.colour is Colour.AMBER
    assert look(message) == (
        f"{NAME}: needs a look",
        "it touches `sql/`\n"
        "run `9f3c21aa` · kind fix · asked for by Ann · tries again what run `77aa77aa` tried\n"
        "crashed 3 times in all",
        {"Steps": "none"},
    )


def test_of_many_steps_the_first_and_the_last_are_shown() -> None:
    steps = tuple(RunStep(NOW, "BUILDING", "READY", str(number)) for number in range(40))
    (shown,) = look(records.render_run(make_run_view(steps=steps), HOME))[2].values()
    assert shown.splitlines()[:3] == [f"<t:{THEN}:t> ready · 0", "… 26 steps left out …", f"<t:{THEN}:t> ready · 27"]
    assert shown.splitlines()[-1] == f"<t:{THEN}:t> ready · 39"


def test_a_request_that_waits_in_the_queue_is_named_with_its_file_and_a_title_breaks_off_in_no_sentence() -> None:
    view = make_run_view(RunState.ANALYZING, fix=None, card=None, crashes=1, steps=())
    run = replace(view.run, request_id="9f3c21aa", analysis=None)
    assert look(records.render_run(replace(view, run=run, line=replace(view.line, in_queue=True)), HOME))[:2] == (
        f"{NAME}: waits for an answer",
        "**Its request waits for an answer:** `requests/request_9f3c21aa.json` in `ANALYST_QUEUE_DIR` "
        "(unless set, `queue` in the state folder); "
        "`docs/analysts.md` says how to answer\n"
        "run `9f3c21aa` · kind fix\n"
        "crashed once",
    )


@pytest.mark.parametrize(
    ("line", "changes", "title", "colour"),
    [
        ({}, {"fix_state": FixState.REVERTED}, f"{NAME}: taken back", Colour.GREY),
        ({}, {"fix_state": FixState.RECURRED}, f"{NAME}: came back after its fix", Colour.AMBER),
        ({}, {"kind": RunKind.REVERT}, f"Revert of {NAME}: succeeded", Colour.GREEN),
        ({"puts_back": True}, {"kind": RunKind.REVERT}, f"Putting back of {NAME}: succeeded", Colour.GREEN),
        ({}, {"state": RunState.FAILED}, f"{NAME}: given up", Colour.AMBER),
        ({"paused": True}, {"state": RunState.ANALYZING}, f"{NAME}: waits for /resume", Colour.GREY),
    ],
)
def test_the_title_of_a_run_says_which_change_it_is_and_what_holds_now(
    line: dict[str, Any], changes: dict[str, Any], title: str, colour: Colour
) -> None:
    view = make_run_view(RunState.SUCCEEDED)
    run = replace(view.run, **changes)
    told = replace(view.line, state=run.state, kind=run.kind, fix_state=run.fix_state, **line)
    embed = records.render_run(replace(view, run=run, line=told), HOME).embed
    assert embed is not None and (embed.title, embed.colour) == (title, colour)


def test_a_run_that_nobody_goes_on_with_says_what_to_type() -> None:
    view = make_run_view(RunState.FAILED, given_up=True)
    text = look(records.render_run(view, HOME))[1]
    assert text.splitlines()[0] == "**A person is needed:** `/retry 9f3c21aa` tries it again"


@pytest.mark.parametrize("kind", RunKind)
@pytest.mark.parametrize("state", RunState)
def test_every_state_of_every_kind_of_run_can_be_looked_up(kind: RunKind, state: RunState) -> None:
    view = make_run_view(state)
    message = records.render_run(replace(view, run=replace(view.run, kind=kind, subject="x" * 300)), HOME)
    assert limits.width(look(message)[0]) <= limits.READABLE_TITLE
    assert limits.fit(message) == message


# --- crashes ---------------------------------------------------------------------------------------------------------


def test_crashes_are_listed_by_signature_with_counts_times_and_verdict() -> None:
    other = make_crash_line(run=None, judged="environment", title="port 8085 is in use", times=1, ever=1)
    assert look(records.render_crashes(CrashesView(NIGHT, NIGHT, 6, 1, (make_crash_line(), other)))) == (
        "6 crashes of 2 kinds this night",
        f"- `{NAME}` ×4 (9 ever) · last <t:{THEN}:R>, first <t:{FIRST}:R> · building\n"
        f"- `port 8085 is in use` ×1 · last <t:{THEN}:R> · not a bug: its environment\n"
        "1 not read yet",
        {},
    )


def test_a_night_without_a_crash_says_so() -> None:
    since = NIGHT - timedelta(days=6)
    assert look(records.render_crashes(CrashesView(since, NIGHT, 0, 0, ())))[0] == "No crash in 7 nights"


def test_more_kinds_than_a_phone_shows_lie_in_a_file_with_what_crash_takes() -> None:
    message = records.render_crashes(CrashesView(NIGHT, NIGHT, 80, 0, (make_crash_line(),) * 20))
    assert look(message)[1].splitlines()[-1] == "and 5 more kinds, in the file"
    (file,) = message.files
    assert (file.text or "").splitlines()[0] == (
        f"5d41402abc4b  access violation | {NAME} | BotAI::~BotAI  "
        "(4x, 9 ever, first 2024-11-19 23:00, last 2024-11-22 23:00 UTC)"
    )
    assert limits.fit(message) == message


FIX = FixLink(COMMIT, URL, None)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (make_crash_line(run=None, judged="tries used up"), "tries used up"),
        (make_crash_line(run=None, judged="history"), "known from its file alone"),
        (make_crash_line(run=None, judged=None), "not read yet"),
        (make_crash_line(run=make_run(RunState.SUCCEEDED), fix=FIX), f"fixed in [`a1b2c3d`]({URL})"),
        (make_crash_line(run=make_run(RunState.SUCCEEDED, fix_state=FixState.REVERTED)), "its fix was taken back"),
        (
            make_crash_line(run=make_run(RunState.SUCCEEDED, fix_state=FixState.RECURRED)),
            "**came back with its fix in place**",
        ),
        (
            make_crash_line(run=make_run(RunState.SUCCEEDED, kind=RunKind.REVERT, asked_by="Ann")),
            "its fix was taken back",
        ),
        (make_crash_line(run=make_run(RunState.SUCCEEDED, kind=RunKind.REVERT)), "its fix was rolled back"),
        (make_crash_line(run=make_run(RunState.ROLLED_BACK)), "its fix was rolled back"),
        (make_crash_line(run=make_run(RunState.FAILED)), "**given up: needs a person**"),
        (
            make_crash_line(run=make_run(RunState.FAILED), only_taken_back=True),
            "seen only in a build that was taken back",
        ),
        (make_crash_line(run=make_run(RunState.CANCELLED, reason="rejected by Ann")), "rejected"),
        (make_crash_line(run=make_run(RunState.CANCELLED, reason="cancelled by Ann")), "cancelled"),
        (make_crash_line(run=make_run(RunState.ANALYZING)), "with the analyst"),
    ],
)
def test_the_verdict_of_a_crash_is_a_few_words(line: CrashLine, words: str) -> None:
    assert records.fate(line) == words


def make_asked_line(**changes: Any) -> CrashLine:
    line = make_crash_line(**{"run": make_run(RunState.ANALYZING, request_id="9f3c21aa"), **changes})
    assert line.work is not None
    return replace(line, work=replace(line.work, in_queue=True))


def test_crashes_say_once_where_what_waits_for_an_answer_lies() -> None:
    one, two = make_asked_line(), make_asked_line(title="Map::Update")
    answered = make_crash_line(title="Spell::Cast")
    text = look(records.render_crashes(CrashesView(NIGHT, NIGHT, 12, 1, (one, answered, two))))[1]
    assert text.splitlines()[-2:] == [
        "1 not read yet",
        "**2 requests wait for an answer**, in `requests` of `ANALYST_QUEUE_DIR` "
        "(unless set, `queue` in the state folder); "
        "`docs/analysts.md` says how to answer",
    ]
    alone = look(records.render_crashes(CrashesView(NIGHT, NIGHT, 4, 0, (one,))))[1]
    assert alone.splitlines()[-1].startswith("**1 request waits for an answer**, in `requests` of ")


def test_a_crash_names_the_file_of_its_request() -> None:
    text = look(records.render_crash(make_crash_view(line=make_asked_line()), HOME))[1]
    assert text.splitlines()[1] == (
        "**Its request waits for an answer:** `requests/request_9f3c21aa.json` in `ANALYST_QUEUE_DIR` "
        "(unless set, `queue` in the state folder); "
        "`docs/analysts.md` says how to answer"
    )


@pytest.mark.parametrize(
    ("run", "only_taken_back", "colour"),
    [
        (make_run(RunState.FAILED), False, Colour.AMBER),
        (make_run(RunState.FAILED), True, Colour.GREY),
        (make_run(RunState.PROPOSED), True, Colour.AMBER),
        (None, False, Colour.GREY),
    ],
)
def test_crashes_are_amber_where_one_needs_somebody(run: Run | None, only_taken_back: bool, colour: Colour) -> None:
    line = make_crash_line(run=run, only_taken_back=only_taken_back)
    embed = records.render_crashes(CrashesView(NIGHT, NIGHT, 1, 0, (line,))).embed
    assert embed is not None and embed.colour is colour


def test_a_crash_that_was_seen_once_says_so_in_one_word() -> None:
    text = look(records.render_crash(make_crash_view(line=make_crash_line(times=1, ever=1)), HOME))[1]
    assert text.splitlines()[1] == f"seen once, <t:{THEN}:R>"


def test_a_crash_is_shown_with_its_stack_and_what_was_tried() -> None:
    assert look(records.render_crash(make_crash_view(), HOME)) == (
        f"Crash in {NAME}",
        f"building · {CARD}\n"
        f"9 times ever · first <t:{FIRST}:R> · last <t:{THEN}:R>\n"
        "**It dies twice.**\n"
        "access violation · it ran `7d14957a32df` · ended by signal 11 · back after 4 s\n"
        f"```\n> {NAME}  EventDispatcher.cpp:132\n  BotAI::~BotAI  worldserver\n```",
        {
            "Nights": "22 Nov ×4",
            "Runs": "run `9f3c21aa` · building",
            "Signature": f"`access violation | {NAME} | BotAI::~BotAI`",
        },
    )


def test_a_crash_is_shown_with_what_is_suspected() -> None:
    new = {"hash": COMMIT, "author": "Ann", "at": NOW.isoformat(), "subject": "maps: hurry", "url": URL}
    suspects = {"since": {"hash": "d" * 40, "url": None}, "changed": 1, "new": [new]}
    text = look(records.render_crash(make_crash_view(suspects=suspects), HOME))[1]
    assert text.splitlines()[4] == (
        f"since the last good build `ddddddd`: 1 commit, not in these files: [`{COMMIT[:7]}`]({URL}) *maps: hurry*"
    )


def test_of_the_runs_of_a_crash_only_the_newest_asks_for_a_person_and_each_says_what_it_is() -> None:
    """What was given up before is what the newest goes on with."""
    asks = RunLine("77aa77aa", NAME, RunState.ANALYZING, None, None, None, in_queue=True)
    tried = RunLine("66bb66bb", NAME, RunState.FAILED, "it crashed again", None, None)
    revert = RunLine("55cc55cc", NAME, RunState.SUCCEEDED, None, None, None, kind=RunKind.REVERT)
    back = replace(revert, id="44dd44dd", puts_back=True)
    newest = make_asked_line(run=make_run(RunState.ANALYZING, id="77aa77aa"))
    view = make_crash_view(line=newest, runs=(asks, tried, revert, back))
    assert look(records.render_crash(view, HOME))[2]["Runs"].splitlines() == [
        "run `77aa77aa` · its request waits in the queue for an answer",
        "run `66bb66bb` · given up · it crashed again",
        "run `55cc55cc` · revert · succeeded",
        "run `44dd44dd` · put back · succeeded",
    ]
    alone = make_crash_view(line=make_crash_line(run=make_run(RunState.FAILED, id="66bb66bb")), runs=(tried,))
    assert look(records.render_crash(alone, HOME))[2]["Runs"] == (
        "run `66bb66bb` · **given up: needs a person** · it crashed again"
    )


async def test_a_crash_is_told_by_the_new_try_and_not_by_the_revert_that_the_rollback_made(world: World) -> None:
    await world.answer(await world.crash("Spell::Cast"), GOOD)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    fates = {each.title: records.fate(each) for each in (await world.orders.list_crashes(1)).lines}
    assert fates["Spell::Cast"] == "not asked yet, waits for `/resume`"


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_relayed_is_markup_in_what_is_looked_up(text: str) -> None:
    signature = Signature(f"x | {text}", f"x | {text}", 1)
    run = make_run(RunState.FAILED, reason=text, subject=text, asked_by=text, analysis=Analysis(summary=text))
    line = make_crash_line(signature=signature, title=text, run=None, judged=text)
    frames = (Frame(text, text, 1, text),)
    report = CrashReport(ReportKind.UNKNOWN, text, frames=frames, crashing_frame=0)
    steps = (RunStep(NOW, None, "READY", text),)
    for message in (
        records.render_run(make_run_view(run=run, steps=steps), HOME),
        records.render_crashes(CrashesView(NIGHT, NIGHT, 1, 0, (line,))),
        records.render_crash(make_crash_view(line=line, report=report, summary=text, revision=text), HOME),
        entries.render_audit([replace(ASKED, name=text, arguments=text, outcome=text, command=text)], 1),
        records.render_log(LogView("server", text, 1, (text,))),
        render_standing(Actor("1", text), Standing(1, text), ["status"]),
    ):
        assert_harmless(message)


async def test_the_crashes_of_a_night_are_counted_by_signature(world: World) -> None:
    for name in ("Map::Update", "Spell::Cast", "Map::Update"):
        await world.crash(name)
    view = await world.orders.list_crashes(1)
    assert [(line.title, line.times, line.ever) for line in view.lines] == [
        ("Map::Update", 2, 2),
        ("Spell::Cast", 1, 1),
    ]
    assert (view.crashes, view.unread) == (3, 0)
    assert view.lines[0].last - view.lines[0].first == timedelta(seconds=2)
    await world.pass_time(days=1)
    assert (await world.orders.list_crashes(1)).crashes == 0
    assert (await world.orders.list_crashes(2)).crashes == 3


async def test_what_a_crash_waits_for_is_said_as_the_status_says_it(world: World) -> None:
    await world.orders.pause(OPERATOR, "raid")
    await world.crash("Map::Update")
    (line,) = (await world.orders.list_crashes(1)).lines
    (run,) = (await world.orders.status()).runs
    assert records.fate(line) == doing(run) == "not asked yet, waits for `/resume`"
    await world.orders.resume(OPERATOR)
    await world.settle()
    (line,) = (await world.orders.list_crashes(1)).lines
    assert records.fate(line) == "its request waits in the queue for an answer"


async def test_of_crashes_that_are_as_frequent_the_newest_comes_first(world: World) -> None:
    for name in ("Spell::Cast", "Aura::Update", "Map::Update"):
        await world.crash(name)
    view = await world.orders.list_crashes(1)
    assert [line.title for line in view.lines] == ["Map::Update", "Aura::Update", "Spell::Cast"]


async def test_a_crash_is_found_by_its_key_by_its_signature_and_by_a_part_of_it(
    world: World,
) -> None:
    run = await world.crash("Map::Update")
    await world.crash("Map::Load")
    (_, (exact, key)) = await world.orders.list_signatures()
    assert exact == "access violation | Map::Update | main" and len(key) == 12
    for typed in (key, exact, "update"):
        found = await world.orders.show_crash(typed)
        assert isinstance(found, CrashView) and found.line.title == "Map::Update", typed
        assert [each.id for each in found.runs] == [run.id]
        assert found.report is not None and found.report.frames[0].function == "Map::Update"
    assert await world.orders.show_crash("map::") == Impossible(
        "`map::` fits 2 signatures: `Map::Update`, `Map::Load`. Choose one from the list."
    )
    assert await world.orders.show_crash("Spell") == Impossible(
        "No crash is known by `Spell`. `/crashes` lists those that are."
    )


async def test_a_run_is_found_with_its_steps_and_its_card(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    view = await world.orders.show_run(f" {run.id.upper()} ")
    assert isinstance(view, RunView)
    assert [step.after for step in view.steps][:2] == ["ANALYZING", "READY"]
    assert view.steps[-1].after == "SUCCEEDED"
    assert view.fix is not None and view.fix.commit == world.running
    assert await world.orders.show_run("nonsense") == Impossible("There is no run `nonsense`.")


async def test_runs_are_offered_newest_first(world: World) -> None:
    await world.crash("Map::Update")
    await world.crash("Spell::Cast")
    assert [run.subject for run in await world.orders.list_runs()] == ["Spell::Cast", "Map::Update"]


# --- the audit -------------------------------------------------------------------------------------------------------


def test_the_audit_says_who_did_what_when_and_what_came_of_it() -> None:
    assert look(entries.render_audit([ASKED], 1)) == (
        "Audit: 1 entry in the last day",
        f"<t:{THEN}:R> **Ann** `/restart-server` 2m new map: answered",
        {},
    )
    assert look(entries.render_audit([], 7))[0] == "Nobody asked or ordered anything in the last 7 days"


PRESSED = {
    "restart 120:new map": "`/restart-server` 2m new map",
    "restart 5400:": "`/restart-server` 1h30m",
    "stop 0:wipe": "`/stop-server` now wipe",
    "roll-back 7d14957:it lags": "`/rollback` from 7d14957: it lags",
    "roll-back 7d14957:": "`/rollback` from 7d14957",
    "confirm-revert a1b2c3d": "`/revert` a1b2c3d",
    f"confirm-update {'6c0ffee1' * 5}": "`/update` to 6c0ffee",
    "approve 6328f13f patch-0": "`/approve` 6328f13f",
    "approve 6328f13f:patch-0": "`/approve` 6328f13f",
    "reject 6328f13f it leaks": "`/reject` 6328f13f it leaks",
    "start server": "`/start-server`",
    "resume pipeline": "`/resume`",
    "deploy 6328f13f": "`Deploy now` 6328f13f",
    "keep restart": "`Keep` restart",
    "cancel-order 7": "`Cancel` 7",
}


@pytest.mark.parametrize("pressed", PRESSED)
def test_a_button_is_in_the_audit_as_the_command_that_does_the_same_or_by_its_name(pressed: str) -> None:
    button, _, argument = pressed.partition(" ")
    text = look(entries.render_audit([replace(ASKED, command=button, arguments=argument)], 1))[1]
    assert text == f"<t:{THEN}:R> **Ann** {PRESSED[pressed]}: answered"


def test_every_yes_to_a_question_has_its_command_here() -> None:
    assert set(QUESTIONS) <= {each.partition(" ")[0] for each in PRESSED}


@given(st.timedeltas(timedelta(), LONGEST_DELAY))
def test_a_delay_is_written_as_it_may_be_typed(delay: timedelta) -> None:
    whole = timedelta(seconds=int(delay.total_seconds()))
    assert read_delay(write_delay(whole)) == whole


def test_an_order_without_an_end_says_that_none_was_written() -> None:
    text = look(entries.render_audit([replace(ASKED, outcome="begun")], 1))[1]
    assert text.endswith(": begun; how it ended is not written down")


async def test_that_an_order_was_begun_is_told_only_while_its_end_is_not(world: World) -> None:
    def write(command: str, outcome: str) -> None:
        world.ledger.append_audit(world.clock.now(), "1", "Ann", "10/20", command, "x", outcome)
        world.clock.time += timedelta(seconds=1)

    for command, outcome in (("pause", "begun"), ("pause", "done"), ("resume", "begun"), ("pause", "begun")):
        write(command, outcome)
    found = [(line.command, line.outcome) for line in await world.orders.list_audit(1)]
    assert found == [("pause", "begun"), ("resume", "begun"), ("pause", "done")]


async def test_a_database_that_could_not_be_opened_is_named_by_whoever_reads(world: World) -> None:
    world.tools.degraded["database"] = "the database does not work: no room"
    with pytest.raises(Obstructed, match="no room"):
        await world.orders.list_crashes(1)


def test_a_long_audit_lies_whole_in_a_file() -> None:
    message = entries.render_audit([ASKED] * 25, 7)
    assert look(message)[1].splitlines()[-1] == "and 5 more, in the file"
    (file,) = message.files
    assert (file.text or "").splitlines() == [
        "2024-11-22 23:00:00 UTC  Ann (1)  10/20  /restart-server  2m new map  answered"
    ] * 25


async def test_the_audit_is_read_newest_first_as_far_back_as_asked(world: World) -> None:
    for command in ("pause", "resume"):
        world.ledger.append_audit(world.clock.now(), "1", "Ann", "10/20", command, "", "done")
        await world.pass_time(days=1)
    assert [line.command for line in await world.orders.list_audit(1)] == ["resume"]
    assert [line.command for line in await world.orders.list_audit(30)] == ["resume", "pause"]


# --- logs ------------------------------------------------------------------------------------------------------------


def test_a_short_log_stands_in_the_message_and_a_long_one_in_a_file_beside_its_newest_lines() -> None:
    assert records.render_log(LogView("server", "Server.log", 12 << 20, ("a", "b"))) == Message(
        content="The last 2 lines of `Server.log` (12.0 MiB)\n```\na\nb\n```"
    )
    lines = tuple(f"line {number:04} {'x' * 90}" for number in range(500))
    message = records.render_log(LogView("bot", "bot.log", 60_000, lines))
    assert message.content.startswith("The last 500 lines of `bot.log` (58.6 KiB); the newest here, all in the file:\n")
    assert "line 0499" in message.content and "line 0400" not in message.content
    assert [(each.name, (each.text or "").count("\n")) for each in message.files] == [("bot.txt", 500)]
    assert limits.fit(message) == message
    assert records.render_log(LogView("build", "b.log", 0, ())).content == "`b.log` of the build is empty."


def test_a_log_of_one_endless_line_is_still_shown() -> None:
    message = records.render_log(LogView("bot", "bot.log", 9, ("`" * 900,) * 40))
    assert limits.fit(message) == message and message.files


def test_the_end_of_a_log_is_read_whatever_its_size(tmp_path: Path) -> None:
    path = tmp_path / "Server.log"
    with path.open("wb") as file:
        file.truncate(8 << 30)  # a hole: 8 GiB that take no disk
        file.seek(0, 2)
        file.write(b"\n" + b"one\ntwo \xff\nthree\n")
    view = read_end("server", path, 3, str)
    assert view.lines[0] == "one" and view.lines[2] == "three" and view.size > 8 << 30
    assert read_end("server", tmp_path / "gone", 3, str).lines == ()


async def test_each_source_has_its_file_and_the_server_its_output_where_it_writes_no_log(tmp_path: Path) -> None:
    world = await World(tmp_path, {"server_logs": (tmp_path / "Server.log",)}).start()
    assert await world.orders.read_log("build", 10) == Impossible("There is no log of the build yet.")
    logs, output = tmp_path / "logs", tmp_path / "output.log"
    logs.mkdir()
    for path in (logs / "bot.log", logs / "build-abc-1.log", output):
        path.write_text(f"of {path.name}\n", encoding="utf-8")
    assert world.keeper.now is not None
    world.keeper.now = replace(world.keeper.now, output=str(output))
    assert isinstance(world.keeper.now, Observed)
    assert [await read(world.tools, source) for source in ("server", "build", "bot")] == [
        ("of output.log",), ("of build-abc-1.log",), ("of bot.log",),
    ]  # fmt: skip
    (tmp_path / "Server.log").write_text("of the server\n", encoding="utf-8")
    assert await read(world.tools, "server") == ("of the server",)
    world.engine.dispose()


async def read(tools: Tools, source: str) -> tuple[str, ...]:
    view = log_tails.read_log(tools, source, 10)
    assert isinstance(view, LogView)
    return view.lines


# --- who am I --------------------------------------------------------------------------------------------------------

OPERATORS = Operators(1, frozenset({20}), frozenset({300}))
SOME = ["status", "log", "pause"]


def test_an_operator_reads_why_he_is_one() -> None:
    by_role = find_standing(Visitor(7, 1, frozenset({20, 21})), OPERATORS, {20: "Raid lead", 21: "Bard"})
    assert render_standing(Actor("7", "Ann"), by_role, SOME).content == (
        "**Ann, you may order here:** your role *Raid lead* is one of `DISCORD_OPERATOR_ROLE_IDS`.\n"
        "Yours: `/status` `/log` `/pause`"
    )
    by_both = find_standing(Visitor(300, 1, frozenset({20})), OPERATORS, {20: "Raid lead"})
    assert render_standing(Actor("300", "Ann"), by_both, SOME).content == (
        "**Ann, you may order here:** your role *Raid lead* is one of `DISCORD_OPERATOR_ROLE_IDS`"
        " and your id is one of `DISCORD_OPERATOR_USER_IDS`.\nYours: `/status` `/log` `/pause`"
    )


def test_a_guest_reads_what_it_takes() -> None:
    guest = find_standing(Visitor(8, 1, frozenset({21})), OPERATORS, {21: "Bard"})
    assert render_standing(Actor("8", "Bob"), guest, SOME).content == (
        "**Bob, you may read but not order here.**\nYours: `/status`\nFor operators: `/log` `/pause`\n"
        "Operators have one of the roles in `DISCORD_OPERATOR_ROLE_IDS`, or their id stands in"
        " `DISCORD_OPERATOR_USER_IDS`; yours is `8`."
    )
    nobody = find_standing(Visitor(8, 1), Operators(1), {})
    assert render_standing(Actor("8", "Bob"), nobody, SOME).content.endswith(
        "Neither `DISCORD_OPERATOR_ROLE_IDS` nor `DISCORD_OPERATOR_USER_IDS` is set, so nobody may order anything:"
        " whoever runs the bot can set them."
    )


async def test_status_counts_what_discord_has_not_got_and_names_the_commit_that_runs(world: World) -> None:
    run = await world.crash("Map::Update")
    await world.answer(run, GOOD)
    await world.pass_time(minutes=3)
    view = status_views.status(world.tools)
    assert view.running == FixLink(world.running or "", f"https://example.org/commit/{world.running}", None)
    assert view.undelivered > 0
    await world.orders.pause(OPERATOR, "")
    assert status_views.status(world.tools).paused is not None
