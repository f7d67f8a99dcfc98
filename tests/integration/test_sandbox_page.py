"""The sandbox's page in a real browser: the channel as Discord would show it, over the real client and edge."""

import asyncio
import re
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from aiohttp import web
from browser import DESKTOP, PHONE, Browser, Screen, open_browser
from edge_fakes import COMMIT, NAME, NOW, URL, make_card, make_run, make_status
from page_world import PageWorld, ask, open_loop, open_page_world

from bot.sandbox import Panel, PanelButton, PanelGroup, PanelItem, Sandbox, VisitorError
from pipeline.card_models import FixLink, PostKind
from pipeline.model import Question, RunState
from pipeline.read_models import FixLine
from pipeline.status_models import StatusView

FIX = FixLink(COMMIT, URL, "overnight-20241122")
DIFF = "--- a/src/A.cpp\n+++ b/src/A.cpp\n@@ -1,2 +1,2 @@\n-old();\n+first();\n same();\n+second();\n+third();\n"


def make_fix() -> FixLine:
    return FixLine(COMMIT, "EventDispatcher: end managers first", NAME, RunState.SUCCEEDED, NOW, URL, False)


@pytest.fixture(scope="module")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    with open_browser(tmp_path_factory.mktemp("profile")) as browser:
        yield browser


@pytest.fixture
def browser(chromium: Browser) -> Iterator[Browser]:
    """On a desktop, in the dark; at the end the console has nothing to complain of."""
    chromium.look_from(DESKTOP)
    chromium.complaints()
    yield chromium
    assert [each for each in chromium.complaints() if "ERR_" not in each] == [], "but that the sandbox is gone by now"
    chromium.driver.get("about:blank")


@pytest.fixture
def world() -> Iterator[PageWorld]:
    with open_page_world() as made:
        yield made


def join(browser: Browser, world: PageWorld) -> None:
    """Opens the page, and waits until it follows the channel."""
    browser.open(world.address)
    browser.wait_for("#link", "live")


