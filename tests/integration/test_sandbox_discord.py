"""The loopback Discord against the real discord.py client, over real sockets."""

import asyncio
import io
import json
import os
import stat
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import discord
import pytest
from discord import app_commands
from edge_world import SPECIFICATION, load_specification

from bot.sandbox import Clock, MessageEvent, MessageState, Permission, Rules, Sandbox, VisitorError, redirect_discord

Act = Callable[[discord.Interaction], Coroutine[Any, Any, None]]


class MovableClock:
    """Runs with the real one; `move` puts it forward."""

    def __init__(self) -> None:
        self._ahead = 0.0

    def move(self, seconds: float) -> None:
        self._ahead += seconds

    def clock(self) -> Clock:
        return Clock(lambda: time.time() + self._ahead, lambda: time.monotonic() + self._ahead)


class RevertButton(discord.ui.Button["Confirm"]):
    def __init__(self, act: Act) -> None:
        super().__init__(label="Revert", custom_id="confirm")
        self._act = act

    async def callback(self, interaction: discord.Interaction) -> None:
        await self._act(interaction)


class Confirm(discord.ui.View):
    """Two buttons; what the first does is the test's."""

    def __init__(self, act: Act) -> None:
        super().__init__(timeout=None)
        self.add_item(RevertButton(act))
        self.add_item(discord.ui.Button(label="Keep", custom_id="keep", disabled=True))


class Bot(discord.Client):
    """Three commands whose doing each test decides; what went wrong in one of them is kept in `errors`."""

    def __init__(self, guild_id: str, **options: Any) -> None:
        super().__init__(
            intents=discord.Intents(guilds=True),
            guild_ready_timeout=0.1,
            **options,
            allowed_mentions=discord.AllowedMentions.none(),
            enable_debug_events=True,
        )
        self.home = discord.Object(int(guild_id))
        self.tree = app_commands.CommandTree(self)
        self.act: Act = greet
        self.errors: asyncio.Queue[BaseException] = asyncio.Queue()
        self.resumed: asyncio.Queue[None] = asyncio.Queue()

    async def setup_hook(self) -> None:
        @self.tree.command(name="status", description="what is happening", guild=self.home)
        async def status(interaction: discord.Interaction) -> None:
            await self._do(interaction)

        @self.tree.command(name="revert", description="undo a fix", guild=self.home)
        async def revert(interaction: discord.Interaction, commit: str, lines: int = 3) -> None:
            await interaction.response.send_message(f"{commit} {lines!r} {interaction.user.name}")

        @revert.autocomplete("commit")
        async def complete(interaction: discord.Interaction, current: str) -> list[app_commands.Choice[str]]:
            known = ("a1b2c3d", "a1ffffe", "c0ffee1")
            return [app_commands.Choice(name=c, value=c) for c in known if c.startswith(current)]

        await self.tree.sync(guild=self.home)

    async def _do(self, interaction: discord.Interaction) -> None:
        try:
            await self.act(interaction)
        except discord.HTTPException as error:
            self.errors.put_nowait(error)

    async def on_resumed(self) -> None:
        self.resumed.put_nowait(None)


async def greet(interaction: discord.Interaction) -> None:
    await interaction.response.send_message(f"hello {interaction.user.name}")


@asynccontextmanager
async def connected(sandbox: Sandbox, **options: Any) -> AsyncIterator[Bot]:
    redirect_discord(sandbox.port)
    bot = Bot(sandbox.guild_id, **options)
    running = asyncio.create_task(bot.start(sandbox.token))
    try:
        await sandbox.wait_for(lambda state: state["ready"])
        await asyncio.wait_for(bot.wait_until_ready(), 10)
        yield bot
    finally:
        await bot.close()
        await asyncio.gather(running, return_exceptions=True)


@pytest.fixture
def time_machine() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def sandbox(time_machine: MovableClock) -> AsyncIterator[Sandbox]:
    specification = load_specification()
    check = None if specification is None else specification.check
    async with await Sandbox.start(clock=time_machine.clock(), check=check) as started:
        yield started


@pytest.fixture
async def bot(sandbox: Sandbox) -> AsyncIterator[Bot]:
    async with connected(sandbox) as client:
        yield client


@pytest.fixture
def channel(sandbox: Sandbox, bot: Bot) -> discord.TextChannel:
    found = bot.get_channel(int(sandbox.channel_id))
    assert isinstance(found, discord.TextChannel)
    return found


def only_message(sandbox: Sandbox) -> MessageState:
    (message,) = sandbox.state()["messages"]
    return message


def response_of(reply: Any) -> MessageState:
    assert reply["response"] is not None
    response: MessageState = reply["response"]
    return response


async def error_of(action: Awaitable[object]) -> discord.HTTPException:
    with pytest.raises(discord.HTTPException) as caught:
        await action
    return caught.value


async def begin(sandbox: Sandbox, bot: Bot, act: Act) -> None:
    """Runs one command whose answering nobody waits for."""
    done = asyncio.Event()

    async def act_and_say(interaction: discord.Interaction) -> None:
        try:
            await act(interaction)
        finally:
            done.set()

    bot.act = act_and_say
    asking = asyncio.create_task(sandbox.slash("status"))
    await asyncio.wait_for(done.wait(), 10)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)


