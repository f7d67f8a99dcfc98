"""Keeper or server under SIGSTOP, or a keeper that works for another bot: told once, and told again when it is over."""

from __future__ import annotations

from pipeline.card_models import PostKind
from pipeline.ports import Halted
from pipeline.store import NewPost
from pipeline.tools import Tools

HALTED = "halted"  # `what` of the posts that tell of it, with who it is
GOES_ON = "goes on"  # and of those that it is over


def tell_halts(tools: Tools) -> bool:
    """Whether something was told. What was told last is known by the posts."""
    if not tools.keeper.alive():
        return False  # that nobody looks after the server is told by whoever starts the next keeper
    halt = tools.keeper.find_halt()
    with tools.store.together():
        news = [post for who in Halted for post in _tell(tools, who, halt.detail if halt and halt.who is who else None)]
        if news:
            tools.store.add_posts(news, tools.now())
    return bool(news)


def _tell(tools: Tools, who: Halted, detail: str | None) -> list[NewPost]:
    halted, goes_on = f"{HALTED}: {who}", f"{GOES_ON}: {who}"
    told = tools.store.list_told(halted, after=goes_on)
    if detail is not None and detail not in [data.get("detail") for _, data in told]:
        return [NewPost(PostKind.SERVER, {"what": halted, "detail": detail}, to_channel=True)]
    if detail is None and told:
        seconds = max((tools.now() - told[0][0]).total_seconds(), 0.0)
        return [NewPost(PostKind.SERVER, {"what": goes_on, "seconds": seconds}, to_channel=True)]
    return []
