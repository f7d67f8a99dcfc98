"""What a card tells of, where its crash is worked on and a fix of it is taken back."""

from pathlib import Path

from world import GOOD, OPERATOR, OTHER, World

from bot.cards import render_card
from bot.payloads import Colour, Embed, Message
from pipeline.model import Approval, Done, Patch, Run, RunKind, RunState, WholeFile

WORSE = Patch(files=(WholeFile("src/Spell.cpp", "worse"),))
LOOT = Patch(files=(WholeFile("src/Loot.cpp", "good"),))


def show(world: World, run: Run) -> Message:
    return render_card(world.ledger.get_card_view(world.store.get_card_of_run(run.id)))


def title(world: World, run: Run) -> str:
    return embed_of(show(world, run)).title


def embed_of(message: Message) -> Embed:
    assert message.embed is not None
    return message.embed


def labels(message: Message) -> list[str]:
    return [button.label for button in message.buttons]


async def revert_while_asked(world: World) -> Run:
    """A fix that cured nothing is taken back while its crash is asked about again; the run that is asked."""
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await allow(world)
    await world.crash("Map::Update")
    commit = world.expect(first, RunState.FAILED).commit or ""
    assert [button.custom_id for button in show(world, first).buttons] == [f"revert:{commit}"]
    await world.orders.revert(commit, OPERATOR)
    await world.settle()
    assert title(world, first) == "Revert live, watching: Map::Update"
    await world.pass_time(minutes=3)
    world.expect(find_revert(world), RunState.SUCCEEDED)
    return next(run for run in world.runs() if run.retry_of)


def find_revert(world: World) -> Run:
    """The last."""
    return [run for run in world.runs() if run.kind is RunKind.REVERT][-1]


def link(world: World, run: Run) -> str:
    commit = world.get(run).commit or ""
    return f"[`{commit[:7]}`](https://example.org/commit/{commit})"


def say_taken_back(world: World, fix: Run) -> str:
    by = link(world, find_revert(world))
    return f"**Its fix {link(world, fix)} was taken back** by {by}: a new one is asked for"


async def allow(world: World) -> None:
    for run in world.store.list_runs_in(RunState.AWAITING_APPROVAL):
        assert isinstance(await world.orders.approve(run.id, OPERATOR), Done)
    await world.settle()


async def test_once_a_revert_is_over_the_card_tells_of_the_run_that_is_still_asked_for(world: World) -> None:
    asked = await revert_while_asked(world)
    world.expect(asked, RunState.ANALYZING)
    assert title(world, asked) == "Crash in Map::Update (×2)"
    known, waits, *_ = embed_of(show(world, asked)).description.splitlines()
    first = next(run for run in world.runs() if run.id == asked.retry_of)
    assert known == say_taken_back(world, first)
    assert "*its request waits in the queue for an answer, since* <t:" in waits


async def test_a_good_fix_after_a_revert_is_on_the_card(world: World) -> None:
    asked = await revert_while_asked(world)
    await world.answer(asked, OTHER)
    await world.pass_time(minutes=3)
    world.expect(asked, RunState.SUCCEEDED)
    shown = show(world, asked)
    assert (embed_of(shown).title, labels(shown)) == ("Fixed: Map::Update", ["Revert"])


async def test_a_fix_that_asks_after_a_revert_asks_on_the_card(tmp_path: Path) -> None:
    world = await World(tmp_path, {"approval": Approval.PATCH}).start()
    asked = await revert_while_asked(world)
    await world.answer(asked, OTHER)
    world.expect(asked, RunState.AWAITING_APPROVAL)
    shown = show(world, asked)
    assert labels(shown) == ["Approve", "Reject"]
    assert embed_of(shown).colour is Colour.AMBER
    await allow(world)
    assert title(world, asked) == "Fix live, watching: Map::Update"


async def test_a_fix_that_is_rolled_back_after_a_revert_says_so_on_the_card(world: World) -> None:
    asked = await revert_while_asked(world)
    await world.answer(asked, WORSE)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    world.expect(asked, RunState.ROLLED_BACK)
    shown = show(world, asked)
    assert (embed_of(shown).title, embed_of(shown).colour) == ("Rolled back: the fix made it worse", Colour.RED)
    assert labels(shown) == ["Resume"]


async def test_of_a_revert_and_a_fix_that_go_live_together_the_card_tells_of_the_fix(world: World) -> None:
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.crash("Map::Update")
    another = await world.crash("Loot::Roll")
    await world.answer(another, LOOT)  # while it is watched, what is built waits for it
    await world.orders.revert(world.expect(first, RunState.FAILED).commit or "", OPERATOR)
    await world.settle()
    assert title(world, first).startswith("Revert built")
    asked = await world.answer(next(run for run in world.runs() if run.retry_of), OTHER)
    assert title(world, first).startswith("Fix built")
    await world.pass_time(minutes=3)
    revert = find_revert(world)
    assert world.expect(asked, RunState.VERIFYING).deployment == world.expect(revert, RunState.VERIFYING).deployment
    await world.pass_time(minutes=3)
    assert title(world, first) == "Fixed: Map::Update"


async def test_a_card_names_the_fix_that_was_taken_back_last(tmp_path: Path) -> None:
    world = await World(tmp_path, {"max_tries": 2}).start()
    first = await world.answer(await world.crash("Map::Update"), GOOD)
    await world.pass_time(minutes=3)
    await world.orders.revert(world.get(first).commit or "", OPERATOR)
    await world.pass_time(minutes=3)
    await world.pass_time(minutes=3)
    worse = await world.answer(await world.crash("Map::Update"), WORSE)
    await world.die("Loot::Roll")
    await world.pass_time(minutes=3)
    world.expect(worse, RunState.ROLLED_BACK)
    await world.orders.retry(worse.id, OPERATOR)
    await world.settle()
    known = embed_of(show(world, worse)).description.splitlines()[0]
    assert known == say_taken_back(world, worse)