async def test_the_client_connects_and_finds_guild_roles_members_and_channel(sandbox: Sandbox, bot: Bot) -> None:
    (guild,) = bot.guilds
    assert str(guild.id) == sandbox.guild_id
    assert [str(channel.id) for channel in guild.text_channels] == [sandbox.channel_id]
    assert guild.get_role(int(sandbox.operator_role_id)) is not None
    assert guild.me.guild_permissions.send_messages
    assert not guild.me.guild_permissions.administrator
    assert sandbox.state() == {"ready": True, "commands": ["status", "revert"], "messages": []}


async def test_what_the_client_fetches_follows_the_specification(sandbox: Sandbox, bot: Bot) -> None:
    guild = await bot.fetch_guild(int(sandbox.guild_id))
    await guild.fetch_roles()
    await guild.fetch_channels()
    await guild.fetch_member(int(sandbox.guest_id))
    await guild.active_threads()
    await bot.fetch_channel(int(sandbox.channel_id))
    await bot.application_info()
    assert [command.name for command in await bot.tree.fetch_commands(guild=bot.home)] == ["status", "revert"]
    assert sandbox.violations == []


async def test_a_slash_is_answered_with_who_asked(sandbox: Sandbox, bot: Bot) -> None:
    reply = await sandbox.slash("status", {}, "guest")
    assert response_of(reply)["content"] == "hello guest"
    assert response_of(reply)["author"] == "Spirit Healer"
    assert sandbox.state()["messages"] == [reply["response"]]
    assert sandbox.violations == []


async def test_an_interaction_carries_the_roles_of_the_moment(sandbox: Sandbox, bot: Bot) -> None:
    async def name_roles(interaction: discord.Interaction) -> None:
        assert isinstance(interaction.user, discord.Member)
        roles = [str(role.id) for role in interaction.user.roles if not role.is_default()]
        await interaction.response.send_message(str(roles), ephemeral=True)

    bot.act = name_roles
    assert response_of(await sandbox.slash("status"))["content"] == str([sandbox.operator_role_id])
    sandbox.set_operator("operator", granted=False)
    assert response_of(await sandbox.slash("status"))["content"] == "[]"


async def test_options_get_the_types_that_were_registered(sandbox: Sandbox, bot: Bot) -> None:
    reply = await sandbox.slash("revert", {"commit": "a1b2c3d", "lines": "7"})
    assert response_of(reply)["content"] == "a1b2c3d 7 operator"


@pytest.mark.parametrize(
    ("command", "options", "user"),
    [
        ("nothing", {}, "operator"),
        ("revert", {}, "operator"),
        ("revert", {"commit": "a", "colour": "red"}, "operator"),
        ("revert", {"commit": "a", "lines": "many"}, "operator"),
        ("status", {}, "Spirit Healer"),
    ],
)
async def test_a_person_cannot_send_what_discord_would_not_offer(
    sandbox: Sandbox, bot: Bot, command: str, options: dict[str, str], user: str
) -> None:
    with pytest.raises(VisitorError):
        await sandbox.slash(command, options, user)