def make_picture(width: int, height: int) -> bytes:
    """A PNG of one colour."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + b"\x2e\xcc\x71" * width) * height
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


# --- coming in -------------------------------------------------------------------------------------------------------


def test_the_token_leaves_the_address_bar_and_a_reload_still_comes_in(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    assert browser.driver.current_url == f"{world.sandbox.url}/"
    browser.reload()
    browser.wait_for("#link", "live")
    assert world.sandbox.page_token not in browser.ask("return document.documentElement.outerHTML")


def test_without_its_token_the_page_shows_nothing_of_the_channel(browser: Browser, world: PageWorld) -> None:
    world.post(content="secret words")
    browser.open(f"{world.sandbox.url}/?token=guessed")
    browser.wait_for("#channel", "the address that was printed")
    assert "secret words" not in browser.ask("return document.documentElement.outerHTML")
    assert "401" in " ".join(browser.complaints())


# --- what is shown ---------------------------------------------------------------------------------------------------

LINK = '<a href="{0}" target="_blank" rel="noopener noreferrer nofollow" title="{0}">{1}</a>'
CODE = '<pre class="code" tabindex="0"><code>{}</code></pre>'
MENTION = '<span class="mention">{}</span>'
HEADING = '<p class="heading heading-{0}" role="heading" aria-level="{1}">{2}</p>'
MARKDOWN = {
    "**bold** and *slanted* and _so too_": "<p><strong>bold</strong> and <em>slanted</em> and <em>so too</em></p>",
    "***both*** __under__ ~~struck~~": "<p><strong><em>both</em></strong> <u>under</u> <s>struck</s></p>",
    "`a*b*` and ``a`b``": "<p><code>a*b*</code> and <code>a`b</code></p>",
    r"\*plain\* and \`so too\`": "<p>*plain* and `so too`</p>",
    "snake_case_name 2 * 3 * 4": "<p>snake_case_name 2 * 3 * 4</p>",
    "# One\n## Two\nthree": HEADING.format(1, 3, "One") + HEADING.format(2, 4, "Two") + "<p>three</p>",
    "-# small\nlarge": '<p class="subtext">small</p><p>large</p>',
    "> said\n> so\nanswered": "<blockquote><p>said\nso</p></blockquote><p>answered</p>",
    ">>> all\n\nof it": "<blockquote><p>all\n\nof it</p></blockquote>",
    "- a\n- b\n  - c\n1. d\n2. e": "<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>"
    '<ol start="1"><li>d</li><li>e</li></ol>',
    "- a\n  goes on\n- b\nover": "<ul><li>a\ngoes on</li><li>b</li></ul><p>over</p>",
    "x ```cpp\nint a;\n``` y": f"<p>x </p>{CODE.format('int a;')}<p> y</p>",
    "```diff\n-a\n+b\n```": CODE.format('<span class="diff-removed">-a</span><span class="diff-added">\n+b</span>'),
    "<@{operator}> <@&{role}> <#{channel}> </status:1>": f"<p>{MENTION.format('@operator')} "
    f"{MENTION.format('@operator')} {MENTION.format('#spirit-healer')} {MENTION.format('/status')}</p>",
    "@everyone @here": "<p>@everyone @here</p>",
    "[`a1b2c3d`](https://example.org/c/1)": f"<p>{LINK.format('https://example.org/c/1', '<code>a1b2c3d</code>')}</p>",
    "[https://a.example](https://b.example)": f"<p>[{LINK.format('https://a.example/', 'https://a.example')}]"
    f"({LINK.format('https://b.example/', 'https://b.example')})</p>",
    "||hidden||": '<p><button class="spoiler" type="button" aria-expanded="false">hidden</button></p>',
    "Map::Update": "<p>Map::<wbr>Update</p>",
}


def test_the_markdown_that_discord_has(browser: Browser, world: PageWorld) -> None:
    sandbox = world.sandbox
    ids = {"operator": sandbox.operator_id, "role": sandbox.operator_role_id, "channel": sandbox.channel_id}
    for text in MARKDOWN:
        world.post(content=re.sub(r"\{(\w+)\}", lambda name: ids[name[1]], text))
    join(browser, world)
    browser.until(lambda: len(browser.list_seen(".message")) == len(MARKDOWN), "all messages")
    assert dict(zip(MARKDOWN, browser.html(".content"), strict=True)) == MARKDOWN


def test_a_long_line_of_code_is_read_to_its_end_on_a_phone(browser: Browser, world: PageWorld) -> None:
    browser.look_from(PHONE)
    world.post(embeds=[{"description": f"```\nsrc/{'Deep/' * 30}Map.cpp:54: error: expected ';'\n  54 |     x\n```"}])
    join(browser, world)
    browser.wait_for(".code", "expected ';'\n  54 |     x")
    assert browser.ask("const e = document.querySelector('.code'); return e.scrollWidth <= e.clientWidth")


def test_moments_are_on_the_readers_own_clock_and_tick(browser: Browser, world: PageWorld) -> None:
    world.post(content="<t:0:D> and <t:9999999999999:D>")
    now = int(browser.ask("return Date.now() / 1000"))
    world.post(content=f"since <t:{now}:R>")
    join(browser, world)
    assert browser.texts(".content")[0] == "1 January 1970 and an unknown time"
    first = browser.texts(".content")[1]
    browser.until(lambda: browser.texts(".content")[1] not in (first, "since now"), "the clock to tick")
    assert re.fullmatch(r"since \d+ seconds? ago", browser.texts(".content")[1])


def test_an_embed_has_all_its_parts(browser: Browser, world: PageWorld) -> None:
    fields = [
        {"name": "Players", "value": "14", "inline": True},
        {"name": "Uptime", "value": "**2 h**", "inline": True},
        {"name": "Notes", "value": "wide"},
    ]
    world.post(
        embeds=[{"title": "Fixed: `Map::Update`", "description": "live", "color": 0x2ECC71, "fields": fields,
                 "footer": {"text": "realm · #c1"}, "timestamp": "2026-01-02T03:04:05Z",
                 "image": {"url": "attachment://chart.png"}}],
        files={"chart.png": make_picture(400, 120)},
    )  # fmt: skip
    join(browser, world)
    embed = browser.find(".embed")
    assert browser.ask("return getComputedStyle(arguments[0]).borderLeftColor", embed) == "rgb(46, 204, 113)"
    assert browser.texts(".embed-title, .embed-description, dt, dd") == [
        "Fixed: Map::Update", "live", "Players", "14", "Uptime", "2 h", "Notes", "wide"
    ]  # fmt: skip
    tops = [each.rect["y"] for each in browser.list_seen(".field")]
    assert tops[0] == tops[1] < tops[2], "inline fields stand side by side"
    assert browser.texts(".embed-footer")[0].startswith("realm · #c1 • 2 January 2026")
    chart = "return document.querySelector('.embed-image img')?.naturalWidth"
    browser.until(lambda: browser.ask(chart) == 400, "the chart")
    assert browser.list_seen(".file, .body > .picture") == [], "a picture of the embed is not shown twice"
    browser.open(world.address.replace("127.0.0.1", "localhost"))
    browser.until(lambda: browser.ask(chart) == 400, "the chart by the machine's other name")


def test_a_card_its_thread_and_its_files(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    world.edge.ledger.show(make_card())
    world.edge.ledger.post(PostKind.PATCH, 12, diff=DIFF)
    world.deliver()
    browser.click(".thread-chip", "1 message")
    browser.wait_for("#thread h2", "EventDispatcher::UnsubscribeAll")
    assert browser.texts("#thread .embed-title")[1] == "The patch"
    browser.wait_for(".file", "fix.diff")
    browser.click(".file button", "Show 2 more lines")
    shown = browser.find(".file .code").text
    assert shown == DIFF.strip()
    assert browser.texts(".file .diff-removed, .file .diff-added") == [
        "\n-old();",
        "\n+first();",
        "\n+second();",
        "\n+third();",
    ]
    world.edge.ledger.post(PostKind.BUILT, 12, commit=COMMIT, seconds=3)
    world.deliver()
    browser.wait_for(".thread-chip", "2 messages")
    assert browser.find(".file button").text == "Show less", "what was opened stays open"
    browser.press("ESCAPE")
    browser.wait_gone("#thread")
    assert browser.ask("return document.activeElement.className") == "thread-chip"


def test_what_changes_is_seen_without_asking(browser: Browser, world: PageWorld) -> None:
    world.post(content="stays")
    gone = world.post(content="goes")
    changed = world.post(content="before")
    join(browser, world)
    browser.ask("window.kept = document.querySelector('.message')")
    world.edit(changed, content="after")
    world.call(world.sandbox.delete_message, gone)
    world.post(content="new")
    browser.wait_for(".message", "new")
    assert browser.texts(".content") == ["stays", "after(edited)", "new"]
    assert browser.ask("return window.kept === document.querySelector('.message')"), "what did not change is left alone"


def test_a_connection_that_is_lost_comes_back_by_itself(browser: Browser, tmp_path: Path) -> None:
    def start() -> Sandbox:
        return loop.do(Sandbox.start(store=tmp_path / "channel.json"))

    with open_loop() as loop:
        sandbox = start()
        try:
            loop.do(ask(sandbox, "POST", f"/channels/{sandbox.channel_id}/messages", {"content": "before"}))
            browser.open(sandbox.address)
            browser.wait_for("#link", "the bot is not there")
            loop.do(sandbox.stop())
            browser.wait_for("#link", "connecting again")
            sandbox = start()
            loop.do(ask(sandbox, "POST", f"/channels/{sandbox.channel_id}/messages", {"content": "after"}))
            browser.wait_for("#link", "the bot is not there")
            browser.wait_for(".message", "after")
            assert browser.texts(".content") == ["before", "after"]
        finally:
            loop.do(sandbox.stop())
    assert all("ERR_" in each for each in browser.complaints()), "nothing but that nobody was there"


def test_a_stream_that_is_cut_in_the_midst_of_500_messages_shows_each_of_them_once(
    browser: Browser, world: PageWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.sandbox.rules.message_limit = 1000
    for number in range(500):
        world.post(content=f"message {number}")
    whole, torn = web.StreamResponse.write, list[int]()

    async def tear(response: web.StreamResponse, line: bytes) -> None:
        """The first long line comes half, and then nothing more of that connection."""
        if torn or len(line) < 10_000:
            return await whole(response, line)
        torn.append(len(line))
        await whole(response, line[: len(line) // 2])
        raise ConnectionResetError

    monkeypatch.setattr(web.StreamResponse, "write", tear)
    browser.open(world.address)
    browser.wait_for(".message", "message 499")
    world.post(content="message 500")
    browser.wait_for(".message", "message 500")
    while browser.texts(".content")[0] != "message 0":
        see_earlier(browser)
    assert torn and browser.texts(".content") == [f"message {number}" for number in range(501)]
    assert all("ERR_" in each for each in browser.complaints()), "nothing but that the connection was cut"


def see_earlier(browser: Browser) -> None:
    first = browser.texts(".content")[0]
    browser.ask("document.querySelector('#channel').scrollTop = 0")
    browser.click("button", "Show earlier messages")
    browser.until(lambda: browser.texts(".content")[0] != first, "earlier messages")


def test_more_than_fits_is_shown_when_it_is_wished_for(browser: Browser, world: PageWorld) -> None:
    world.sandbox.rules.message_limit = 1000
    for number in range(130):
        world.post(content=f"message {number}")
    join(browser, world)
    browser.wait_for(".message", "message 129")
    assert browser.texts(".content")[0] == "message 30"
    browser.ask("document.querySelector('#channel').scrollTop = 0")
    world.post(content="below")
    browser.wait_for("#newest", "New messages below")
    browser.click("#newest")
    browser.wait_gone("#newest")
    browser.ask("document.querySelector('#channel').scrollTop = 0")
    browser.click("button", "Show earlier messages")
    browser.until(lambda: browser.texts(".content")[0] == "message 0", "the first message")


# --- what a person does ----------------------------------------------------------------------------------------------


def test_a_command_is_completed_by_the_keyboard_and_its_buttons_work(browser: Browser, world: PageWorld) -> None:
    world.edge.desk.fixes = [make_fix()]
    join(browser, world)
    browser.type("/")
    assert browser.texts(".suggestion b") == [f"/{name}" for name in world.sandbox.state()["commands"]]
    browser.type("rev")
    browser.press("TAB")
    assert browser.find("#line").get_property("value") == "/revert commit:"
    browser.wait_for(".suggestion", "end managers first")
    browser.type("a1b2")
    browser.wait_for('.suggestion[aria-selected="true"]', "end managers first")
    assert browser.texts(".suggestion") == ["a1b2c3d EventDispatcher: end managers first"], "a value is told once"
    browser.press("ENTER")
    assert browser.find("#line").get_property("value") == f"/revert commit:{COMMIT} "
    browser.press("ENTER")
    browser.wait_for(".origin", "operator used /revert")
    browser.click(".row button", "Revert")
    browser.until(lambda: world.edge.desk.orders, "the order")
    assert world.edge.desk.orders == [("revert", "operator", COMMIT)]
    browser.wait_gone(".row button")


def test_options_are_offered_one_after_the_other_and_what_is_missing_is_said(
    browser: Browser, world: PageWorld
) -> None:
    join(browser, world)
    browser.type("/restart")
    browser.press("ENTER")
    assert browser.texts(".suggestion b") == ["delay", "reason"]
    browser.press("ARROW_DOWN")
    browser.press("ENTER")
    browser.type("30s ")
    assert browser.texts(".suggestion b") == ["reason"]
    browser.press("TAB")
    browser.type("a new build\n")
    browser.wait_for(".message", "Restart")
    browser.click(".row .danger")
    browser.until(lambda: world.edge.desk.orders, "the order")
    assert world.edge.desk.orders == [("restart", "operator", "30.0", "a new build")]
    browser.type("/revert commit:\n")
    browser.wait_for("#composer-error", "/revert needs commit.")
    browser.find("#line").clear()
    browser.type("hello\n")
    browser.wait_for("#composer-error", "This channel takes commands; they begin with /.")


def test_a_guest_is_refused_and_only_he_sees_it(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    browser.click(".people span", "guest")
    browser.type("/pause reason:because\n")
    browser.wait_for(".message.ephemeral", "You may read but not order here")
    browser.wait_for(".message.ephemeral .private", "Only you can see this")
    assert world.edge.desk.orders == []
    browser.click(".people span", "operator")
    browser.wait_gone(".message.ephemeral")
    browser.click(".people span", "guest")
    browser.click(".private button", "Dismiss message")
    browser.wait_gone(".message")


def test_an_answer_that_takes_time_is_waited_for(browser: Browser, world: PageWorld) -> None:
    answers = asyncio.Event()

    async def slow() -> StatusView:
        await answers.wait()
        return make_status()

    world.edge.desk.status = slow  # type: ignore[method-assign]  # the pipeline at work
    join(browser, world)
    browser.type("/status\n")
    browser.wait_for(".message", "Spirit Healer is thinking…")
    world.call(answers.set)
    browser.wait_for(".embed-title", "Testrealm: server up")
    browser.wait_gone(".thinking")


def test_the_card_is_used_by_its_buttons(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    world.edge.ledger.show(make_card(run=make_run(RunState.SUCCEEDED, commit=COMMIT), fix=FIX))
    world.deliver()
    browser.click(".row button", "Revert")
    browser.wait_for(".message", "Revert a1b2c3d EventDispatcher: end managers first?")
    assert browser.texts(".origin") == ["operator pressed Revert"], "what it stood on may say something else by now"


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_reject_asks_why_in_a_dialogue_that_a_thumb_and_a_keyboard_can_use(
    browser: Browser, world: PageWorld, dark: bool, tmp_path: Path
) -> None:
    browser.look_from(PHONE, dark=dark)
    join(browser, world)
    world.edge.ledger.show(make_card(run=make_run(RunState.AWAITING_APPROVAL, question=Question.PATCH), fix=FIX))
    world.deliver()
    browser.click(".row button", "Reject")
    browser.wait_for("dialog h2", f"Reject: {NAME}")
    assert browser.overflow() == [] and browser.ask(CONTRAST) == []
    browser.photograph(tmp_path / "dialogue.png")
    browser.press("not what I")
    browser.press("ESCAPE")
    browser.wait_gone("dialog")
    assert browser.ask("return document.activeElement.textContent") == "Reject"
    assert world.edge.desk.orders == []
    browser.press("ENTER")
    browser.wait_for("dialog h2", f"Reject: {NAME}")
    browser.press("the wrong lock")
    browser.click("dialog button", "Submit")
    browser.wait_gone("dialog")
    browser.wait_for("#channel .message", "rejected by operator: the wrong lock")
    assert world.edge.desk.orders == [("reject", "operator", "9f3c21aa", "the wrong lock")]
    assert browser.texts(".origin") == ["operator pressed Reject"]


def test_a_dialogue_that_nobody_answers_stays_open_with_what_was_typed(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    world.edge.ledger.show(make_card(run=make_run(RunState.AWAITING_APPROVAL, question=Question.PATCH), fix=FIX))
    world.deliver()
    browser.click(".row button", "Reject")
    browser.wait_for("dialog h2", f"Reject: {NAME}")
    world.sandbox.rules.patience = 0.05
    world.do(world.edge.log_out())
    browser.press("the wrong lock")
    browser.click("dialog button", "Submit")
    browser.wait_for("dialog .composer-error", "The bot did not answer in time")
    assert browser.ask("return document.querySelector('dialog textarea').value") == "the wrong lock"


def test_how_long_ago_is_rounded_as_discord_rounds_it(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    script = "return import('/page/times.js').then((it) => arguments[0].map((each) => it.showTime(each, 'R', 0)))"
    ages = [0, 1, 59, 60, 89, 118, 119 * 60, -59, -118, -3590, -86_000, -40 * 86_400, 364 * 86_400]
    assert browser.ask(script, ages) == [
        "now", "in 1 second", "in 59 seconds", "in 1 minute", "in 1 minute", "in 2 minutes", "in 2 hours",
        "59 seconds ago", "2 minutes ago", "1 hour ago", "1 day ago", "1 month ago", "in 1 year",
    ]  # fmt: skip


def test_what_a_message_is_about_has_its_times_as_people_read_them(browser: Browser, world: PageWorld) -> None:
    join(browser, world)
    script = "return import('/page/channel.js').then((it) => it.headline({ content: arguments[0], embeds: [] }))"
    said = browser.ask(script, "The checkout, committed <t:86400:R>; `git pull` brings\nwhat is newer")
    assert said.startswith("The checkout, committed ") and said.endswith(" years ago; git pull brings")


def test_the_panel_is_whatever_its_owner_put_there(browser: Browser, world: PageWorld) -> None:
    def build(*labels: str) -> Panel:
        buttons = tuple(PanelButton(f"do {label}", label) for label in labels)
        return Panel(
            "Sample realm", "What you see.", (PanelGroup("Crash it", "", (PanelItem("aura", "a bug", buttons),)),)
        )

    async def press(button: str) -> str:
        if button == "do fail":
            raise VisitorError("The realm does not answer.")
        world.sandbox.show_panel(build("crash", "fail", "fix"), press)
        return f"You pressed {button}."

    join(browser, world)
    assert browser.list_seen("#panel, #panel-toggle") == []
    world.call(world.sandbox.show_panel, build("crash", "fail"), press)
    browser.click("#panel button", "crash")
    browser.wait_for(".panel-said", "You pressed do crash.")
    browser.wait_for("#panel button", "fix")
    browser.click("#panel button", "fail")
    browser.wait_for(".panel-said.refused", "The realm does not answer.")
    assert any("400" in each for each in browser.complaints())
    browser.look_from(PHONE)
    browser.wait_gone("#panel")
    browser.wait_for("#channel .welcome", "What you see.")
    assert browser.overflow() == [] and browser.ask(CONTRAST) == []
    browser.click("#channel .welcome button", "Try it")
    browser.wait_for("#panel", "Crash it")
    browser.click("#panel .close")
    browser.wait_gone("#panel")


# --- nothing that is relayed becomes markup --------------------------------------------------------------------------

HOSTILE = (
    "<script>window.hacked = 1</script>",
    "<img src=x onerror=window.hacked=1>",
    "</div></article><svg onload=window.hacked=1><iframe srcdoc='<script>parent.hacked=1</script>'>",
    "[click](javascript:window.hacked=1) [data](data:text/html,<script>1</script>)",
    "[x](https://example.org/\"onmouseover=window.hacked=1//)",
    "<https://example.org/'><script>window.hacked=1</script>>",
    "```html\n<script>window.hacked=1</script>\n```",
    "`<b onclick=window.hacked=1>`",
    "<t:99999999999999999999:R> <@1> <@&1> <#1> </x:1> <t:1:Z>",
    "${window.hacked=1} {{constructor.constructor('window.hacked=1')()}}",
    "__proto__ constructor toString <@__proto__>",
    "*" * 400 + "_" * 300 + "[" * 300,
    "> " * 60 + "deep",
    "\u202egnp.exe\u2066 \u200b",
)  # fmt: skip
MADE_OF_TEXT = "script, iframe, svg, object, embed, style, link, base, form, [onerror], [onload], [onclick], [srcdoc]"


def test_hostile_texts_are_shown_and_do_nothing(browser: Browser, world: PageWorld) -> None:
    for text in HOSTILE:
        short = text[:80]
        button = {"type": 2, "style": 2, "label": short, "custom_id": f"x{hash(text)}"}
        message = world.post(
            content=text,
            embeds=[{"title": short, "description": text, "footer": {"text": text}, "author": {"name": short},
                     "fields": [{"name": short, "value": text}]}],
            components=[{"type": 1, "components": [button]}],
            files={"<img src=x onerror=window.hacked=1>.txt": text.encode(), "page.html": text.encode()},
        )  # fmt: skip
        world.open_thread(message, short)
    item = PanelItem(HOSTILE[0], HOSTILE[1], (PanelButton(HOSTILE[2], HOSTILE[1], HOSTILE[1], "danger"),))
    panel = Panel(HOSTILE[0], HOSTILE[1], (PanelGroup(HOSTILE[0], HOSTILE[1], (item,)),))
    world.call(world.sandbox.show_panel, panel, world.edge.pause)
    join(browser, world)
    browser.until(lambda: len(browser.list_seen(".message")) == len(HOSTILE), "all messages")
    browser.wait_for(".file", "window.hacked")
    for chip in browser.list_seen(".thread-chip"):
        chip.click()
        browser.wait_for("#thread h2")
    assert browser.ask("return window.hacked") is None
    assert browser.ask("return document.body.querySelectorAll(arguments[0]).length", MADE_OF_TEXT) == 1, (
        "the command line"
    )
    schemes = browser.ask("return [...new Set([...document.querySelectorAll('a')].map(a => a.protocol))]")
    assert set(schemes) <= {"http:", "https:"}
    said = browser.texts(".content")
    assert said[0] == HOSTILE[0] and said[1] == HOSTILE[1], "every letter is there to be read"
    assert browser.texts("#panel-title") == [HOSTILE[0]]


def test_the_browser_itself_refuses_to_make_markup_or_to_run_what_is_not_ours(
    browser: Browser, world: PageWorld
) -> None:
    join(browser, world)
    for sink in ("document.body.innerHTML = '<b>x</b>'", "document.write('x')",
                 "document.body.append(Object.assign(document.createElement('script'), {text: '1'}))",
                 "document.body.insertAdjacentHTML('beforeend', '<b>x</b>')"):  # fmt: skip
        refused = browser.ask(f"try {{ {sink}; return 'done' }} catch (error) {{ return error.name }}")
        assert refused == "TypeError", sink
    browser.ask(
        "const s = document.createElement('div'); s.setAttribute('style', 'color: red'); document.body.append(s)"
    )
    assert len(browser.complaints()) >= 5


# --- every width, both themes, every reader --------------------------------------------------------------------------


def fill(world: PageWorld) -> None:
    """One of everything, with words that are too long for a phone."""
    long = "AReallyLongNameOfAFunctionThatGoesOnAndOn::AndOn::" * 4
    world.edge.ledger.show(make_card(title=long, run=make_run(RunState.SUCCEEDED, commit=COMMIT), fix=FIX))
    world.edge.ledger.post(PostKind.PATCH, 12, diff=DIFF + "+" + "x" * 300)
    world.edge.ledger.post(PostKind.SERVER, None, what="held: breaker", detail=f"Always `{long}`")
    world.deliver()
    fields = [{"name": name, "value": long, "inline": True} for name in ("One", "Two", "Three")]
    buttons = [
        {"type": 2, "style": style, "label": f"Button {style} of a row", "custom_id": f"b{style}"}
        for style in (1, 2, 3, 4)
    ]
    world.post(
        content=f"{long} `{long}` https://example.org/{long}\n```\n{long}\n```\n# {long}\n> {long}\n- {long}",
        embeds=[{"title": long[:250], "description": f"[{long}](https://example.org) <t:0:F>", "fields": fields,
                 "image": {"url": "attachment://wide.png"}}],
        components=[{"type": 1, "components": buttons}],
        files={"wide.png": make_picture(2000, 40), f"{long[:60]}.log": (long + "\n").encode() * 20},
    )  # fmt: skip
    world.do(world.edge.slash("pause", "guest", reason="x"))
    world.do(world.edge.slash("status"))
    items = tuple(PanelItem(name, long, (PanelButton(name, "Crash", "", "danger"),)) for name in ("aura", "late"))
    world.call(
        world.sandbox.show_panel, Panel("Sample realm", long, (PanelGroup("Crash", long, items),)), world.edge.pause
    )


@pytest.mark.parametrize(
    "screen", [PHONE, Screen(320, 640, phone=True), Screen(768, 1024, phone=True), DESKTOP], ids=str
)
def test_nothing_is_wider_than_its_place(browser: Browser, world: PageWorld, screen: Screen, tmp_path: Path) -> None:
    fill(world)
    browser.look_from(screen)
    join(browser, world)
    browser.wait_for(".embed-title", "Testrealm: server up")
    assert "\n".join(browser.overflow()) == ""
    browser.photograph(tmp_path / "channel.png")
    browser.click(".thread-chip")
    browser.wait_for("#thread .file")
    assert "\n".join(browser.overflow()) == ""
    browser.photograph(tmp_path / "thread.png")
    browser.click("#thread-close")
    if browser.list_seen("#panel-toggle"):
        browser.click("#panel-toggle")
        browser.wait_for("#panel", "Crash")
        assert "\n".join(browser.overflow()) == ""
        browser.click("#panel .close")
    browser.click("#line")
    browser.type("/")
    browser.click(".suggestion", "/status")
    browser.click("#send")
    browser.until(lambda: len(browser.list_seen(".origin", "used /status")) == 2, "the answer")
    assert "\n".join(browser.overflow()) == ""


CONTRAST = """
const canvas = new OffscreenCanvas(1, 1).getContext("2d", { willReadFrequently: true });
const rgb = (colours) => {
  canvas.clearRect(0, 0, 1, 1);
  for (const colour of colours) { canvas.fillStyle = colour; canvas.fillRect(0, 0, 1, 1); }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const light = (colour) => colour.map(c => c / 255).map(c => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const poor = [];
const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (walker.nextNode()) {
  const element = walker.currentNode.parentElement;
  if (!walker.currentNode.data.trim() || !element.checkVisibility({ visibilityProperty: true })) continue;
  if (element.closest(":disabled, .unseen, .spoiler, .avatar, noscript")) continue;
  const behind = [];
  for (let e = element; e; e = e.parentElement) behind.unshift(getComputedStyle(e).backgroundColor);
  const back = light(rgb(behind)), front = light(rgb([...behind, getComputedStyle(element).color]));
  const ratio = (Math.max(back, front) + 0.05) / (Math.min(back, front) + 0.05);
  const what = `${element.tagName}.${element.className}: ${element.textContent.slice(0, 40)}`;
  if (ratio < 4.5) poor.push(`${ratio.toFixed(2)} ${what}`);
}
return poor;
"""


USED = ("button", "link", "textbox", "combobox", "radio", "listbox", "option", "image", "region", "article")


@pytest.mark.parametrize("dark", [True, False], ids=["dark", "light"])
def test_every_text_stands_out_and_everything_has_a_name(browser: Browser, world: PageWorld, dark: bool) -> None:
    fill(world)
    browser.look_from(DESKTOP, dark=dark)
    join(browser, world)
    browser.click(".thread-chip")
    browser.wait_for("#thread .file")
    browser.click("#line")
    browser.type("/")
    browser.wait_for(".suggestion")
    assert browser.ask(CONTRAST) == []
    nodes = browser.driver.execute_cdp_cmd("Accessibility.getFullAXTree", {})["nodes"]
    used = [node for node in nodes if not node["ignored"] and node["role"]["value"] in USED]
    assert len(used) > 20
    assert [node["role"]["value"] for node in used if not node.get("name", {}).get("value")] == []
