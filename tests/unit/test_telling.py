"""What people are told of what happens, over a fake world with a real database."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from world import GOOD, World

from pipeline import history
from pipeline.card_models import Post, PostKind
from pipeline.keeper.protocol import Hold
from pipeline.model import Analysis, Response
from pipeline.ports import Answer
from pipeline.store import NewPost
from pipeline.store.outbox import POSTS_AT_ONCE

GATHERING = 5 * 60  # seconds between two posts about refused responses


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    world = World(tmp_path)
    yield world
    world.engine.dispose()


def junk(number: int) -> Answer:
    return Answer(Path(f"response_j{number}.json"), f"d{number}", None, f"reason {number}", f"j{number}")


def posts_of(world: World, kind: PostKind) -> list[Post]:
    return [post for post in world.posts() if post.kind is kind]


def data_of(world: World, kind: PostKind) -> list[dict[str, Any]]:
    return [post.data for post in posts_of(world, kind)]


# --- responses -------------------------------------------------------------------------------------------------------


async def test_a_heap_of_refused_responses_is_one_post(world: World) -> None:
    await world.start()
    world.analyst.lying += [junk(number) for number in range(37)]
    await world.settle()
    [told] = data_of(world, PostKind.REJECTED_RESPONSE)
    assert told["count"] == 37
    assert told["refused"] == [{"file": f"response_j{n}.json", "reason": f"reason {n}"} for n in range(3)]
    assert len(world.analyst.rejected) == 37


async def test_refusals_that_go_on_are_told_together_every_few_minutes(world: World) -> None:
    await world.start()
    for number in range(20):
        world.analyst.lying.append(junk(number))
        await world.pass_time(seconds=10)
    [first] = posts_of(world, PostKind.REJECTED_RESPONSE)
    assert first.data["count"] == 1
    world.store.post_delivered(first.id, "1")
    await world.pass_time(seconds=GATHERING)
    [second] = data_of(world, PostKind.REJECTED_RESPONSE)
    assert second["count"] == 19


async def test_a_word_about_the_server_goes_before_refused_responses(world: World) -> None:
    await world.start()
    world.analyst.lying += [junk(number) for number in range(3)]
    await world.settle()
    world.keeper.hold(Hold.BREAKER)
    await world.settle()
    kinds = [post.kind for post in world.posts() if post.card is None]
    assert kinds == [PostKind.SERVER, PostKind.REJECTED_RESPONSE]


async def test_refusals_that_wait_for_their_post_keep_no_other_word_waiting(world: World) -> None:
    await world.start()
    for number in range(2):
        world.analyst.lying.append(junk(number))
        await world.settle()
    world.store.post_delivered(posts_of(world, PostKind.REJECTED_RESPONSE)[0].id, "1")
    world.keeper.hold(Hold.BREAKER)
    await world.settle()
    assert [post.kind for post in world.posts() if post.card is None] == [PostKind.SERVER]


async def test_a_name_that_is_no_text_is_refused_like_any_other(world: World) -> None:
    await world.start()
    world.analyst.lying.append(Answer(Path("response_\udcff.json"), "d", None, "its name", None))
    await world.settle()
    assert [each["refused"][0]["file"] for each in data_of(world, PostKind.REJECTED_RESPONSE)] == ["response_?.json"]


async def test_history_that_cannot_be_moved_is_imported_once_and_said(world: World) -> None:
    world.analyst.stuck = "2 files of responses/ cannot be moved to rejected/: Permission denied"
    world.analyst.lying += [junk(1), junk(2)]
    history.import_history(world.tools)
    assert world.tools.degraded == {"responses": world.analyst.stuck}
    world.analyst.stuck = None
    await world.start()
    assert world.tools.degraded == {}
    assert data_of(world, PostKind.REJECTED_RESPONSE) == []
    assert [answer.digest for answer in world.analyst.rejected] == ["d1", "d2"]


async def test_a_refused_response_that_was_stuck_is_moved_to_the_refused_ones(world: World) -> None:
    await world.start()
    world.analyst.stuck = "1 file of responses/ cannot be moved"
    world.analyst.lying.append(
        Answer(Path("response_nobody.json"), "d", Response("nobody", Analysis(), GOOD), None, "nobody")
    )
    await world.settle()
    world.analyst.stuck = None
    await world.settle()
    assert ([answer.digest for answer in world.analyst.rejected], world.analyst.completed) == (["d"], [])
    assert len(data_of(world, PostKind.REJECTED_RESPONSE)) == 1


# --- what waits ------------------------------------------------------------------------------------------------------


async def test_what_waits_for_a_thread_that_cannot_be_opened_holds_up_no_word_in_the_channel(world: World) -> None:
    await world.start()
    run = await world.crash("Map::Update")
    card, now = world.store.get_card_of_run(run.id), world.clock.now()
    waiting = [NewPost(PostKind.REFUSED, {"reason": str(number)}) for number in range(2 * POSTS_AT_ONCE)]
    world.store.add_posts(waiting, now, card)
    world.store.add_posts([NewPost(PostKind.SERVER, {"what": "released"}, to_channel=True)], now)
    assert [each.data for each in world.store.list_pending_posts(now)] == [{"what": "released"}]
    world.store.card_delivered(card, 1, "11", "12")
    pending = world.store.list_pending_posts(now)
    assert len(pending) == POSTS_AT_ONCE + 1, "and what is for the channel, though all these were there before it"
    assert pending[-1].data == {"what": "released"}
    told = [each.data["reason"] for each in pending if each.kind is PostKind.REFUSED]
    assert told == [str(number) for number in range(len(told))]


async def test_a_clock_that_is_set_back_keeps_no_deferred_post_for_as_long(world: World) -> None:
    await world.start()
    now = world.clock.now()
    world.store.add_posts([NewPost(PostKind.SERVER, {"what": "released"}, to_channel=True)], now)
    [post] = posts_of(world, PostKind.SERVER)
    due = now + timedelta(seconds=30)
    world.store.post_deferred(post.id, "Discord limits the rate", due)
    assert posts_of(world, PostKind.SERVER) == []
    assert world.store.find_due_post(now) == due
    world.clock.time -= timedelta(hours=2)
    assert [each.id for each in posts_of(world, PostKind.SERVER)] == [post.id]
    assert world.store.find_due_post(world.clock.now()) is None