async def test_an_ephemeral_answer_is_seen_by_one_person_and_by_no_request(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel
) -> None:
    async def whisper(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("for you", ephemeral=True)

    bot.act = whisper
    message = response_of(await sandbox.slash("status", {}, "guest"))
    assert message["ephemeral_to"] == "guest"
    assert [seen async for seen in channel.history()] == []
    assert (await error_of(channel.fetch_message(int(message["id"])))).code == 10008


@pytest.mark.parametrize("by_followup", [False, True])
async def test_a_deferred_answer_is_the_reply_once_it_is_filled_in(
    sandbox: Sandbox, bot: Bot, by_followup: bool
) -> None:
    seen: list[MessageEvent] = []
    sandbox.on_message(seen.append)

    async def think(interaction: discord.Interaction) -> None:
        await interaction.response.defer(ephemeral=True, thinking=True)
        assert sandbox.state()["messages"] == []
        if by_followup:
            await interaction.followup.send("thought", wait=True)
        else:
            await interaction.edit_original_response(content="thought")

    bot.act = think
    message = response_of(await sandbox.slash("status"))
    assert (message["content"], message["edits"], message["ephemeral_to"]) == ("thought", 0, "operator")
    assert [(event.kind, event.message) for event in seen] == [("create", message)]
    assert sandbox.violations == []


async def test_followups_and_the_original_are_read_edited_and_deleted_by_token(sandbox: Sandbox, bot: Bot) -> None:
    async def talk(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("one")
        second = await interaction.followup.send("two", wait=True)
        await second.edit(content="zwei")
        assert (await interaction.original_response()).content == "one"
        await interaction.delete_original_response()

    await begin(sandbox, bot, talk)
    assert bot.errors.empty()
    assert (only_message(sandbox)["content"], only_message(sandbox)["edits"]) == ("zwei", 1)
    assert sandbox.violations == []


async def test_a_click_edits_its_message(sandbox: Sandbox, bot: Bot, channel: discord.TextChannel) -> None:
    async def confirm(interaction: discord.Interaction) -> None:
        await interaction.response.edit_message(content=f"done by {interaction.user.name}", view=None)

    asked = await channel.send("really?", view=Confirm(confirm))
    before = only_message(sandbox)
    assert [button["custom_id"] for button in before["components"][0]["components"]] == ["confirm", "keep"]
    message = response_of(await sandbox.click(str(asked.id), "confirm", "guest"))
    assert (message["id"], message["content"], message["edits"]) == (str(asked.id), "done by guest", 1)
    assert message["components"] == []
    assert sandbox.violations == []


async def test_a_click_that_defers_waits_for_the_edit_or_for_the_followup(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel
) -> None:
    async def edit(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.edit_original_response(content="edited", view=None)

    async def follow(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        await interaction.followup.send("said")

    first = await channel.send("first", view=Confirm(edit))
    assert response_of(await sandbox.click(str(first.id), "confirm"))["content"] == "edited"
    second = await channel.send("second", view=Confirm(follow))
    assert response_of(await sandbox.click(str(second.id), "confirm"))["content"] == "said"
    assert sandbox.violations == []


async def test_a_button_is_pressed_only_where_it_is_seen_and_enabled(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel
) -> None:
    async def ask(interaction: discord.Interaction) -> None:
        await interaction.response.send_message("sure?", view=Confirm(greet), ephemeral=True)

    bot.act = ask
    message_id = response_of(await sandbox.slash("status"))["id"]
    for custom_id, user in (("keep", "operator"), ("other", "operator"), ("confirm", "guest")):
        with pytest.raises(VisitorError):
            await sandbox.click(message_id, custom_id, user)
    assert response_of(await sandbox.click(message_id, "confirm"))["content"] == "hello operator"


class Why(discord.ui.Modal, title="Really?"):
    """What is done with what was typed is the test's."""

    def __init__(self, act: Act) -> None:
        super().__init__(custom_id="why")
        self.first: discord.ui.TextInput[Why] = discord.ui.TextInput(label="Why", custom_id="first", min_length=3)
        self.second = discord.ui.Label["Why"](
            text="And", component=discord.ui.TextInput(custom_id="second", default="so it is", required=False)
        )
        self.add_item(self.first).add_item(self.second)
        self._act = act

    async def on_submit(self, interaction: discord.Interaction) -> None:
        await self._act(interaction)


async def test_a_dialogue_comes_back_filled_in_and_its_message_may_be_edited(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel
) -> None:
    async def open_dialogue(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(dialogue)

    async def close(interaction: discord.Interaction) -> None:
        typed = dialogue.second.component
        assert isinstance(typed, discord.ui.TextInput)
        await interaction.response.edit_message(content=f"{dialogue.first.value}, {typed.value}", view=None)

    dialogue = Why(close)
    asked = await channel.send("really?", view=Confirm(open_dialogue))
    with pytest.raises(VisitorError, match="first needs at least 3 characters"):
        await sandbox.click(str(asked.id), "confirm", "guest", {"first": "no"})
    message = response_of(await sandbox.click(str(asked.id), "confirm", "guest", {"first": "because"}))
    assert (message["id"], message["content"]) == (str(asked.id), "because, so it is")
    assert sandbox.violations == []


async def test_no_dialogue_opens_another(sandbox: Sandbox, bot: Bot, channel: discord.TextChannel) -> None:
    async def open_dialogue(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Why(open_another))

    async def open_another(interaction: discord.Interaction) -> None:
        error = await error_of(interaction.response.send_modal(Why(greet)))
        await interaction.response.send_message(f"refused with {error.code}")

    asked = await channel.send("really?", view=Confirm(open_dialogue))
    reply = await sandbox.click(str(asked.id), "confirm", fields={"first": "because"})
    assert response_of(reply)["content"] == "refused with 50035"


async def test_a_command_may_ask_in_a_dialogue_and_its_answer_names_the_command(sandbox: Sandbox, bot: Bot) -> None:
    async def open_dialogue(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Why(greet))

    bot.act = open_dialogue
    opened = await sandbox.slash("status")
    assert (opened["response"], opened["dialogue"]["title"]) == (None, "Really?")
    message = response_of(await sandbox.submit(opened["interaction_id"], {"first": "because"}))
    found = await bot.get_partial_messageable(int(sandbox.channel_id)).fetch_message(int(message["id"]))
    assert found.interaction_metadata is not None
    assert found.interaction_metadata.type is discord.InteractionType.modal_submit
    assert sandbox.violations == []


async def test_completion_offers_what_the_bot_answers(sandbox: Sandbox, bot: Bot) -> None:
    assert await sandbox.autocomplete("revert", "commit", "a1") == [
        {"name": "a1b2c3d", "value": "a1b2c3d"},
        {"name": "a1ffffe", "value": "a1ffffe"},
    ]
    assert sandbox.violations == []


async def test_a_visitor_gets_null_when_nobody_answers(sandbox: Sandbox, bot: Bot) -> None:
    async def keep_silent(interaction: discord.Interaction) -> None:
        return

    sandbox.rules.patience = 0.05
    bot.act = keep_silent
    assert (await sandbox.slash("status"))["response"] is None


async def test_a_thread_opens_from_a_message_and_takes_posts(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel
) -> None:
    card = await channel.send("card")
    thread = await card.create_thread(name="Crash in Map::Update", auto_archive_duration=1440)
    await thread.send("the log")
    await thread.edit(archived=True)
    await thread.send("more of it")  # opens it again
    _, post, _ = sandbox.state()["messages"]
    assert (post["thread"], post["channel"]) == (str(card.id), sandbox.channel_id)
    assert [message.content async for message in thread.history(oldest_first=True)] == ["the log", "more of it"]
    assert (await error_of(card.create_thread(name="again"))).code == 160004
    assert sandbox.violations == []


async def test_a_repeated_nonce_returns_the_first_message_until_its_window_is_over(
    sandbox: Sandbox, channel: discord.TextChannel, time_machine: MovableClock
) -> None:
    first = await channel.send("once", nonce="run-7")
    assert (await channel.send("once", nonce="run-7")).id == first.id
    time_machine.move(sandbox.rules.nonce_window + 1)
    assert (await channel.send("once", nonce="run-7")).id != first.id
    assert len(sandbox.state()["messages"]) == 2


async def test_messages_are_listed_before_after_and_up_to_a_number(
    sandbox: Sandbox, channel: discord.TextChannel, time_machine: MovableClock
) -> None:
    sandbox.rules.message_limit = 50
    sent = [await channel.send(str(number)) for number in range(6)]
    newest = [message.content async for message in channel.history(limit=2)]
    older = [message.content async for message in channel.history(before=sent[4], limit=2)]
    later = [message.content async for message in channel.history(after=sent[1], limit=2)]
    assert (newest, older, later) == (["5", "4"], ["3", "2"], ["2", "3"])
    await sent[5].delete()
    assert (await channel.fetch_message(sent[4].id)).content == "4"
    assert (await error_of(channel.fetch_message(sent[5].id))).code == 10008
    assert sandbox.violations == []


async def test_an_attachment_is_served_as_it_was_sent(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    content = bytes(range(256)) * 40
    embed = discord.Embed(title="night").set_image(url="attachment://chart.png")
    files = [discord.File(io.BytesIO(content), "chart.png"), discord.File(io.BytesIO(b"<script>"), "page.html")]
    sent = await channel.send(embed=embed, files=files)
    assert await sent.attachments[0].read() == content
    assert sent.embeds[0].image.url == sent.attachments[0].url
    (chart, page) = only_message(sandbox)["attachments"]
    assert (chart["filename"], chart["size"]) == ("chart.png", len(content))
    async with aiohttp.ClientSession() as session, session.get(page["url"]) as answer:
        assert answer.headers["Content-Disposition"] == "attachment"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
    await sent.remove_attachments(sent.attachments[1])
    assert [attachment["filename"] for attachment in only_message(sandbox)["attachments"]] == ["chart.png"]
    assert sandbox.violations == []


async def test_a_file_over_10_mib_is_too_large(channel: discord.TextChannel) -> None:
    large = discord.File(io.BytesIO(b"x" * ((10 << 20) + 1)), "core.txt")
    error = await error_of(channel.send(file=large))
    assert (error.status, error.code) == (413, 40005)


def _embed(description: int = 0, fields: tuple[tuple[str, str], ...] = ()) -> discord.Embed:
    embed = discord.Embed(title="t", description="d" * description)
    for name, value in fields:
        embed.add_field(name=name, value=value)
    return embed


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"content": "x" * 2001}, "content"),
        ({"embed": _embed(4097)}, "embeds.0.description"),
        ({"embed": _embed(0, (("n", "v" * 1025),))}, "embeds.0.fields.0.value"),
        ({"embed": _embed(0, (("n", ""),))}, "embeds.0.fields.0.value"),
        ({"embed": _embed(0, tuple(("n", "v") for _ in range(26)))}, "embeds.0.fields"),
        ({"embeds": [_embed(4000), _embed(1999)]}, "embeds"),
        ({"content": "x", "nonce": "n" * 26}, "nonce"),
    ],
    ids=["content", "description", "value", "empty value", "fields", "6000 in all", "nonce"],
)
async def test_a_message_over_a_limit_is_refused_and_says_where(
    sandbox: Sandbox, channel: discord.TextChannel, body: dict[str, Any], field: str
) -> None:
    error = await error_of(channel.send(**body))
    assert (error.status, error.code) == (400, 50035)
    assert f"In {field}: " in error.text
    assert sandbox.state()["messages"] == []


async def test_a_message_of_exactly_the_limits_is_taken(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    embeds = [_embed(4000), _embed(1998)]
    await channel.send("x" * 2000, embeds=embeds, nonce="n" * 25)
    assert only_message(sandbox)["content"] == "x" * 2000
    assert sandbox.violations == []


async def test_a_first_answer_after_three_seconds_is_too_late(
    sandbox: Sandbox, bot: Bot, time_machine: MovableClock
) -> None:
    async def dawdle(interaction: discord.Interaction) -> None:
        time_machine.move(3.01)
        await interaction.response.send_message("late")

    await begin(sandbox, bot, dawdle)
    error = bot.errors.get_nowait()
    assert isinstance(error, discord.NotFound)
    assert error.code == 10062


async def test_a_second_first_answer_is_refused(sandbox: Sandbox, bot: Bot) -> None:
    async def answer_twice(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        interaction.response._response_type = None  # discord.py itself would refuse
        await interaction.response.send_message("again")

    await begin(sandbox, bot, answer_twice)
    error = bot.errors.get_nowait()
    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (400, 40060)


async def test_a_token_is_good_for_fifteen_minutes(sandbox: Sandbox, bot: Bot, time_machine: MovableClock) -> None:
    async def take_long(interaction: discord.Interaction) -> None:
        await interaction.response.defer()
        time_machine.move(899)
        await interaction.followup.send("in time")
        time_machine.move(2)
        await interaction.followup.send("too late")

    await begin(sandbox, bot, take_long)
    error = bot.errors.get_nowait()
    assert isinstance(error, discord.HTTPException)
    assert (error.status, error.code) == (401, 50027)
    assert only_message(sandbox)["content"] == "in time"


async def test_old_messages_take_only_so_many_edits(
    sandbox: Sandbox, channel: discord.TextChannel, time_machine: MovableClock
) -> None:
    sandbox.rules.old_edits = 1
    sandbox.rules.old_edit_retry_after = 0.01
    card = await channel.send("card")
    await card.edit(content="young")
    time_machine.move(3601)
    await card.edit(content="old")
    error = await error_of(card.edit(content="older"))
    assert error.code == 30046
    assert only_message(sandbox)["content"] == "old"
    time_machine.move(3601)
    await card.edit(content="an hour later")
    assert only_message(sandbox)["content"] == "an hour later"


async def test_more_than_the_limit_waits_for_the_window(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    """Both ways: heeding the headers, and heeding the 429 where several go out at once."""
    sandbox.rules.message_limit, sandbox.rules.message_period = 2, 0.2
    await asyncio.gather(*(channel.send(str(number)) for number in range(5)))
    assert sorted(message["content"] for message in sandbox.state()["messages"]) == list("01234")
    assert sandbox.violations == []


async def test_a_429_is_honoured_and_the_message_sent_once(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    sandbox.faults.limit("POST", r"/messages$", retry_after=0.02, times=2)
    await channel.send("patient")
    assert only_message(sandbox)["content"] == "patient"
    assert [e.status for e in sandbox.exchanges if e.path.endswith("/messages")] == [429, 429, 200]


async def test_too_many_requests_over_all_routes_are_limited_globally(sandbox: Sandbox, bot: Bot) -> None:
    sandbox.rules.global_limit = 2
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        answers = [await session.get(f"{sandbox.url}/api/v10/users/@me") for _ in range(4)]
        limited = next(answer for answer in answers if answer.status == 429)
        assert limited.headers["X-RateLimit-Global"] == "true"
        assert (await limited.json())["global"] is True


@pytest.mark.parametrize("code", [None, 4000, 1006])
async def test_a_lost_connection_resumes_and_brings_what_was_missed(
    sandbox: Sandbox, bot: Bot, code: int | None
) -> None:
    sandbox.faults.disconnect(None if code == 1006 else code)
    assert response_of(await sandbox.slash("status"))["content"] == "hello operator"
    assert (sandbox.sessions_begun, sandbox.sessions_resumed) == (1, 1)


async def test_op_7_and_a_resumable_op_9_resume_at_once(sandbox: Sandbox, bot: Bot) -> None:
    sandbox.faults.reconnect()
    await asyncio.wait_for(bot.resumed.get(), 10)
    sandbox.faults.invalidate(resumable=True)
    await asyncio.wait_for(bot.resumed.get(), 10)
    assert (sandbox.sessions_begun, sandbox.sessions_resumed) == (1, 2)


async def test_a_deaf_connection_hears_again_once_it_is_renewed(sandbox: Sandbox, bot: Bot) -> None:
    sandbox.faults.deafen()
    asking = asyncio.create_task(sandbox.slash("status"))
    await asyncio.sleep(0)
    assert sandbox.state()["ready"]
    sandbox.faults.disconnect(None)
    assert response_of(await asking)["content"] == "hello operator"


async def test_a_session_that_is_gone_begins_anew(sandbox: Sandbox, bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    rest = asyncio.sleep
    monkeypatch.setattr("discord.client.asyncio.sleep", lambda seconds: rest(0))  # it waits 5 s before it identifies
    sandbox.faults.invalidate(resumable=False)
    await sandbox.wait_for(lambda state: sandbox.sessions_begun == 2)
    assert response_of(await sandbox.slash("status"))["content"] == "hello operator"


@pytest.mark.parametrize("compression", ["", "?compress=zstd-stream"])
async def test_a_client_without_zlib_gets_plain_frames(sandbox: Sandbox, compression: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.ws_connect(f"{sandbox.url}/gateway/{compression}") as socket,
    ):
        assert (await socket.receive_json())["d"] == {"heartbeat_interval": 41250}
        await socket.send_json({"op": 1, "d": None})
        assert (await socket.receive_json())["op"] == 11
        await socket.send_json({"op": 2, "d": {"token": "guessed", "intents": 0}})
        assert (await socket.receive()).type is aiohttp.WSMsgType.CLOSE
        assert socket.close_code == 4004


async def test_unanswered_heartbeats_make_the_client_reconnect() -> None:
    async with (
        await Sandbox.start(rules=Rules(heartbeat_interval=0.05)) as sandbox,
        connected(sandbox, heartbeat_timeout=0.3),
    ):
        sandbox.faults.ignore_heartbeats()
        await sandbox.wait_for(lambda state: sandbox.sessions_resumed > 0)


async def test_a_failed_request_is_retried_or_raised_as_the_status_says(
    sandbox: Sandbox, channel: discord.TextChannel
) -> None:
    sandbox.faults.fail("POST", r"/messages$", 503)
    assert (await error_of(channel.send("lost"))).status == 503
    sandbox.faults.fail("POST", r"/messages$", 503, after=True)
    assert (await error_of(channel.send("arrived"))).status == 503
    assert only_message(sandbox)["content"] == "arrived"


@pytest.mark.parametrize("after", [False, True])
async def test_a_cut_connection_gives_no_answer(sandbox: Sandbox, channel: discord.TextChannel, after: bool) -> None:
    sandbox.faults.cut("POST", r"/messages$", after=after)
    with pytest.raises((aiohttp.ClientError, OSError)):
        await channel.send("cut")
    assert len(sandbox.state()["messages"]) == after


async def test_an_outage_refuses_everything_and_ends(sandbox: Sandbox, bot: Bot, channel: discord.TextChannel) -> None:
    sandbox.faults.begin_outage()
    assert (await error_of(channel.send("lost"))).status == 503
    await sandbox.wait_for(lambda state: not state["ready"])
    sandbox.faults.end_outage()
    await sandbox.wait_for(lambda state: state["ready"], timeout=20)
    assert sandbox.sessions_resumed == 1


@pytest.mark.parametrize(
    ("taken", "code"),
    [(Permission.SEND_MESSAGES, 50013), (Permission.EMBED_LINKS, 50013), (Permission.VIEW_CHANNEL, 50001)],
)
async def test_what_the_bot_may_not_do_is_refused(
    sandbox: Sandbox, channel: discord.TextChannel, taken: Permission, code: int
) -> None:
    sandbox.forbid(taken)
    error = await error_of(channel.send(embed=_embed(1)))
    assert (error.status, error.code) == (403, code)
    sandbox.allow(taken)
    await channel.send(embed=_embed(1))


async def test_what_is_gone_is_unknown(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    card = await channel.send("card")
    sandbox.delete_message(str(card.id))
    assert (await error_of(card.edit(content="still there?"))).code == 10008
    sandbox.delete_channel(sandbox.channel_id)
    assert (await error_of(channel.send("hello?"))).code == 10003


async def test_a_ping_needs_to_be_allowed(sandbox: Sandbox, channel: discord.TextChannel) -> None:
    relayed = f"@everyone <@&{sandbox.operator_role_id}>"
    silent = await channel.send(relayed)
    assert (silent.mention_everyone, silent.role_mentions) == (False, [])
    allowed = discord.AllowedMentions(roles=[discord.Object(int(sandbox.operator_role_id))])
    loud = await channel.send(relayed, allowed_mentions=allowed)
    assert [str(role.id) for role in loud.role_mentions] == [sandbox.operator_role_id]


async def test_a_wrong_bot_token_is_refused(sandbox: Sandbox) -> None:
    redirect_discord(sandbox.port)
    with pytest.raises(discord.LoginFailure):
        await Bot(sandbox.guild_id).login("sandbox.guessed")


async def test_a_restarted_bot_finds_its_messages_and_their_buttons(sandbox: Sandbox) -> None:
    async with connected(sandbox) as first:
        sent = await first.get_partial_messageable(int(sandbox.channel_id)).send("card", view=Confirm(greet))
    assert not sandbox.state()["ready"]
    async with connected(sandbox) as second:
        second.add_view(Confirm(greet))
        assert response_of(await sandbox.click(str(sent.id), "confirm"))["content"] == "hello operator"
    assert sandbox.sessions_begun == 2


async def test_a_restarted_sandbox_restores_the_channel_from_its_store(tmp_path: Path) -> None:
    store = tmp_path / "channel.json"
    async with await Sandbox.start(store=store) as sandbox, connected(sandbox) as bot:
        place = bot.get_channel(int(sandbox.channel_id))
        assert isinstance(place, discord.TextChannel)
        sent = await place.send("card", file=discord.File(io.BytesIO(b"log"), "build log.txt"))
        thread = await sent.create_thread(name="detail")
        await thread.send("in the thread", view=Confirm(greet))
        before = (sandbox.state(), sandbox.guild_id, sandbox.operator_id, sandbox.application_id)
    async with await Sandbox.start(store=store) as sandbox:
        state = sandbox.state()
        assert (state["commands"], state["messages"]) == (before[0]["commands"], before[0]["messages"])
        assert (sandbox.guild_id, sandbox.operator_id, sandbox.application_id) == before[1:4]
        async with connected(sandbox) as bot:
            found = await bot.get_partial_messageable(int(sandbox.channel_id)).fetch_message(sent.id)
            assert await found.attachments[0].read() == b"log"
            assert bot.get_channel(thread.id) is not None


async def test_a_damaged_store_costs_its_messages_only(tmp_path: Path) -> None:
    store = tmp_path / "channel.json"
    store.write_text('{"format": 1, "id"', encoding="utf-8")
    async with await Sandbox.start(store=store) as sandbox:
        assert sandbox.state()["messages"] == []
    assert store.with_name("channel.json.unreadable").is_file()


async def test_a_restarted_sandbox_is_found_at_the_address_that_an_open_tab_has(tmp_path: Path) -> None:
    store = tmp_path / "sandbox" / "channel.json"
    async with await Sandbox.start(store=store) as sandbox:
        before = sandbox.address
    async with await Sandbox.start(store=store) as sandbox:
        assert sandbox.address == before
    if os.name == "posix":
        assert stat.S_IMODE(store.with_name("address.json").stat().st_mode) == 0o600


async def test_a_port_that_somebody_else_took_meanwhile_costs_the_token_too_as_the_tab_has_told_it_there(
    tmp_path: Path,
) -> None:
    store = tmp_path / "channel.json"
    async with await Sandbox.start(store=store) as sandbox:
        before = (sandbox.port, sandbox.page_token)
    async with await Sandbox.start(before[0]), await Sandbox.start(store=store) as sandbox:
        now = (sandbox.port, sandbox.page_token)
        assert now[0] != before[0] and now[1] != before[1]
    async with await Sandbox.start(store=store) as sandbox:
        assert (sandbox.port, sandbox.page_token) == now


async def test_a_token_of_the_settings_is_kept_nowhere(tmp_path: Path) -> None:
    store = tmp_path / "channel.json"
    async with await Sandbox.start(store=store, page_token="chosen") as sandbox:
        port = sandbox.port
    assert json.loads(store.with_name("address.json").read_text(encoding="utf-8")) == {"port": port, "token": ""}


@pytest.mark.parametrize("kept", ["", "[]", '{"port": 8100}', '{"port": "x", "token": "y"}', '{"port": 0, "token": 1}'])
async def test_an_address_that_cannot_be_read_is_made_anew(tmp_path: Path, kept: str) -> None:
    store = tmp_path / "channel.json"
    store.with_name("address.json").write_text(kept, encoding="utf-8")
    async with await Sandbox.start(store=store) as sandbox:
        assert len(sandbox.page_token) == 32
        assert json.loads(store.with_name("address.json").read_text(encoding="utf-8")) == {
            "port": sandbox.port,
            "token": sandbox.page_token,
        }


async def test_rules_hold_for_a_story_by_the_official_specification(sandbox: Sandbox) -> None:
    """A body that breaks the specification is seen, so that the empty lists of the other tests mean something."""
    if load_specification() is None:
        pytest.skip(f"the official specification does not lie at {SPECIFICATION}: nothing to compare with")
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with aiohttp.ClientSession(headers=headers) as session:
        url = f"{sandbox.url}/api/v10/channels/{sandbox.channel_id}/messages"
        async with session.post(url, json={"content": "x", "embeds": [{"title": 7}]}) as answer:
            assert (answer.status, (await answer.json())["code"]) == (400, 50035)
    assert any("title" in violation.fault or "embeds" in violation.fault for violation in sandbox.violations)


def _row(*buttons: dict[str, Any]) -> dict[str, Any]:
    return {"type": 1, "components": list(buttons)}


def _button(custom_id: str | None = "a", label: str = "x") -> dict[str, Any]:
    return {"type": 2, "style": 1, "label": label, "custom_id": custom_id}


@pytest.mark.parametrize(
    ("method", "path", "body", "where"),
    [
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(_button()) for _ in range(6)]}, "components"),
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(*[_button()] * 2)]}, "components.0.components.1"),
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(*[_button()] * 6)]}, "components.0.components"),
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(_button("c" * 101))]}, "components.0.components.0"),
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(_button(None))]}, "components.0.components.0"),
        (
            "POST",
            "/channels/CHANNEL/messages",
            {"components": [_row(_button("a", "l" * 81))]},
            "components.0.components.0",
        ),
        ("POST", "/channels/CHANNEL/messages", {"components": [_row(_button("a", ""))]}, "components.0.components.0"),
        ("POST", "/channels/CHANNEL/messages", {"content": "x", "embeds": [{"title": 7}]}, "embeds.0.title"),
        ("POST", "/channels/CHANNEL/messages", {"content": "x", "embeds": [{"title": "t" * 257}]}, "embeds.0.title"),
        ("POST", "/channels/CHANNEL/messages", {"embeds": [{"footer": {"text": "t" * 2049}}]}, "embeds.0.footer.text"),
        ("POST", "/channels/CHANNEL/messages", {"embeds": [{"title": "t"}] * 11}, "embeds"),
        ("POST", "/channels/CHANNEL/threads", {"name": ""}, "name"),
        ("POST", "/channels/CHANNEL/threads", {"name": "n" * 101}, "name"),
        ("POST", "/channels/CHANNEL/threads", {"name": "n", "auto_archive_duration": 61}, "auto_archive_duration"),
        ("PUT", "/applications/BOT/guilds/GUILD/commands", [{"name": "Status", "description": "d"}], "0.name"),
        ("PUT", "/applications/BOT/guilds/GUILD/commands", [{"name": "status"}], "0.description"),
    ],
)
async def test_a_form_over_a_limit_names_the_field(
    sandbox: Sandbox, method: str, path: str, body: Any, where: str
) -> None:
    names = {"CHANNEL": sandbox.channel_id, "BOT": sandbox.application_id, "GUILD": sandbox.guild_id}
    for name, value in names.items():
        path = path.replace(name, value)
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{sandbox.url}/api/v10{path}", json=body) as answer,
    ):
        refused = await answer.json()
    assert (answer.status, refused["code"]) == (400, 50035)
    node = refused["errors"]
    for step in where.split("."):
        node = node[step]
    assert node


