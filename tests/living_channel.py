"""The channel of a living realm, through the sandbox's own three calls: what was said, and what a person does there."""

import json
import re
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_ID = re.compile(r"#([cp])(\d+)$")
_PATIENCE = 15  # seconds: the sandbox waits 8 for an answer
Json = dict[str, Any]


@dataclass(frozen=True)
class Said:
    """One message of the bot."""

    id: str
    thread: str | None
    # None in the channel itself
    content: str
    title: str
    text: str
    # of the embed, fields included
    kind: str
    # "c" for a card, "p" for a post, "" for anything else
    number: int
    # of the card or post; 0 for anything else
    buttons: Mapping[str, str]
    # what stands on it -> its custom_id
    edits: int
    private: bool
    # only one person sees it

    @property
    def words(self) -> str:
        return "\n".join(part for part in (self.content, self.title, self.text) if part)


class Channel:
    """Speaks to one life of the bot; the channel itself outlives it."""

    def __init__(self, url: str, token: str) -> None:
        self._url = url
        self._token = token

    def state(self) -> Json:
        """`GET /sandbox/state`. Raises OSError while nobody listens."""
        return self._call("GET", "/sandbox/state")

    def slash(self, command: str, user: str = "operator", **options: str) -> Said:
        """Types a command; the answer. AssertionError where none came."""
        return self._ask("/sandbox/slash", {"command": command, "options": options, "user": user})

    def press(self, message: Said, label: str, user: str = "operator") -> Said:
        """Presses a button by what stands on it."""
        assert label in message.buttons, f"{message.words!r} has only {list(message.buttons)}"
        body = {"message_id": message.id, "custom_id": message.buttons[label], "user": user}
        return self._ask("/sandbox/click", body)

    def said(self) -> list[Said]:
        """Every message of the bot, oldest first."""
        return [read_message(each) for each in self.state()["messages"]]

    def cards(self) -> list[Said]:
        return [each for each in self.said() if each.kind == "c"]

    def news(self) -> list[Said]:
        """What was posted in the channel itself."""
        return [each for each in self.said() if each.kind == "p" and each.thread is None]

    def thread_of(self, card: Said) -> list[Said]:
        return [each for each in self.said() if each.thread == card.id]

    def _ask(self, path: str, body: Json) -> Said:
        answer = self._call("POST", path, body)["response"]
        assert answer is not None, f"no answer came to {body}"
        return read_message(answer)

    def _call(self, method: str, path: str, body: Json | None = None) -> Json:
        headers = {"X-Sandbox-Token": self._token, "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._url + path, content, headers, method=method)  # noqa: S310 (http, ours)
        with urllib.request.urlopen(request, timeout=_PATIENCE) as reply:  # noqa: S310 (our own http address)
            found: Json = json.load(reply)
        return found


def read_message(plain: Json) -> Said:
    embeds = plain["embeds"]
    footer = next((each["footer"]["text"] for each in embeds if each.get("footer")), "")
    mark = _ID.search(footer)
    return Said(
        id=plain["id"],
        thread=plain["thread"],
        content=plain["content"],
        title="\n".join(each.get("title") or "" for each in embeds),
        text="\n".join(text for each in embeds for text in _list_texts(each)),
        kind=mark[1] if mark else "",
        number=int(mark[2]) if mark else 0,
        buttons={each["label"]: each["custom_id"] for row in plain["components"] for each in row["components"]},
        edits=plain["edits"],
        private=plain["ephemeral_to"] is not None,
    )


def _list_texts(embed: Json) -> list[str]:
    fields = [f"{field['name']}: {field['value']}" for field in embed.get("fields") or []]
    return [embed.get("description") or "", *fields]
