"""What the outbox asks of the pipeline. Blocking."""

from __future__ import annotations

from collections.abc import Sequence

from pipeline import outcomes
from pipeline.card_models import CardView, Post, PostKind
from pipeline.card_views import card_view
from pipeline.read_models import OrderEnd
from pipeline.server_views import find_late
from pipeline.tools import Tools


class Ledger:
    """What the outbox asks of the pipeline: the store's sentences about delivery, and a card as it is now."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        store = tools.store
        self.list_dirty_cards = store.list_dirty_cards
        self.get_card_state = store.get_card_state
        self.card_delivered = store.card_delivered
        self.card_lost = store.card_lost
        self.card_replaced = store.card_replaced
        self.list_pending_posts = store.list_pending_posts
        self.find_due_post = store.find_due_post
        self.post_delivered = store.post_delivered
        self.post_deferred = store.post_deferred
        self.append_audit = store.append_audit
        self.note_order_shown = store.note_order_shown
        self.post_settled = store.post_settled

    def get_card_view(self, card: int) -> CardView:
        return card_view(self._tools, card)

    def list_outdated_orders(self) -> list[OrderEnd]:
        """Orders that are over, or of which it is known by now what came of them, while their answers say less."""
        told = self._tools.store.list_told_orders(self._tools.now() - outcomes.LOOKED_FOR)
        ends = [outcomes.tell_end(self._tools, each) for each in told]
        return [end for end in ends if end.state != end.shown]

    def list_outlived_posts(self) -> list[Post]:
        """News that no longer hold, and whose buttons no longer do what they say."""
        offers = self._tools.store.list_offers()
        outlived = [find_outlived(self._tools, post, offers) for post in offers]
        return [post for post in outlived if post is not None]


def find_outlived(tools: Tools, post: Post, offers: Sequence[Post]) -> Post | None:
    """The post, where it is over: of a start with what came of it. None = it still holds."""
    if post.data.get("what") in outcomes.BEGINNINGS:
        return outcomes.find_told(tools, post)
    return post if is_outlived(tools, post, offers) else None


def is_outlived(tools: Tools, post: Post, offers: Sequence[Post]) -> bool:
    """A pause that was resumed; a push that was made up; a hold that ended, or that another came after; a
    start that got ready after all, or ended."""
    if post.data.get("what") == "push owed":
        return all(branch.owed_since != post.created_at for branch in tools.store.list_owed_branches())
    if post.kind is PostKind.PIPELINE:
        pause = tools.store.get_pause()
        return pause is None or pause.at > post.created_at
    observed = tools.keeper.observed() if tools.keeper.alive() else None
    if any(each.kind is post.kind and each.id > post.id for each in offers):
        return True
    if post.data.get("what") == "not ready":
        return observed is not None and find_late(tools.store, observed) is None
    if observed is None or observed.at <= post.created_at.timestamp():  # the keeper tells first, and then shows
        return False
    return observed.hold is None