@pytest.mark.parametrize(
    ("method", "path", "code"),
    [
        ("GET", "/channels/1", 10003),
        ("GET", "/channels/CHANNEL/messages/1", 10008),
        ("PATCH", "/channels/CHANNEL/messages/1", 10008),
        ("POST", "/channels/CHANNEL/messages", 50006),
        ("GET", "/guilds/1", 10004),
        ("POST", "/interactions/1/guessed/callback", 10062),
        ("PATCH", "/webhooks/BOT/guessed/messages/@original", 10015),
        ("GET", "/nowhere", 0),
    ],
)
async def test_what_is_not_there_has_its_own_code(sandbox: Sandbox, method: str, path: str, code: int) -> None:
    path = path.replace("CHANNEL", sandbox.channel_id).replace("BOT", sandbox.application_id)
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.request(method, f"{sandbox.url}/api/v10{path}", json={}) as answer,
    ):
        assert answer.status in (400, 404)
        assert (await answer.json())["code"] == code


async def test_nothing_is_answered_without_the_bots_token(sandbox: Sandbox) -> None:
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/api/v10/users/@me") as answer:
        assert answer.status == 401


async def test_what_is_not_json_is_refused(sandbox: Sandbox) -> None:
    url = f"{sandbox.url}/api/v10/channels/{sandbox.channel_id}/messages"
    headers = {"Authorization": f"Bot {sandbox.token}"}
    async with aiohttp.ClientSession(headers=headers) as session, session.post(url, data=b"{") as answer:
        assert (answer.status, (await answer.json())["code"]) == (400, 50109)


