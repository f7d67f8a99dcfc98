"""What the sandbox's page is served: its files, the stream that it follows, completion and the panel's buttons."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
from edge_fakes import COMMIT, NAME, NOW, URL, make_card
from edge_world import EdgeWorld, open_world

from bot.sandbox import Panel, PanelButton, PanelGroup, PanelItem, Sandbox, VisitorError
from bot.sandbox.page import FILES
from pipeline.model import RunState
from pipeline.read_models import FixLine

Json = dict[str, Any]


@pytest.fixture
async def world() -> AsyncIterator[EdgeWorld]:
    async with open_world() as made:
        yield made


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


class Reader:
    """Follows the stream as the page does."""

    def __init__(self, response: aiohttp.ClientResponse) -> None:
        self._response = response

    async def read(self) -> Json | None:
        """The next line; None at the end."""
        line = await asyncio.wait_for(self._response.content.readline(), 10)
        return json.loads(line) if line else None

    async def until(self, key: str) -> Any:
        """What the next line that has it says of it."""
        while key not in (line := await self.read() or {key: None}):
            pass
        return line[key]


async def follow(session: aiohttp.ClientSession, sandbox: Sandbox) -> Reader:
    response = await session.get(f"{sandbox.url}/sandbox/stream", headers={"X-Sandbox-Token": sandbox.page_token})
    assert response.status == 200
    return Reader(response)


async def call(session: aiohttp.ClientSession, sandbox: Sandbox, path: str, body: Json) -> tuple[int, Json]:
    headers = {"X-Sandbox-Token": sandbox.page_token}
    async with session.post(f"{sandbox.url}/sandbox/{path}", headers=headers, json=body) as response:
        return response.status, await response.json()


async def test_the_first_line_is_everything_and_the_next_what_changed(
    world: EdgeWorld, session: aiohttp.ClientSession
) -> None:
    world.ledger.show(make_card())
    await world.deliver()
    reader = await follow(session, world.sandbox)
    first = await reader.read()
    assert first is not None
    assert list(first) == ["place", "ready", "commands", "panel", "threads", "messages"]
    assert first["ready"] is True and first["panel"] is None
    assert [thread["name"] for thread in first["threads"]] == [NAME]
    (card,) = first["messages"]
    state = world.sandbox.state()["messages"][0]
    assert {key: card[key] for key in state} == dict(state)
    world.ledger.show(make_card(occurrences=2))
    await world.deliver()
    (changed,) = await reader.until("messages")
    assert changed["id"] == card["id"] and changed["edits"] == 1
    world.sandbox.delete_channel(card["id"])
    world.sandbox.delete_message(card["id"])
    assert await reader.until("gone") == [card["id"], card["id"]]


async def test_an_answer_says_whose_command_it_answers_and_that_it_is_thought_about(
    world: EdgeWorld, session: aiohttp.ClientSession
) -> None:
    reader = await follow(session, world.sandbox)
    await reader.read()
    asked = asyncio.ensure_future(world.slash("status", "guest"))
    (thinking,) = await reader.until("messages")
    assert (thinking["thinking"], thinking["asked_by"], thinking["command"]) == (True, "guest", "status")
    while (await reader.until("messages"))[0]["thinking"]:
        pass
    await asked


async def test_the_end_of_the_sandbox_is_the_end_of_the_stream(session: aiohttp.ClientSession) -> None:
    async with await Sandbox.start() as sandbox:
        reader = await follow(session, sandbox)
        await reader.read()
        await sandbox.stop()
        assert await reader.read() == {"closing": True}
        assert await reader.read() is None


async def test_a_silence_is_broken_by_a_sign_of_life(
    session: aiohttp.ClientSession, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bot.sandbox.stream.HEARTBEAT", 0.01)
    async with await Sandbox.start() as sandbox:
        reader = await follow(session, sandbox)
        await reader.read()
        assert await reader.read() == {}


@pytest.mark.parametrize(("method", "path"), [("GET", "stream"), ("POST", "complete"), ("POST", "press")])
async def test_nothing_is_told_without_the_token(session: aiohttp.ClientSession, method: str, path: str) -> None:
    async with await Sandbox.start() as sandbox:
        for headers in ({}, {"X-Sandbox-Token": "guessed"}):
            async with session.request(method, f"{sandbox.url}/sandbox/{path}", headers=headers) as response:
                assert response.status == 401
        async with session.request(method, f"{sandbox.url}/sandbox/{path}?token={sandbox.page_token}") as response:
            assert response.status == 401, "the header alone counts"


async def test_values_are_completed_by_the_bot(world: EdgeWorld, session: aiohttp.ClientSession) -> None:
    world.desk.fixes = [FixLine(COMMIT, "end managers first", NAME, RunState.SUCCEEDED, NOW, URL, False)]
    status, answer = await call(
        session, world.sandbox, "complete", {"command": "revert", "option": "commit", "value": "a1"}
    )
    assert status == 200 and [choice["value"] for choice in answer["choices"]] == [COMMIT]
    status, answer = await call(session, world.sandbox, "complete", {"command": "revert", "option": "colour"})
    assert (status, answer) == (400, {"error": "/revert has no option 'colour'"})


async def test_only_a_button_that_is_there_is_pressed(session: aiohttp.ClientSession) -> None:
    async def press(button: str) -> str:
        if button == "fail":
            raise VisitorError("It is down.")
        return f"pressed {button}"

    async with await Sandbox.start() as sandbox:
        assert (await call(session, sandbox, "press", {"button": "go"}))[0] == 400
        buttons = (PanelButton("go", "Go"), PanelButton("fail", "Fail"))
        sandbox.show_panel(
            Panel("Panel", "words", (PanelGroup("group", "", (PanelItem("item", "", buttons),)),)), press
        )
        assert await call(session, sandbox, "press", {"button": "go"}) == (200, {"said": "pressed go"})
        assert await call(session, sandbox, "press", {"button": "fail"}) == (400, {"error": "It is down."})
        missing = (400, {"error": "that button is not there any more"})
        assert await call(session, sandbox, "press", {"button": "stop"}) == missing


async def test_the_page_is_a_few_files_that_may_load_nothing_else(session: aiohttp.ClientSession) -> None:
    async with await Sandbox.start() as sandbox:
        names = ["/", *(f"/page/{file.name}" for file in FILES.iterdir())]
        for name in names:
            async with session.get(f"{sandbox.url}{name}") as response:
                assert response.status == 200
                policy = response.headers["Content-Security-Policy"]
                assert "default-src 'none'" in policy and "unsafe" not in policy and "http" not in policy
                text = await response.text()
                addresses = text.replace("http://www.w3.org/2000/svg", "").replace("https?://", "")
                assert "http://" not in addresses and "innerHTML" not in text, name
                assert " on" + "click=" not in text and "style=" not in text.replace("c.style", ""), name
        for name in ("/page/page.py", "/page/..%2Fpage.py", "/page/", "/page/%2Fetc%2Fpasswd"):
            async with session.get(f"{sandbox.url}{name}") as response:
                assert response.status == 404
