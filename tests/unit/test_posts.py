"""What the channel is told of what happens: whole texts, one kind of post after another."""

from __future__ import annotations

from typing import Any

import pytest
from edge_fakes import COMMIT, LINK, NOW, REVERT, URL
from harmless import HOSTILE, assert_harmless

from bot import limits
from bot.payloads import Colour, Embed, Message
from bot.posts import close_news, render_post
from pipeline.card_models import Post, PostKind
from pipeline.model import OURS

ANN = {"hash": "e" * 40, "author": "Ann", "at": "2024-11-20T12:00:00+00:00", "subject": "maps: hurry", "url": None}
BOB = {"hash": COMMIT, "author": "Bob *x*", "at": "2024-11-21T12:00:00+00:00", "subject": "x @everyone", "url": URL}
PLACE = {"function": "Map::Update", "file": "src/Map.cpp", "line": 412}
GOOD = {"hash": "d" * 40, "url": None}
SUSPICIONS: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({}, ()),
    ({"touches": [], "since": None, "changed": None, "near": [], "fixes": None, "similar": [], "known": None}, ()),
    (
        {"touches": [{**PLACE, "commit": ANN, "is_new": True}, {**PLACE, "line": 9, "commit": BOB, "is_new": True},
                     {**PLACE, "line": 7, "commit": ANN, "is_new": True}],
         "since": GOOD, "changed": 1, "near": [ANN]},
        ("**suspect**: `eeeeeee` *maps: hurry* by Ann <t:1732104000:R> touched `Map::Update` line 412",
         f"**suspect**: {LINK.split(' ')[0]} *x @\u200beveryone* by Bob \\*x\\* <t:1732190400:R>"
         " touched `Map::Update` line 9",
         "since the last good build `ddddddd`: 1 commit; these files: `eeeeeee` *maps: hurry*"),
    ),
    (
        {"touches": [{**PLACE, "commit": ANN, "is_new": False}, {**PLACE, "commit": BOB, "is_new": None}],
         "since": GOOD, "changed": 0},
        ("`Map::Update` line 412 was last changed by `eeeeeee` *maps: hurry* by Ann <t:1732104000:R>,"
         " not since the last good build",
         "nothing is new since the last good build `ddddddd`"),
    ),
    (
        {"since": GOOD, "changed": 1, "near": [], "new": [ANN]},
        ("since the last good build `ddddddd`: 1 commit, not in these files: `eeeeeee` *maps: hurry*",),
    ),
    (
        {"since": GOOD, "changed": 2, "new": [{**BOB, "url": None}, ANN]},
        ("since the last good build `ddddddd`: 2 commits, none of them in these files: "
         f"`{COMMIT[:7]}` *x @\u200beveryone*, `eeeeeee` *maps: hurry*",),
    ),
    (
        {"since": GOOD, "changed": 40, "near": [], "new": []},
        ("since the last good build `ddddddd`: 40 commits, none of them in these files",),
    ),
    (
        {"touches": [{**PLACE, "commit": None, "is_new": False}]},
        ("`Map::Update` line 412 has not changed since the last good build",),
    ),
    ({"touches": [{**PLACE, "commit": None}]}, ("`Map::Update` line 412 has not changed for half a year",)),
    ({"fixes": [ANN, BOB, ANN, ANN, ANN]},
     (f"fixes of ours in this build: `eeeeeee`, {LINK.split(' ')[0]}, `eeeeeee` and 2 more",)),
    (
        {"similar": [{"title": "Map::Relocate", "times": 2, "last": ANN["at"], "commit": COMMIT, "url": URL},
                     {"title": "Map::`x", "times": 1, "last": ANN["at"], "commit": None},
                     {"title": "third", "times": 1, "last": ANN["at"], "commit": None}],
         "known": {"name": "the ferry", "cause": "It sank.", "cure": "Set `Ferry = 0`.", "see": "wiki#7"}},
        (f"similar: `Map::Relocate` crashed 2 times, last <t:1732104000:R> · fixed in {LINK.split(' ')[0]}",
         "similar: `Map::ˋx` crashed 1 time, last <t:1732104000:R>",
         "known as *the ferry*: Set `Ferry = 0`. (wiki#7)"),
    ),
    ({"notes": ["it is @here", "b", "c", "d"]}, ("*it is @\u200bhere*", "*b*", "*c*")),
]  # fmt: skip