@pytest.fixture
async def visitor(sandbox: Sandbox) -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(sandbox.url, headers={"X-Sandbox-Token": sandbox.page_token}) as session:
        yield session


async def test_the_visitors_calls_answer_over_http(
    sandbox: Sandbox, bot: Bot, channel: discord.TextChannel, visitor: aiohttp.ClientSession
) -> None:
    body = {"command": "revert", "options": {"commit": "a1b2c3d"}, "user": "guest"}
    async with visitor.post("/sandbox/slash", json=body) as answer:
        reply = await answer.json()
    assert reply["response"]["content"] == "a1b2c3d 3 guest"
    asked = await channel.send("really?", view=Confirm(greet))
    click = {"message_id": str(asked.id), "custom_id": "confirm", "user": "operator"}
    async with visitor.post("/sandbox/click", json=click) as answer:
        assert (await answer.json())["response"]["content"] == "hello operator"
    await answers_a_dialogue_over_http(channel, visitor)
    async with visitor.get("/sandbox/state") as answer:
        assert await answer.json() == sandbox.state()
    async with visitor.get("/") as answer:
        assert answer.status == 200


async def answers_a_dialogue_over_http(channel: discord.TextChannel, visitor: aiohttp.ClientSession) -> None:
    """In one call, or by whoever can show it."""

    async def open_dialogue(interaction: discord.Interaction) -> None:
        await interaction.response.send_modal(Why(greet))

    asked = await channel.send("why?", view=Confirm(open_dialogue))
    click = {"message_id": str(asked.id), "custom_id": "confirm", "user": "guest"}
    async with visitor.post("/sandbox/click", json=click | {"fields": {"first": "because"}}) as answer:
        assert (await answer.json())["response"]["content"] == "hello guest"
    async with visitor.post("/sandbox/click", json=click | {"dialogue": True}) as answer:
        opened = await answer.json()
    assert (opened["response"], opened["dialogue"]["custom_id"]) == (None, "why")
    sent = {"interaction_id": opened["interaction_id"], "fields": {"first": "because"}, "user": "guest"}
    async with visitor.post("/sandbox/submit", json=sent) as answer:
        assert (await answer.json())["response"]["content"] == "hello guest"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"command": "nothing"}', b'{"command": 7}', b'{"command": "status", "options": []}']
)
async def test_a_call_that_makes_no_sense_is_refused_in_words(visitor: aiohttp.ClientSession, body: bytes) -> None:
    async with visitor.post("/sandbox/slash", data=body) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 401),
        ({"X-Sandbox-Token": "guessed"}, 401),
        ({"X-Sandbox-Token": "RIGHT", "Origin": "http://evil.example"}, 403),
        ({"X-Sandbox-Token": "RIGHT", "Origin": "null"}, 403),
        ({"X-Sandbox-Token": "RIGHT", "Host": "evil.example"}, 403),
        ({"X-Sandbox-Token": "RIGHT", "Host": "127.0.0.1"}, 403),
        ({"X-Sandbox-Token": "RIGHT", "Origin": "OWN"}, 200),
        ({"X-Sandbox-Token": "RIGHT", "Host": "localhost:PORT"}, 200),
    ],
)
async def test_only_the_own_page_with_the_token_comes_in(
    sandbox: Sandbox, headers: dict[str, str], status: int
) -> None:
    said = {"RIGHT": sandbox.page_token, "OWN": sandbox.url}
    sent = {name: said.get(value, value).replace("PORT", str(sandbox.port)) for name, value in headers.items()}
    async with aiohttp.ClientSession() as session, session.get(f"{sandbox.url}/sandbox/state", headers=sent) as answer:
        assert answer.status == status


