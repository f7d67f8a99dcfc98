"""A restart that was ordered: told, cancelled, carried out when due, lapsed."""

from datetime import timedelta

from world import BOB, OPERATOR, World

from bot.messages import order_over
from pipeline.card_models import PostKind
from pipeline.model import Done, Impossible


async def test_a_restart_is_ordered_told_and_carried_out_when_due(world: World) -> None:
    world.players.online = 2
    starts = world.keeper.starts
    done = await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "new maps")
    assert isinstance(done, Done)
    await world.pass_time(seconds=30)
    assert world.keeper.starts == starts
    assert world.console.said == ["announce Server restart in 30 seconds: new maps"]
    await world.pass_time(seconds=31)
    assert world.keeper.starts == starts + 1
    assert world.console.said[-1] == "saveall"


async def test_fault_b5_a_cancelled_restart_does_not_happen(world: World) -> None:
    starts = world.keeper.starts
    done = await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    assert isinstance(done, Done)
    assert isinstance(await world.orders.cancel_order(done.order or 0, OPERATOR), Done)
    await world.pass_time(minutes=2)
    assert world.keeper.starts == starts
    assert isinstance(await world.orders.cancel_order(done.order or 0, OPERATOR), Impossible)


async def test_a_second_restart_order_is_answered_with_the_first(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    second = await world.orders.restart_server(BOB, timedelta(seconds=90), "")
    assert second == Impossible(f"{OPERATOR} has ordered a restart already: it is due in 60 s.")
    await world.pass_time(minutes=3)
    assert world.keeper.starts == starts + 1


async def test_a_sooner_restart_order_takes_the_place_of_a_later_one(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(minutes=10), "")
    assert isinstance(await world.orders.restart_server(BOB, timedelta(), ""), Done)
    await world.settle()
    await world.pass_time(minutes=12)
    assert world.keeper.starts == starts + 1
    assert [post.data["by"] for post in world.posts() if post.kind is PostKind.ORDER] == [str(BOB)]


async def test_an_order_that_another_took_the_place_of_says_which_one(world: World) -> None:
    waiting = await world.orders.restart_server(OPERATOR, timedelta(minutes=10), "")
    assert isinstance(waiting, Done) and waiting.order is not None
    await world.orders.note_order_shown(waiting.order, "waiting", "7", "70")
    ended = int(world.clock.now().timestamp())
    await world.orders.stop_server(BOB, timedelta(minutes=1), "")
    (end,) = world.ledger.list_outdated_orders()
    assert order_over(end).content == (
        f"Cancelled by the stop that Bob ordered <t:{ended}:R>: the restart that Ann ordered. Nothing of it happened."
    )


async def test_world_time_forward_an_order_that_is_over_five_minutes_late_has_lapsed_and_says_so(world: World) -> None:
    starts = world.keeper.starts
    await world.orders.restart_server(OPERATOR, timedelta(seconds=60), "")
    world.restart()
    await world.pass_time(minutes=7)
    assert world.keeper.starts == starts
    assert [post.data["what"] for post in world.posts() if post.kind is PostKind.ORDER] == ["lapsed"]