POSTS: list[tuple[PostKind, dict[str, Any], str, str]] = [
    (
        PostKind.ANALYSIS,
        {
            "analysis": {"summary": "The dispatcher goes first.", "file": "a.cpp", "line": 3, "function": "f"},
            "attempt": 2,
        },
        "Analysis (try 2)",
        "**The dispatcher goes first.**\nat `a.cpp:3` · in `f`",
    ),
    (
        PostKind.PATCH,
        {"diff": "--- a\n+++ b\n-old\n+new\n+more", "commit": COMMIT},
        "The patch",
        "+2 −1\n```diff\n--- a\n+++ b\n-old\n+new\n+more\n```",
    ),
    (
        PostKind.BACKTRACE,
        {
            "category": "abort",
            "frames": [
                {"function": "abort", "file": None, "line": None, "module": "libc.so.6"},
                {"function": "Map::Update", "file": "Map.cpp", "line": 7, "module": None},
            ],
            "crashing_frame": 1,
            "status": -6,
            "core": "/home/wow/server/.spirit-healer/lives/core-1",
            "notes": ["the core is gone"],
            "log": ["last line"],
        },
        "The crash",
        "abort · ended by signal 6 · core `core-1`\n"
        "```\n   0  abort  libc.so.6\n>  1  Map::Update  Map.cpp:7\n```\nthe core is gone",
    ),
    (
        PostKind.BACKTRACE,
        {
            "category": "freeze",
            "hypothesis": "The world thread made no progress; it was last seen in Map::Update at src/Map.cpp:7.",
            "errors": ["ERROR[server] **Ann** hangs"],
            "last_act": "[Bot:Ann] casts `@everyone`",
            "frames": [{"function": "Map::Update", "file": "src/Map.cpp", "line": 7, "module": None}],
        },
        "The crash",
        "**The world thread made no progress; it was last seen in Map::Update at src/Map.cpp:7.** "
        "*(from the report alone)*\nfreeze\n"
        "```\n   0  Map::Update  src/Map.cpp:7\n```\nbefore it: `ERROR[server] **Ann** hangs`\n"
        "last of the bots: `[Bot:Ann] casts ˋ@\u200beveryoneˋ`",
    ),
    *[
        (
            PostKind.BACKTRACE,
            {"category": "abort", "frames": "f", "suspects": given},
            "The crash",
            "\n".join(("abort", *lines, "```\nf\n```")),
        )
        for given, lines in SUSPICIONS
    ],
    (
        PostKind.BUILD_FAILED,
        {
            "diagnostics": ["a.cpp:1: error: x", "e2", "e3", "e4"],
            "log": "/x/build.log",
            "reason": "4 errors",
            "attempt": 1,
        },
        "The fix does not compile",
        "4 errors\n```\na.cpp:1: error: x\ne2\ne3\n```\ntry 1 · 1 more error in the log",
    ),
    (
        PostKind.BUILD_FAILED,
        {"diagnostics": ["a.cpp:1: error: x"], "reason": "a.cpp:1: error: x", "attempt": 2},
        "The fix does not compile",
        "```\na.cpp:1: error: x\n```\ntry 2",
    ),
    (
        PostKind.BACKTRACE,
        {"category": "assertion", "assertion": "HasEffect(i)", "frames": "main", "status": -6},
        "The crash",
        "assertion `HasEffect(i)` · ended by signal 6\n```\nmain\n```",
    ),
    (PostKind.BUILT, {"commit": COMMIT, "url": URL, "branch": "overnight-20241122"}, "Built", LINK),
    (PostKind.BUILT, {"commit": COMMIT, "url": URL, "kind": "revert"}, "Built with the revert", f"[`a1b2c3d`]({URL})"),
    (
        PostKind.BUILT,
        {"commit": REVERT, "kind": "revert", "undoes": [{"commit": COMMIT, "url": URL}], "by": "Ann"},
        "Built with the revert",
        f"`e4f5a6b`\ntakes back [`a1b2c3d`]({URL}) · ordered by Ann",
    ),
    (
        PostKind.BUILT,
        {"commit": REVERT, "kind": "revert", "undoes": [{"commit": COMMIT}], "puts_back": True},
        "Built with it put back",
        "`e4f5a6b`\ntakes back `a1b2c3d`",
    ),
    (PostKind.PATCH, {"diff": "-a\n+b\n", "kind": "revert"}, "The revert", "+1 −1\n```diff\n-a\n+b\n```"),
    (
        PostKind.REFUSED,
        {"reason": "`../x` is outside of the source."},
        "Patch refused",
        "`../x` is outside of the source.\nNothing was written.",
    ),
    (
        PostKind.DEPLOYED,
        {"commit": COMMIT, "url": URL, "down_seconds": 21.0, "revision": "a1b2c3d4e5f6"},
        "Live",
        f"Server up with [`a1b2c3d`]({URL}) · was down for 21 s · the server says `a1b2c3d4e5f6`",
    ),
    (
        PostKind.VERDICT,
        {"verdict": "unhealthy", "detail": "the new server died 12 s after ready in `BotAI::~BotAI`"},
        "Verdict: unhealthy, going back",
        "The new server died 12 s after ready in `BotAI::~BotAI`",
    ),
    (
        PostKind.VERDICT,
        {"verdict": "inconclusive", "detail": "src/Map.cpp was changed"},
        "Verdict: inconclusive",
        "src/Map.cpp was changed",
    ),
    (PostKind.VERDICT, {"verdict": "healthy", "detail": ""}, "Verdict: healthy", "It stayed up through the soak."),
    (
        PostKind.SERVER,
        {"what": "held: breaker", "detail": "5 deaths in 3 min", "by": None},
        "Server held: it died too often",
        "5 deaths in 3 min",
    ),
    (
        PostKind.PIPELINE,
        {"what": "push owed", "detail": "`overnight-20241122` is not on the remote: no route"},
        "A push is owed",
        "`overnight-20241122` is not on the remote: no route\n"
        "It goes there by itself once the remote takes it; what is built goes live meanwhile.",
    ),
    (
        PostKind.SERVER,
        {"what": "swap failed", "detail": "the disk is full", "build": COMMIT, "rolled": "back"},
        "A build could not be put in place",
        "The disk is full\nbuild `a1b2c3d`\n"
        "The build before stays in place, and it is tried again by itself; its card has the cure.",
    ),
    (
        PostKind.SERVER,
        {"what": "swap failed", "detail": "the disk is full", "build": COMMIT, "rolled": "stuck"},
        "A build could not be put in place",
        "The disk is full\nbuild `a1b2c3d`",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "rolled back: `Map::Update`", "by": OURS},
        "Pipeline paused itself",
        "Rolled back: `Map::Update`\n"
        "**A person is needed:** the thread of its card has what to look at, then Resume.\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "rolled back", "by": OURS, "death": {"title": "Loot::Roll", "message": "88"}},
        "Pipeline paused itself",
        "Rolled back\n"
        "**A person is needed:** look at what it died of, then Resume.\n"
        "What it died of: `/crash Loot::Roll`\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "rolled back: `A`: ordered by Ann", "by": OURS, "ordered": True},
        "Pipeline paused by a rollback",
        "Rolled back: `A`: ordered by Ann\n"
        "It was asked for: Resume, when you like.\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.PIPELINE,
        {"what": "paused", "detail": "raid", "by": "Ann"},
        "Pipeline paused",
        "raid\nby Ann\n"
        "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and"
        " what people order, goes through. Nothing else is patched, built or deployed until `/resume`.",
    ),
    (
        PostKind.REJECTED_RESPONSE,
        {"file": "response_x.json", "reason": "nobody asked for this"},
        "A response was refused",
        "`response_x.json`: nobody asked for this\nIt lies in `rejected/`; nothing was changed.",
    ),
    (PostKind.ORDER, {"what": "restarting", "detail": "new map", "by": "Ann"}, "Server restarts", "New map\nby Ann"),
    (
        PostKind.SUMMARY,
        {"night": "2024-11-23", "counts": {"up": 80000.0}},
        "Night of 23 Nov: quiet",
        "Up 100 %, 0 crashes.",
    ),
]


