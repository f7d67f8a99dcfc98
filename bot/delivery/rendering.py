"""The messages of what the ledger has, without secrets."""

from __future__ import annotations

from dataclasses import dataclass

from bot.cards import Home, render_card, thread_name
from bot.messages import order_over
from bot.payloads import Message
from bot.posts import render_over, render_post
from bot.redaction import Redact, cleaned
from pipeline.card_models import CardState, CardView, Post
from pipeline.read_models import OrderEnd


@dataclass(frozen=True)
class Renderer:
    """Called in a thread for cards and posts: a run carries its whole patch, and redacting that takes a moment."""

    redact: Redact
    realm: str
    home: Home

    def card(self, view: CardView) -> Message:
        return render_card(cleaned(view, self.redact), self.home)

    def thread_name(self, state: CardState) -> str:
        return thread_name(self.redact(state.thread_title))

    def post(self, post: Post) -> Message:
        return render_post(cleaned(post, self.redact), self.realm, self.home)

    def post_over(self, post: Post) -> Message:
        return render_over(cleaned(post, self.redact), self.realm, self.home)

    def order_over(self, end: OrderEnd) -> Message:
        return order_over(cleaned(end, self.redact))
