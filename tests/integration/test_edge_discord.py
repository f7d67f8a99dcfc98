"""What the pipeline reports reaches the channel once: the real client, the real outbox, the loopback Discord."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from edge_fakes import COMMIT, NAME, URL, Killed, make_card, make_run
from edge_world import PATIENCE, EdgeWorld, get_buttons, open_world, until

from bot import outbox
from bot.sandbox.permission import Permission
from pipeline.card_models import CardView, FixLink, PostKind
from pipeline.model import Analysis, Progress, RunState

SENDING = r"^/channels/\d+/messages$"
THREADING = r"/threads$"
FIX = FixLink(COMMIT, URL, "overnight-20241122")


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    async with open_world() as opened:
        yield opened


@pytest.fixture
async def forgetful() -> AsyncIterator[EdgeWorld]:
    """Discord no longer knows any nonce: only a look in the channel can tell."""
    async with open_world(nonce_window=0.0) as opened:
        yield opened


def building(done: int) -> CardView:
    return make_card(run=make_run(RunState.BUILDING), progress=Progress(done, 100), fix=FIX)


# --- cards -----------------------------------------------------------------------------------------------------------


async def test_a_crash_gets_one_card_with_a_thread_and_its_detail_in_order(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    world.ledger.post(PostKind.BACKTRACE, 12, frames="main", log=["last line"])
    world.ledger.post(PostKind.ANALYSIS, 12, analysis={"summary": "why"})
    world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver()
    assert world.titles == [f"Crash in {NAME}", "Server no longer held"]
    card = world.messages[0]
    assert world.in_thread(card["id"]) == ["The crash", "Analysis"]
    assert world.get_footers() == ["#c12", "#p3", "#p1", "#p2"]
    assert world.ledger.cards[12].message == world.ledger.cards[12].thread == card["id"]
    assert world.ledger.list_dirty_cards() == [] and set(world.ledger.sent) == {1, 2, 3}


async def test_a_card_is_edited_in_place_and_its_buttons_come_and_go(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    world.ledger.show(make_card(run=make_run(RunState.AWAITING_DEPLOYMENT), fix=FIX))
    await world.deliver()
    (card,) = world.messages
    assert card["embeds"][0]["title"] == "Fix built, waiting for a quiet moment"
    assert list(get_buttons(card)) == ["Deploy now", "Reject"]
    world.ledger.show(make_card(run=make_run(RunState.VERIFYING), fix=FIX))
    await world.deliver()
    (card,) = world.messages
    assert card["embeds"][0]["title"] == f"Fix live, watching: {NAME}"
    assert card["components"] == [] and card["edits"] == 2


async def test_edits_that_wait_are_folded_to_the_newest(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    for state in (RunState.ANALYZING, RunState.READY, RunState.PATCHING):
        world.ledger.show(make_card(run=make_run(state)))
    await world.deliver()
    (card,) = world.messages
    assert card["edits"] == 1
    assert card["embeds"][0]["title"] == f"Applying fix: {NAME}"


async def test_states_that_follow_each_other_at_once_are_folded_to_the_newest(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    for state in (RunState.READY, RunState.PATCHING, RunState.BUILDING):
        world.ledger.show(make_card(run=make_run(state)))
        await world.deliver()
        world.clock.move(0.4)
    assert world.titles == [f"Fix proposed: {NAME}"]
    world.clock.move(0.1)
    await world.deliver()
    (card,) = world.messages
    assert card["embeds"][0]["title"] == f"Building fix for {NAME}" and card["edits"] == 2
    assert world.ledger.list_dirty_cards() == []


async def test_progress_is_edited_no_faster_than_it_can_be_read(world: EdgeWorld) -> None:
    for done in (1, 20, 30, 40):
        world.ledger.show(building(done))
        await world.deliver()
        world.clock.move(0.5)
    assert "20 %" in world.messages[0]["embeds"][0]["description"]
    world.clock.move(0.5)
    await world.deliver()
    assert "40 %" in world.messages[0]["embeds"][0]["description"]
    assert world.messages[0]["edits"] == 2


@pytest.mark.parametrize(
    ("state", "title"),
    [
        (RunState.VERIFYING, "Fix live, watching"),
        (RunState.SUCCEEDED, "Fixed"),
        (RunState.PROPOSED, "Needs a look"),
        (RunState.AWAITING_APPROVAL, "Waits for approval"),
        (RunState.ROLLING_BACK, "Rolling back"),
        (RunState.FAILED, "Not fixed"),
    ],
)
async def test_what_is_live_over_or_calls_somebody_is_not_held_back(
    world: EdgeWorld, state: RunState, title: str
) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    for each in (RunState.READY, state):
        world.ledger.show(make_card(run=make_run(each), fix=FIX))
        await world.deliver()
    assert world.titles == [f"{title}: {NAME}"]
    assert world.ledger.list_dirty_cards() == []


async def test_many_cards_at_once_leave_room_for_the_one_that_calls_somebody(world: EdgeWorld) -> None:
    """Five edits in five seconds are what Discord takes of a channel; after that discord.py would sleep."""
    cards = range(12, 18)
    for state in (None, RunState.READY):
        for each in cards:
            world.ledger.show(make_card(each, run=state and make_run(state)))
        await world.deliver(2 if state is None else 1)
    assert count_edits(world) == 4
    for edits, calls in ((5, 17), (5, 16)):
        world.ledger.show(make_card(calls, run=make_run(RunState.PROPOSED)))
        await world.deliver()
        assert count_edits(world) == edits
    assert world.titles[-2:] == [f"Crash in {NAME}", f"Needs a look: {NAME}"]
    world.clock.move(5)
    await world.deliver()
    assert world.titles == [*[f"Fix proposed: {NAME}"] * 4, *[f"Needs a look: {NAME}"] * 2]
    assert world.ledger.list_dirty_cards() == []


async def test_who_has_much_to_tell_holds_up_nobody_else_and_is_told_in_order(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    for number in range(10):
        world.ledger.post(PostKind.SERVER, 12, what="released", detail=str(number))
    world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver()
    assert world.get_footers() == ["#c12", "#p11", "#p1", "#p2", "#p3", "#p4"]
    world.clock.move(4.9)
    await world.deliver()
    assert len(world.messages) == 6
    for _ in range(2):
        world.clock.move(5)
        await world.deliver()
    assert world.get_footers() == ["#c12", *(f"#p{each}" for each in (11, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10))]


def count_edits(world: EdgeWorld) -> int:
    return sum(each["edits"] for each in world.messages)


async def test_what_was_held_back_goes_out_by_itself(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TICK", "IDLE"):
        monkeypatch.setattr(outbox, name, 3600.0)
    for state in (None, RunState.READY, RunState.PATCHING):
        world.ledger.show(make_card(run=state and make_run(state)))
        await world.deliver()
    world.clock.move(1.2)
    passes = world.ledger.looked
    loop = asyncio.create_task(world.edge.outbox.run())
    await until(lambda: world.ledger.looked > passes)
    assert world.titles == [f"Fix proposed: {NAME}"]
    world.clock.move(0.05)
    await until(lambda: not world.ledger.list_dirty_cards())
    loop.cancel()
    await asyncio.wait([loop])
    assert world.titles == [f"Applying fix: {NAME}"]


async def test_a_change_that_shows_nothing_new_costs_no_edit(world: EdgeWorld) -> None:
    for _ in range(3):
        world.ledger.show(make_card())
        await world.deliver()
    assert world.messages[0]["edits"] == 0
    assert world.ledger.list_dirty_cards() == []


async def test_a_change_during_the_delivery_is_not_taken_for_delivered(world: EdgeWorld) -> None:
    world.ledger.show(make_card())

    def change_once() -> None:
        world.ledger.before_note = lambda: None
        world.ledger.show(make_card(run=make_run(RunState.READY)))

    world.ledger.before_note = change_once
    await world.deliver(2)
    assert world.titles == [f"Fix proposed: {NAME}"]


async def test_the_loop_delivers_on_waking(world: EdgeWorld) -> None:
    loop = asyncio.create_task(world.edge.outbox.run())
    try:
        world.ledger.show(make_card())
        world.edge.wake()
        await until(lambda: not world.ledger.list_dirty_cards())
    finally:
        loop.cancel()
        await asyncio.wait([loop])
    assert world.titles == [f"Crash in {NAME}"]


# --- nothing lost, nothing twice -------------------------------------------------------------------------------------


def tell_a_story(world: EdgeWorld) -> None:
    """Two crashes, their detail, and news between them: eight messages."""
    for card in (12, 13):
        world.ledger.show(make_card(card))
        world.ledger.post(PostKind.BACKTRACE, card, frames="main")
        world.ledger.post(PostKind.SERVER, None, what="released", detail=f"before {card}")
        world.ledger.post(PostKind.ANALYSIS, card, analysis={"summary": "why"})


def assert_told_once(world: EdgeWorld) -> None:
    assert sorted(world.get_footers()) == ["#c12", "#c13", "#p1", "#p2", "#p3", "#p4", "#p5", "#p6"]
    for card in (12, 13):
        assert world.in_thread(world.ledger.cards[card].thread) == ["The crash", "Analysis"]
    news = [each for each in world.get_footers() if each in ("#p2", "#p5")]
    assert news == ["#p2", "#p5"]
    assert world.ledger.list_dirty_cards() == [] and set(world.ledger.sent) == set(world.ledger.posts)


async def test_fault_b10_an_outage_loses_nothing_doubles_nothing_and_keeps_the_order(world: EdgeWorld) -> None:
    world.ledger.show(make_card(12))
    await world.deliver()
    world.sandbox.faults.begin_outage()
    tell_a_story(world)
    for _ in range(5):
        await world.deliver()
        world.clock.move(3600)
    await until(lambda: "messages wait" in str(world.reports["discord login"]))
    world.sandbox.faults.end_outage()
    await until(lambda: world.edge.channel.open)
    await world.deliver()
    assert_told_once(world)
    assert [each for each in world.reports.values() if each] == []


async def test_fault_b10_while_only_its_gateway_works_messages_wait_and_that_is_said(world: EdgeWorld) -> None:
    world.sandbox.faults.fail("*", "/channels/", 503, times=5)  # three tell that it is all of Discord, then one a pass
    tell_a_story(world)
    await world.deliver(3)
    assert world.messages == [] and "Messages wait" in str(world.reports["discord delivery"])
    await world.deliver(3)
    assert_told_once(world)
    assert world.reports["discord delivery"] is None


async def test_once_discord_is_back_nothing_waits_for_the_end_of_a_pause(world: EdgeWorld) -> None:
    world.sandbox.faults.fail("POST", SENDING, 503, times=3)
    tell_a_story(world)
    await world.deliver()
    assert world.messages == []
    world.sandbox.faults.disconnect(4000)
    loop = asyncio.create_task(world.edge.outbox.run())
    await until(lambda: world.titles)
    world.clock.move(5)  # the three that failed counted as well, so the others are for later
    world.edge.wake()
    await until(lambda: len(world.ledger.sent) == len(world.ledger.posts))
    loop.cancel()
    await asyncio.wait([loop])
    assert_told_once(world)


@pytest.mark.parametrize("turns", range(5))
async def test_an_outbox_that_is_ended_in_the_moment_that_it_wakes_ends(world: EdgeWorld, turns: int) -> None:
    loop = asyncio.create_task(world.edge.outbox.run())
    await until(lambda: world.ledger.looked)
    for _ in range(20):
        await asyncio.sleep(0)  # it waits by now
    world.edge.wake()
    for _ in range(turns):
        await asyncio.sleep(0)
    loop.cancel()
    await asyncio.wait([loop], timeout=PATIENCE)
    assert loop.cancelled()


async def test_what_an_earlier_life_deferred_is_sent_when_it_is_due(
    world: EdgeWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outbox, "IDLE", 3600.0)
    post = world.ledger.post(PostKind.SERVER, None, what="released")
    world.ledger.post_deferred(post, "Discord limits the rate", world.clock.now() + timedelta(seconds=1.05))
    await world.restart()  # a second later
    loop = asyncio.create_task(world.edge.outbox.run())
    await until(lambda: world.ledger.looked)
    assert world.ledger.sent == {}
    world.clock.move(0.06)
    await until(lambda: post in world.ledger.sent)
    loop.cancel()
    await asyncio.wait([loop])


@pytest.mark.parametrize("place", [SENDING, THREADING])
@pytest.mark.parametrize("after", [False, True], ids=["before the effect", "after the effect"])
@pytest.mark.parametrize("skipped", range(4))
async def test_fault_b10_a_send_with_unknown_outcome_is_looked_for_before_it_is_repeated(
    forgetful: EdgeWorld, place: str, after: bool, skipped: int
) -> None:
    """The connection is cut at the nth request, where the nonce cannot help any more."""
    world = forgetful
    forget = skip_requests(world, place, skipped, lambda: world.sandbox.faults.cut("POST", place, after=after))
    tell_a_story(world)
    await world.deliver(4)
    forget()
    assert_told_once(world)


def skip_requests(world: EdgeWorld, place: str, skipped: int, plan: Callable[[], None]) -> Callable[[], None]:
    """Plans the fault once so many requests of the kind have been answered."""
    seen = 0
    if not skipped:
        plan()
        return lambda: None

    def count(event: Any) -> None:
        nonlocal seen
        seen += event.kind == "create"
        if seen == skipped and event.kind == "create":
            plan()

    return world.sandbox.on_message(count)


async def test_fault_b10_a_server_error_after_the_effect_does_not_double(world: EdgeWorld) -> None:
    world.sandbox.faults.fail("POST", SENDING, 503, after=True)
    tell_a_story(world)
    await world.deliver(3)
    assert_told_once(world)


@pytest.mark.parametrize("notes", range(10))
async def test_fault_b10_killed_between_the_send_and_its_note_the_bot_does_not_send_again(
    forgetful: EdgeWorld, notes: int
) -> None:
    """The bot ends just before its nth note; the next life has nothing but the ledger and the channel."""
    world = forgetful
    left = notes

    def kill() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    tell_a_story(world)
    world.ledger.before_note = kill
    with pytest.raises(Killed):
        await world.deliver()
    await world.restart()
    await world.deliver(2)
    assert_told_once(world)


async def test_a_rate_limit_delays_and_loses_nothing(world: EdgeWorld) -> None:
    world.sandbox.faults.limit("POST", SENDING, 0.02, times=3)
    tell_a_story(world)
    await world.deliver(2)
    assert_told_once(world)


async def test_a_rate_limit_too_long_to_sleep_for_leaves_the_other_places_alone(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    world.sandbox.faults.limit("PATCH", r"/messages/\d+$", 600.0)
    world.ledger.show(make_card(run=make_run(RunState.READY)))
    world.ledger.post(PostKind.ANALYSIS, 12)
    await world.deliver()
    assert world.in_thread(world.messages[0]["id"]) == ["Analysis"]
    world.clock.move(601)
    await world.deliver()
    assert world.titles == [f"Fix proposed: {NAME}"]


# --- what people and Discord do to messages --------------------------------------------------------------------------


async def test_a_deleted_card_is_sent_anew_with_a_thread_of_its_own(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    first = world.messages[0]["id"]
    world.sandbox.delete_message(first)
    world.ledger.show(make_card(run=make_run(RunState.READY)))
    world.ledger.post(PostKind.ANALYSIS, 12)
    await world.deliver(2)
    assert world.titles == [f"Fix proposed: {NAME}"]
    assert world.messages[0]["id"] != first
    assert world.in_thread(world.messages[0]["id"]) == ["Analysis"]


async def test_a_deleted_card_is_sent_anew_at_once(world: EdgeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("TICK", "IDLE"):
        monkeypatch.setattr(outbox, name, 3600.0)
    world.ledger.show(make_card())
    await world.deliver()
    world.sandbox.delete_message(world.messages[0]["id"])
    world.ledger.show(make_card(run=make_run(RunState.READY)))
    loop = asyncio.create_task(world.edge.outbox.run())
    await until(lambda: world.messages)
    loop.cancel()
    await asyncio.wait([loop])
    assert world.titles == [f"Fix proposed: {NAME}"]


async def test_a_deleted_thread_is_opened_again_and_its_posts_go_on(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    world.ledger.post(PostKind.BACKTRACE, 12)
    await world.deliver()
    world.sandbox.delete_channel(str(world.ledger.cards[12].thread))
    world.ledger.post(PostKind.ANALYSIS, 12)
    await world.deliver(2)
    assert world.in_thread(world.ledger.cards[12].thread) == ["Analysis"]
    assert world.titles == [f"Crash in {NAME}"]


async def test_a_channel_that_is_forbidden_makes_delivery_wait_and_says_so(world: EdgeWorld) -> None:
    world.sandbox.forbid(Permission.SEND_MESSAGES)
    tell_a_story(world)
    await world.deliver(2)
    assert world.messages == []
    assert str(world.reports["discord delivery"]) == (
        "Messages wait: Discord says: Missing Permissions (403, 50013). The bot needs its rights in the channel back."
    )
    world.sandbox.allow(Permission.SEND_MESSAGES)
    await world.deliver(4)
    assert_told_once(world)
    assert world.reports["discord delivery"] is None


async def test_a_channel_that_was_deleted_makes_delivery_wait_and_says_so(world: EdgeWorld) -> None:
    world.ledger.show(make_card())
    world.sandbox.delete_channel(world.sandbox.channel_id)
    await world.deliver(2)
    assert "Unknown Channel" in str(world.reports["discord delivery"])
    assert "`DISCORD_CHANNEL_ID`" in str(world.reports["discord delivery"])
    assert world.ledger.list_dirty_cards()


async def test_without_the_right_to_open_threads_the_cards_still_appear(world: EdgeWorld) -> None:
    world.sandbox.forbid(Permission.CREATE_PUBLIC_THREADS)
    tell_a_story(world)
    await world.deliver(2)
    assert sorted(world.get_footers()) == ["#c12", "#c13", "#p2", "#p5"]
    world.sandbox.allow(Permission.CREATE_PUBLIC_THREADS)
    await world.deliver(3)
    assert sorted(world.get_footers()) == ["#c12", "#c13", "#p1", "#p2", "#p3", "#p4", "#p5", "#p6"]


async def test_an_edit_that_discord_puts_off_is_kept_and_tried_later() -> None:
    async with open_world(old_message_age=-1.0, old_edits=0, old_edit_retry_after=0.0) as world:
        world.ledger.show(make_card())
        await world.deliver()
        world.ledger.show(make_card(run=make_run(RunState.READY)))
        await world.deliver()
        assert world.titles == [f"Crash in {NAME}"] and world.ledger.list_dirty_cards()
        world.sandbox.rules.old_edits = 100
        world.clock.move(61)
        await world.deliver()
        assert world.titles == [f"Fix proposed: {NAME}"] and not world.ledger.list_dirty_cards()


async def test_what_calls_for_somebody_does_not_wait_for_an_old_message_to_take_edits() -> None:
    async with open_world(old_message_age=-1.0, old_edits=0, old_edit_retry_after=0.0) as world:
        world.ledger.show(make_card())
        world.ledger.post(PostKind.BACKTRACE, 12, frames="main")
        await world.deliver()
        (old, _) = world.messages
        world.ledger.show(make_card(run=make_run(RunState.PROPOSED)))
        world.ledger.post(PostKind.ANALYSIS, 12, analysis={"summary": "why"})
        await world.deliver(3)
        assert world.titles == [f"Crash in {NAME}", f"Needs a look: {NAME}"]
        new = next(each for each in world.messages if each["embeds"][0]["title"].startswith("Needs"))
        assert new["embeds"][0]["description"].endswith(f"/{old['id']})"), "it refers to the one before"
        assert world.in_thread(old["id"]) == ["The crash", "Analysis"], "the detail stays in one thread"
        assert not world.ledger.list_dirty_cards()
        await world.restart()
        await world.deliver()
        assert len(world.titles) == 2


async def test_a_form_that_discord_refuses_is_sent_bare_and_blocks_nothing(world: EdgeWorld) -> None:
    world.sandbox.faults.fail("POST", SENDING, 400)
    tell_a_story(world)
    await world.deliver(2)
    assert_told_once(world)
    assert world.messages[0]["embeds"][0]["title"] == f"Crash in {NAME}"
    assert "could not be shown" in world.messages[0]["embeds"][0]["description"]


# --- what is in them -------------------------------------------------------------------------------------------------


async def test_fault_b8_a_huge_error_is_shown_cut_and_attached_whole_with_its_secrets_gone(
    world: EdgeWorld, tmp_path: Path
) -> None:
    log = tmp_path / "build.log"
    log.write_text("begin hunter2\n" + "noise\n" * 100_000 + "end\n", encoding="utf-8")
    errors = [f"src/Map.cpp:{line}: error: no member named 'hunter2' {'x' * 200}" for line in range(439)]
    world.ledger.show(make_card())
    world.ledger.post(PostKind.BUILD_FAILED, 12, diagnostics=errors, log=str(log), reason="\n".join(errors))
    await world.deliver()
    post = next(each for each in world.messages if each["thread"])
    assert post["embeds"][0]["title"] == "The fix does not compile"
    assert {each["filename"] for each in post["attachments"]} == {"build.log", "full-text.txt"}
    for each in post["attachments"]:
        content = await fetch(each["url"])
        assert "hunter2" not in content and "[redacted]" in content
        if each["filename"] == "build.log":
            assert content.endswith("end\n")
    assert "hunter2" not in str(post["embeds"])


async def fetch(url: str) -> str:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return await answer.text()


async def test_a_log_that_is_gone_is_said_and_loses_no_post(world: EdgeWorld, tmp_path: Path) -> None:
    world.ledger.show(make_card())
    world.ledger.post(PostKind.BUILD_FAILED, 12, diagnostics=["x"], log=str(tmp_path / "gone.log"))
    await world.deliver()
    (file,) = next(each for each in world.messages if each["thread"])["attachments"]
    assert "cannot be read any more" in await fetch(file["url"])


async def test_fault_b9_nothing_that_is_relayed_ever_mentions_anybody(world: EdgeWorld) -> None:
    text = f"@everyone @here <@&{world.sandbox.operator_role_id}> <@{world.sandbox.operator_id}> ``` @everyone"
    run = make_run(RunState.FAILED, reason=text, analysis=Analysis(summary=text))
    world.ledger.show(make_card(title=text, run=run))
    for kind in PostKind:
        data: dict[str, Any] = dict.fromkeys(
            ("detail", "by", "reason", "diff", "frames", "text", "title", "prose"), text
        )
        world.ledger.post(kind, 12, **data)
        world.ledger.post(kind, None, **data)
    await world.deliver(len(PostKind))
    await world.slash("pause", reason=text[:60])
    assert len(world.ledger.sent) == 2 * len(PostKind)
    sent = [each for each in world.sandbox.exchanges if each.method in ("POST", "PATCH") and "message" in each.path]
    assert len(sent) > 2 * len(PostKind)
    for each in sent:
        assert "@everyone" not in str(each.body) and "@here" not in str(each.body)
        if each.body and "threads" not in each.path:
            assert each.body["allowed_mentions"]["parse"] == [] and not each.body["allowed_mentions"].get("roles")
        answer = each.answer or {}
        assert not answer.get("mention_everyone") and not answer.get("mention_roles") and not answer.get("mentions")


async def test_only_the_configured_role_is_called_and_only_where_it_must_be(world: EdgeWorld) -> None:
    world.ping_role = int(world.sandbox.operator_role_id)
    await world.restart()
    world.ledger.post(PostKind.SERVER, None, what="held: breaker", detail="@everyone 5 deaths")
    world.ledger.post(PostKind.SERVER, None, what="released")
    await world.deliver()
    held, released = world.messages
    assert held["content"] == f"<@&{world.ping_role}>" and released["content"] == ""
    answers = [
        each.answer for each in world.sandbox.exchanges if each.method == "POST" and each.path.endswith("messages")
    ]
    assert [each["mention_roles"] for each in answers] == [[str(world.ping_role)], []]
    assert not any(each["mention_everyone"] for each in answers)


async def test_news_lose_their_buttons_once_what_they_tell_is_over(world: EdgeWorld) -> None:
    post = world.ledger.post(PostKind.SERVER, None, what="held: breaker", detail="5 deaths")
    await world.deliver()
    assert list(get_buttons(world.messages[0])) == ["Start"]
    world.ledger.outlived.append(post)
    await world.restart()
    await world.deliver(2)
    (shown,) = world.messages
    assert (shown["components"], shown["edits"], world.ledger.outlived) == ([], 1, [])
    assert shown["embeds"][0]["title"] == "Over: Server held: it died too often"
    assert shown["embeds"][0]["description"] == "**This is over.** `/status` tells what is now.\n5 deaths"


async def test_news_that_somebody_deleted_are_not_looked_for_again(world: EdgeWorld) -> None:
    post = world.ledger.post(PostKind.PIPELINE, None, what="paused")
    world.ledger.sent[post] = "77"
    world.ledger.outlived.append(post)
    await world.deliver(2)
    assert world.ledger.outlived == [] and world.count_requests("PATCH", "/messages/77") == 1


async def test_news_that_can_no_longer_be_changed_stay_as_they_are(world: EdgeWorld) -> None:
    post = world.ledger.post(PostKind.SERVER, None, what="held: breaker")
    await world.deliver()
    world.ledger.outlived.append(post)
    world.sandbox.faults.fail("PATCH", "/messages/", 403)
    await world.deliver()
    assert world.ledger.outlived == [] and world.messages[0]["edits"] == 0
    assert not world.reports.get("discord delivery")


async def test_a_new_nights_card_refers_to_the_earlier_one(world: EdgeWorld) -> None:
    world.ledger.show(make_card(12))
    await world.deliver()
    earlier = world.messages[0]["id"]
    world.ledger.show(replace(make_card(13), previous_card=earlier))
    await world.deliver()
    link = f"https://discord.com/channels/{world.sandbox.guild_id}/{world.sandbox.channel_id}/{earlier}"
    assert link in world.messages[1]["embeds"][0]["description"]