@pytest.mark.parametrize(("kind", "data", "heading", "text"), POSTS, ids=[each[0] for each in POSTS])
def test_a_post_says_what_happened(kind: PostKind, data: dict[str, Any], heading: str, text: str) -> None:
    message = render_post(Post(34, kind, None, data, NOW), "Testrealm")
    assert message.embed is not None
    assert (message.embed.title, message.embed.description) == (heading, text)
    assert message.embed.footer == "Testrealm · #p34"


def test_many_refused_responses_are_one_post_with_the_first_reasons() -> None:
    refused = [{"file": f"response_{name}.json", "reason": "no `patch` in it"} for name in "abc"]
    message = render_post(
        Post(34, PostKind.REJECTED_RESPONSE, None, {"count": 37, "refused": refused}, NOW), "Testrealm"
    )
    assert message.embed is not None
    assert message.embed.title == "37 responses were refused"
    assert message.embed.description == (
        "`response_a.json`: no `patch` in it\n`response_b.json`: no `patch` in it\n"
        "`response_c.json`: no `patch` in it\n"
        "and 34 more\nThey lie in `rejected/`; nothing was changed."
    )


def test_every_kind_of_post_has_a_text_here() -> None:
    assert {kind for kind, *_ in POSTS} == set(PostKind)