async def test_nothing_but_this_machine_is_listened_to(sandbox: Sandbox) -> None:
    assert {address[0] for address in sandbox._runner.addresses} == {"127.0.0.1"}


async def test_a_taken_port_is_said_at_the_start(sandbox: Sandbox) -> None:
    with pytest.raises(OSError):
        await Sandbox.start(sandbox.port)


async def test_a_subscription_sees_creation_edit_and_deletion_until_it_ends(
    sandbox: Sandbox, channel: discord.TextChannel
) -> None:
    seen: list[tuple[str, str]] = []
    forget = sandbox.on_message(lambda event: seen.append((event.kind, event.message["content"])))
    message = await channel.send("one")
    await message.edit(content="two")
    await message.delete()
    forget()
    await channel.send("three")
    assert seen == [("create", "one"), ("edit", "two"), ("delete", "two")]


async def test_waiting_for_what_never_comes_ends(sandbox: Sandbox) -> None:
    with pytest.raises(TimeoutError):
        await sandbox.wait_for(lambda state: state["ready"], timeout=0.01)


async def test_the_oldest_messages_are_forgotten(time_machine: MovableClock) -> None:
    async with await Sandbox.start(rules=Rules(kept_messages=2)) as sandbox, connected(sandbox) as bot:
        place = bot.get_partial_messageable(int(sandbox.channel_id))
        for number in range(4):
            await place.send(str(number))
        assert [message["content"] for message in sandbox.state()["messages"]] == ["2", "3"]
