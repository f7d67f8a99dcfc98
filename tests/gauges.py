"""What is measured of a realm that lives: memory, descriptors, threads, sizes, latencies; and what became of it."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from statistics import linear_regression, median

import psutil
from checker import Row, read_journal
from killing import MortalRealm

MIB = 1 << 20


@dataclass
class Gauges:
    """Readings by name, each with its time in hours."""

    realm: MortalRealm
    began: float = field(default_factory=time.monotonic)
    readings: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: defaultdict(list))

    def read(self) -> None:
        """All that can be read now; a process that is being replaced is read the next time."""
        hour = (time.monotonic() - self.began) / 3600
        for name, value in self._list_now():
            self.readings[name].append((hour, value))

    def note(self, name: str, value: float) -> None:
        self.readings[name].append(((time.monotonic() - self.began) / 3600, value))

    def _list_now(self) -> Iterator[tuple[str, float]]:
        for name, pid in (("bot", self.realm.bot_pid), ("keeper", self.realm.observed().get("keeper_pid"))):
            yield from _read_process(name, pid)
        yield from self._list_sizes()

    def _list_sizes(self) -> Iterator[tuple[str, float]]:
        state = self.realm.state
        yield "database MiB", sum(_size(each) for each in state.glob("spirit-healer.sqlite*")) / MIB
        yield "events.jsonl MiB", sum(_size(each) for each in state.glob("events.jsonl*")) / MIB
        for folder in sorted(each for each in state.iterdir() if each.is_dir()):
            yield f"state/{folder.name} MiB", _measure(folder) / MIB
        yield "state files", float(sum(1 for _ in state.rglob("*")))
        yield "state MiB", _measure(state) / MIB
        yield "server folder MiB", _measure(self.realm.server_dir) / MIB
        yield "requests open", float(len(self.realm.list_requests()))

    def list_restarts(self) -> list[float]:
        """Milliseconds from a crash, as the keeper saw it, to the next process: of restarts that were at once."""
        return list(_list_restarts(read_journal(self.realm.state / "events.jsonl")))

    # --- telling -----------------------------------------------------------------------------------------------------

    def write_line(self) -> str:
        """The newest reading of what matters most."""
        names = ("bot USS MiB", "bot descriptors", "bot threads", "keeper USS MiB", "keeper descriptors",
                 "database MiB", "events.jsonl MiB", "state MiB", "status ms")  # fmt: skip
        newest = {name: self.readings[name][-1][1] for name in names if self.readings.get(name)}
        return ", ".join(f"{name} {value:.1f}" for name, value in newest.items())

    def write_table(self) -> Iterator[str]:
        """A line for each gauge. The trend is that of the second half, as the first is warming up."""
        yield f"{'':28}{'first':>9}{'last':>9}{'min':>9}{'median':>9}{'max':>9}{'per hour':>10}"
        for name, readings in self.readings.items():
            values = [value for _, value in readings]
            figures = (values[0], values[-1], min(values), median(values), max(values))
            yield f"{name:28}{''.join(f'{each:9.1f}' for each in figures)}{find_trend(readings):+10.2f}"


def find_trend(readings: list[tuple[float, float]]) -> float:
    """How much it grows in an hour, by the second half of the readings."""
    late = readings[len(readings) // 2 :]
    return linear_regression(*zip(*late, strict=True)).slope if len({hour for hour, _ in late}) > 1 else 0.0


def _read_process(name: str, pid: int | None) -> Iterator[tuple[str, float]]:
    try:
        process = psutil.Process(pid)
        with process.oneshot():
            memory = process.memory_full_info()
            yield f"{name} RSS MiB", memory.rss / MIB
            yield f"{name} USS MiB", memory.uss / MIB
            yield f"{name} descriptors", float(process.num_fds())
            yield f"{name} threads", float(process.num_threads())
            yield f"{name} children", float(len(process.children(recursive=True)))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return


def _list_restarts(journal: Iterable[Row]) -> Iterator[float]:
    died: float | None = None
    for event in journal:
        if event["kind"] == "exited":
            died = event["at"] if event["data"]["verdict"] == "crash" else None
        elif event["kind"] == "spawned" and died is not None:
            if event["at"] - died < 1:  # later ones wait for their back-off
                yield (event["at"] - died) * 1000
            died = None


def _measure(folder: Path) -> int:
    return sum(_size(each) for each in folder.rglob("*"))


def _size(path: Path) -> int:
    """Bytes on the disk; what goes meanwhile has none."""
    try:
        return path.lstat().st_blocks * 512
    except OSError:
        return 0