@pytest.mark.parametrize("kind", PostKind)
def test_a_post_without_any_data_is_still_a_message(kind: PostKind) -> None:
    message = render_post(Post(1, kind, None, {}, NOW), "Testrealm")
    assert message.embed is not None and message.embed.title


@pytest.mark.parametrize("text", HOSTILE)
@pytest.mark.parametrize("kind", PostKind)
def test_nothing_relayed_is_markup_anywhere_in_a_post(kind: PostKind, text: str) -> None:
    keys = ("prose", "diff", "frames", "notes", "log_text", "reason", "detail", "by", "what", "file", "title", "text")
    data: dict[str, Any] = dict.fromkeys(keys, text) | {"branch": text, "revision": text, "category": text}
    data |= {"commit": text, "diagnostics": [text], "analysis": {"summary": text, "details": text}}
    assert_harmless(render_post(Post(34, kind, None, data, NOW), text))
    taken = {"what": "rolling back", "by": text, "detail": text, "build": text, "build_commit": text}
    change = {"kind": text, "subject": text, "commit": text, "url": URL, "revert": text, "revert_url": URL}
    assert_harmless(render_post(Post(34, PostKind.ORDER, 12, {**taken, "changes": [change]}, NOW), text))


def test_the_role_is_called_once_the_server_is_held_by_the_breaker_and_not_for_a_stop() -> None:
    held = render_post(Post(1, PostKind.SERVER, None, {"what": "held: breaker"}, NOW), "Testrealm")
    stopped = render_post(Post(2, PostKind.SERVER, None, {"what": "held: stopped"}, NOW), "Testrealm")
    assert (held.ping, stopped.ping) == (True, False)
    assert [each.custom_id for each in held.buttons] == ["start:server"]
    foreign = render_post(Post(3, PostKind.SERVER, None, {"what": "held: foreign"}, NOW), "Testrealm")
    assert (foreign.ping, foreign.buttons) == (True, ()), "no order lifts that hold"


def test_news_that_are_over_say_so_and_offer_nothing() -> None:
    held = render_post(
        Post(1, PostKind.SERVER, None, {"what": "held: breaker", "detail": "5 deaths"}, NOW), "Testrealm"
    )
    over = close_news(held)
    assert over.embed is not None
    assert (over.embed.title, over.embed.colour) == ("Over: Server held: it died too often", Colour.GREY)
    assert over.embed.description == "**This is over.** `/status` tells what is now.\n5 deaths"
    assert (over.embed.footer, over.buttons, over.ping) == ("Testrealm · #p1", (), False)
    longest = close_news(Message(embed=Embed("x" * limits.TITLE, "", Colour.RED))).embed
    assert longest is not None and longest.title == f"Over: {'x' * 122}…{'x' * 127}"


def test_the_whole_backtrace_and_the_log_go_along_as_a_file() -> None:
    data = {"frames": "a\nb", "log": ["the last line"]}
    (file,) = render_post(Post(1, PostKind.BACKTRACE, 12, data, NOW), "Testrealm").files
    assert file.name == "backtrace.txt"
    assert file.text == "a\nb\n\n--- the log before the crash ---\nthe last line\n"
