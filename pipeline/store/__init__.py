"""Every query, one function a sentence. Synchronous: call it in a thread.

A method is one transaction; none spans an external act. What people are told (a card's `wanted`, `posts`) and
`run_events` are written in the transaction of the change they tell of.
"""

from pipeline.store.branches import Branches
from pipeline.store.builds import Builds
from pipeline.store.crashes import Crashes
from pipeline.store.engine import open_engine
from pipeline.store.events import Events
from pipeline.store.facts import Facts
from pipeline.store.nights import Nights
from pipeline.store.orders import Orders
from pipeline.store.outage import DatabaseAway
from pipeline.store.outbox import Outbox
from pipeline.store.refusals import Refusal, Refusals
from pipeline.store.rows import Branch, Build, Codec, Crash, CrashRow, Deployment, Fact, NewPost, Order, Overtaken
from pipeline.store.runs import Runs
from pipeline.store.signatures import Signatures
from pipeline.store.writes import card_key

__all__ = [
    "Branch", "Build", "Codec", "Crash", "CrashRow", "DatabaseAway", "Deployment", "Fact", "NewPost", "Order",
    "Overtaken", "Refusal", "Store", "card_key", "open_engine",
]  # fmt: skip


class Store(Facts, Events, Crashes, Runs, Branches, Builds, Orders, Outbox, Refusals, Nights, Signatures):
    """The database, as sentences."""
