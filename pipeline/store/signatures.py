"""Signatures after a change of the rules: all that is stored is signed anew in one transaction, or nothing is."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from sqlalchemy import Connection, select, update

from pipeline import tables as t
from pipeline.model import OVER, CrashReport, Signature
from pipeline.store.base import Base
from pipeline.store.rows import Codec, Fact
from pipeline.store.writes import card_key, put_fact

BATCH = 200  # reports that are in memory at a time
Move = tuple[Signature, Signature]  # the one a crash has, the one it gets


class Signatures(Base):
    """What the rules made, crash by crash."""

    def list_moves(self, sign: Callable[[CrashReport], CrashReport]) -> Iterator[Move]:
        """Of each stored crash that has a signature; `sign` gives its report the new one."""

        def list_batch(after: int) -> list[Any]:
            with self.begin() as c:
                return _list_batch(c, after)

        for row, _, new in _sign_each(list_batch, self._codec, sign):
            yield _signature(row), new

    def sign_all_again(self, sign: Callable[[CrashReport], CrashReport], in_force: Any) -> list[Move]:
        """Gives every crash its new signature; runs and cards follow theirs; `in_force` becomes the fact of the rules.
        What `list_moves` gives. Messages that were sent stay as they are, and so do crashes on their cards."""
        with self.begin() as c:
            moves = _sign_crashes(c, self._codec, sign)
            _move_runs(c, moves)
            _move_cards(c, moves)
            put_fact(c, Fact.RULES, in_force)
        return [(old, new) for old, news in moves.items() for new in news.elements()]


def _sign_each(
    list_batch: Callable[[int], list[Any]], codec: Codec, sign: Callable[[CrashReport], CrashReport]
) -> Iterator[tuple[Any, CrashReport | None, Signature]]:
    """(row, its report by the new rules, its new signature)."""
    after = 0
    while rows := list_batch(after):
        for row in rows:
            yield row, *_sign(codec, row, sign)
        after = rows[-1].id


def _list_batch(c: Connection, after: int) -> list[Any]:
    query = select(t.crashes).where(t.crashes.c.id > after, t.crashes.c.exact.is_not(None))
    return list(c.execute(query.order_by(t.crashes.c.id).limit(BATCH)).all())


def _signature(row: Any) -> Signature:
    return Signature(row.family, row.exact, row.version)


def _sign(codec: Codec, row: Any, sign: Callable[[CrashReport], CrashReport]) -> tuple[CrashReport | None, Signature]:
    report = None if row.report is None else sign(codec.from_plain(row.report))
    return report, (report and report.signature) or _signature(row)


def _sign_crashes(
    c: Connection, codec: Codec, sign: Callable[[CrashReport], CrashReport]
) -> dict[Signature, Counter[Signature]]:
    """Where the crashes of each signature went."""
    moves: defaultdict[Signature, Counter[Signature]] = defaultdict(Counter)
    for row, report, new in _sign_each(lambda after: _list_batch(c, after), codec, sign):
        moves[_signature(row)][new] += 1
        if report is not None and new != _signature(row):
            values = {**_columns(new), "report": codec.to_plain(report)}
            c.execute(update(t.crashes).where(t.crashes.c.id == row.id).values(**values))
    return dict(moves)


def _columns(signature: Signature) -> dict[str, Any]:
    return {"family": signature.family, "exact": signature.exact, "version": signature.version}


def _list_signed(c: Connection, table: Any, column: str) -> list[Any]:
    """`column` and the signature of each row that has both, by `id` (crashes: oldest first); never the reports."""
    columns = [table.c[name] for name in dict.fromkeys(("id", column, "family", "exact", "version"))]
    query = select(*columns).where(table.c[column].is_not(None), table.c.exact.is_not(None))
    return list(c.execute(query.order_by(table.c.id)).all())


def _move_runs(c: Connection, moves: dict[Signature, Counter[Signature]]) -> None:
    """A run follows the crash that began it, else most of the crashes that had its signature."""
    began: dict[str, Signature] = {}
    for row in _list_signed(c, t.crashes, "run"):
        began.setdefault(row.run, _signature(row))
    for row in _list_signed(c, t.runs, "id"):
        old = _signature(row)
        new = began.get(row.id) or (moves[old].most_common(1)[0][0] if old in moves else None)
        if new is not None and new != old:
            c.execute(update(t.runs).where(t.runs.c.id == row.id).values(**_columns(new)))


def _move_cards(c: Connection, moves: dict[Signature, Counter[Signature]]) -> None:
    """A card is what the channel was told of one night: it stays, and answers to the key of its newest crash. Where
    two would have one key, the next crash goes to the one that is worked on, else to the one that was touched last."""
    keys = {card_key(old): card_key(news.most_common(1)[0][0]) for old, news in moves.items()}
    newest = {row.card: card_key(_signature(row)) for row in _list_signed(c, t.crashes, "card")}
    wanted: defaultdict[tuple[str, Any], list[Any]] = defaultdict(list)
    open_cards = set(c.execute(select(t.runs.c.card).where(t.runs.c.state.not_in(OVER))).scalars())
    rows = c.execute(select(t.cards)).all()
    for row in rows:
        wanted[newest.get(row.id) or keys.get(row.key, row.key), row.night].append(row)
    placed = {}
    for (key, _), same in wanted.items():
        first = max(same, key=lambda row: (row.id in open_cards, row.touched_at, row.id))
        placed.update({row.id: key if row is first else f"{key} #{row.id}" for row in same})
    _write_keys(c, {row.id: placed[row.id] for row in rows if placed[row.id] != row.key})


def _write_keys(c: Connection, keys: dict[int, str]) -> None:
    """By way of a key that nobody has: one may take what another gives up."""
    for card in keys:
        c.execute(update(t.cards).where(t.cards.c.id == card).values(key=f"moving #{card}"))
    for card, key in keys.items():
        c.execute(update(t.cards).where(t.cards.c.id == card).values(key=key))
