"""Texts that somebody would like to smuggle in, and what no message may make of them."""

import re

from bot.payloads import Message

HOSTILE = [
    "@everyone look",
    "@here",
    "<@123456789012345678>",
    "<@&123456789012345678>",
    "<#123456789012345678>",
    "</status:1>",
    "<t:0:R>",
    "<:name:1> <a:name:1>",
    "[click](https://evil.example/x)",
    "https://evil.example/x",
    "`` ``` ` code",
    "```\nbreak out\n```",
    "**bold** __under__ ~~gone~~ ||hidden||",
    "# heading\n> quote\n- list\n1. one\n-# small",
    "\u202etxet desrever",
    "a\x00b\x1b[31m",
    "\ud800 half a pair",
]


def assert_harmless(message: Message) -> None:
    """No mention anywhere; no tag and no link of theirs outside of code; no backtick without its partner."""
    for text in texts_of(message):
        for sign in ("@everyone", "@here", "\x00", "\x1b", "\u202e"):
            assert sign not in text, (sign, text)
        bare = re.sub(r"```.*?```|`[^`]*`", "", text.replace("\\`", ""), flags=re.DOTALL)
        for sign in ("`", "<@", "<#", "</", "<:", "<a:", "<t:0", "://evil", "](https://evil"):
            assert sign not in bare, (sign, text)
        text.encode("utf-8")


def texts_of(message: Message) -> list[str]:
    embed = message.embed
    if embed is None:
        return [message.content]
    return [message.content, embed.title, embed.description, embed.footer, *(each.value for each in embed.fields)]
