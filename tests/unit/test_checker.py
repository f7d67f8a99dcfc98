"""The checker finds what is wrong: for each invariant a history that breaks it, beside one that breaks none."""

import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import checker
import pytest
from checker import INVARIANTS, Commit, History, Look, Message, Push, broken, paused_stays_paused

A, B, C = "a" * 40, "b" * 40, "c" * 40


def event(number: int, kind: str, **data: Any) -> dict[str, Any]:
    return {"keeper": "k1", "number": number, "kind": kind, "at": float(number), "data": data}


def steps(run: str, *states: str, first: int = 1) -> list[dict[str, Any]]:
    return [
        {"id": first + number, "run": run, "at": f"2026-11-20 01:{first + number:02}", "before": before, "after": after}
        for number, (before, after) in enumerate(zip([None, *states], states, strict=False))
    ]


def run(name: str, state: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "kind": "crash", "state": state, "commit": None, "asked_by": None, "deployment": None} | changes


def deployment(name: str, build: str, wished: str, over: str | None) -> dict[str, Any]:
    return {"id": name, "build": build, "wished_at": wished, "over_at": over}


WAY = ("ANALYZING", "READY", "PATCHING", "BUILDING", "PUBLISHING", "AWAITING_DEPLOYMENT", "DEPLOYING", "VERIFYING",
       "SUCCEEDED")  # fmt: skip
JOURNAL = (
    event(1, "spawned", pid=10, build=A),
    event(2, "exited", pid=10, verdict="crash"),
    event(3, "spawned", pid=11, build=A),
    event(4, "exited", pid=11, verdict="asked"),
    event(5, "spawned", pid=12, build=B),
    event(6, "ready", pid=12, build=B),
)
SOUND = History(
    looks=(Look((10,)), Look(()), Look((11,)), Look((12,))),
    journal=JOURNAL,
    tables={
        "runs": [run("r1", "SUCCEEDED", commit=B, deployment="d1")],
        "run_events": steps("r1", *WAY),
        "events": JOURNAL,
        "crashes": [{"keeper": "k1", "number": 2}],
        "builds": [{"build": B, "commit": B, "tree": "t", "state": "built"}],
        "deployments": [deployment("d1", B, "2026-11-20 01:10", "2026-11-20 01:12")],
        "branches": [{"head": B, "owed_since": None}],
        "posts": [{"id": 1}],
        "cards": [{"id": 1}],
        "audit": [{"id": 1, "command": "pause", "at": "2026-11-20 02:00"}],
    },
    pushes=(Push("overnight-20261119", forward=True),),
    commits=(Commit(B, "overnight-20261119", "fix(maps): Look before the leap", "r1"),),
    messages=(Message("c", 1, "Fixed: Map::Update"), Message("p", 1, "Server back after 1 s")),
    observed={"build": B},
    archived=frozenset({B}),
)


def with_rows(table: str, *rows: dict[str, Any]) -> History:
    return replace(SOUND, tables={**SOUND.tables, table: rows})


def with_events(*more: dict[str, Any]) -> History:
    journal = (*JOURNAL, *more)
    return replace(SOUND, journal=journal, tables={**SOUND.tables, "events": journal})


def with_other_steps(run_state: str, *rows: dict[str, Any]) -> History:
    tables = {**SOUND.tables, "run_events": [*steps("r1", *WAY), *rows]}
    tables["runs"] = [*SOUND.tables["runs"], run("r2", run_state)]
    return replace(SOUND, tables=tables)


BROKEN: dict[str, History] = {
    "one_server_at_a_time": replace(SOUND, looks=(Look((10, 11)),)),
    "no_start_over_a_living_server": with_events(event(7, "spawned", pid=13, build=B)),
    "a_server_runs_or_the_hold_is_told": replace(SOUND, alive=False, observed={"hold": None}),
    "what_runs_is_archived": replace(SOUND, archived=frozenset({A})),
    "each_crash_is_counted_once": with_rows("crashes"),
    "each_event_is_taken_once": with_rows("events", *JOURNAL[:-1]),
    "a_run_goes_from_state_to_state": with_other_steps("READY", *steps("r2", "ANALYZING", first=20)),
    "a_run_ends_or_waits": with_other_steps("BUILDING", *steps("r2", "READY", "PATCHING", "BUILDING", first=20)),
    "one_change_and_one_deployment_at_a_time": with_rows(
        "deployments",
        deployment("d1", B, "2026-11-20 01:10", "2026-11-20 01:12"),
        deployment("d2", A, "2026-11-20 01:11", None),
    ),
    "paused_stays_paused": with_other_steps(
        "PATCHING", *({**step, "at": "2026-11-20 03:00"} for step in steps("r2", "READY", "PATCHING", first=20))
    ),
    "nothing_is_called_done_that_was_not_seen": replace(SOUND, journal=JOURNAL[:-1]),
    "pushes_go_forward_on_night_branches_only": replace(SOUND, pushes=(Push("overnight-20261119", forward=False),)),
    "only_what_has_built_is_on_the_remote": with_rows(
        "builds", {"build": B, "commit": B, "tree": "t", "state": "failed"}
    ),
    "each_commit_belongs_to_its_run": replace(
        SOUND, commits=(*SOUND.commits, Commit(A, "overnight-20261119", "fix(maps): Once more", "r1"))
    ),
    "each_message_is_there_once": replace(SOUND, messages=(*SOUND.messages, SOUND.messages[0])),
}


def test_it_knows_nothing_of_what_it_checks() -> None:
    program = "import checker, sys; print({'bot', 'pipeline'} & {each.partition('.')[0] for each in sys.modules})"
    folder = Path(checker.__file__).parent
    done = subprocess.run([sys.executable, "-c", program], cwd=folder, capture_output=True, text=True, timeout=60)
    assert done.stdout == "set()\n", done.stderr


def test_a_night_as_it_should_be_breaks_nothing() -> None:
    assert broken(SOUND) == []


def paused_night(*, build: str = C, pressed: str = "r2", since: str = "pause", outcome: str = "done") -> History:
    """Two fixes go live while paused, r2 built on r3."""
    way = ("AWAITING_DEPLOYMENT", "DEPLOYING")
    late = [{**each, "at": "2026-11-20 03:00"} for each in [*steps("r2", *way, first=20), *steps("r3", *way, first=30)]]
    runs = [run("r2", "DEPLOYING", deployment="d2", commit=C), run("r3", "DEPLOYING", deployment="d2", commit=B)]
    audit = [{"id": 1, "command": since, "arguments": "", "at": "2026-11-20 02:00", "outcome": outcome}]
    audit += [{"id": 2, "command": "deploy", "arguments": pressed, "at": "2026-11-20 02:30"}] if pressed else []
    tables = {"runs": runs, "audit": audit, "run_events": late, "deployments": [deployment("d2", build, "03:00", None)]}
    return History(tables=tables, commits=[commit(B), commit(C, B)])


def commit(name: str, *below: str) -> Commit:
    return Commit(name, "overnight-20261119", "fix: It", "r1", frozenset(below))


@pytest.mark.parametrize(
    ("night", "late"),
    [
        (paused_night(), []),
        (paused_night(pressed=""), ["r2", "r3"]),
        (paused_night(pressed="r1"), ["r2", "r3"]),
        (paused_night(pressed="r3"), ["r2", "r3"]),  # a newer one, which nobody ordered, came with it
        (paused_night(pressed="r3", build=B), ["r2"]),
        (paused_night(pressed="", since="resume"), []),
        (paused_night(pressed="", outcome="impossible: Nothing was changed"), []),
    ],
    ids=["ordered with what its build contains", "by itself", "another was ordered", "a newer build",
         "not in the ordered build", "not paused", "not paused, as that was impossible"],
)  # fmt: skip
def test_while_paused_only_what_was_ordered_goes_live_with_what_its_build_contains(
    night: History, late: list[str]
) -> None:
    assert [*paused_stays_paused(night)] == [f"run {each} went to DEPLOYING while paused" for each in late]


def test_a_rollback_pauses_like_a_person_and_its_own_revert_goes_on() -> None:
    ended = {"id": 1, "run": "r1", "at": "2026-11-20 02:00", "before": "ROLLING_BACK", "after": "ROLLED_BACK"}
    begun = [{**ended, "run": name, "at": "2026-11-20 03:00", "before": "READY", "after": "PATCHING"}
             for name in ("r2", "r3")]  # fmt: skip
    runs = [run("r1", "ROLLED_BACK"), run("r2", "PATCHING", kind="revert"), run("r3", "PATCHING")]
    night = History(tables={"runs": runs, "run_events": [ended, *begun]})
    assert [*paused_stays_paused(night)] == ["run r3 went to PATCHING while paused"]


@pytest.mark.parametrize("invariant", [each.__name__ for each in INVARIANTS])
def test_each_invariant_names_the_history_that_breaks_it(invariant: str) -> None:
    found = broken(BROKEN[invariant])
    assert any(each.startswith(f"{invariant}: ") for each in found), found


@pytest.mark.parametrize(
    ("history", "words"),
    [
        (replace(SOUND, pushes=(Push("main", forward=True),)), "main was pushed"),
        (replace(SOUND, pushes=(Push("overnight-20261119", forward=False, deleted=True),)), "was deleted"),
        (replace(SOUND, alive=False, observed={"hold": "breaker"}), "the channel was not told"),
        (replace(SOUND, messages=SOUND.messages[:1]), "p1 was never delivered"),
        (with_rows("crashes", *[{"keeper": "k1", "number": 2}] * 2), "is counted 2 times"),
        (replace(SOUND, journal=(*JOURNAL, JOURNAL[-1])), "wrote event ('k1', 6) 2 times"),
        (replace(SOUND, commits=()), "is not on the remote"),
    ],
)
def test_the_fault_is_named(history: History, words: str) -> None:
    assert any(words in each for each in broken(history)), broken(history)


@pytest.mark.parametrize(
    "change",
    [
        lambda: replace(SOUND, alive=False, observed={"hold": "breaker"},
                        messages=(*SOUND.messages, Message("", 0, "The server stays down: it is held."))),
        lambda: with_events(event(7, "adopted", pid=12, build=B), event(8, "exited", pid=12, verdict="asked"),
                            event(9, "spawned", pid=13, build=B)),
        lambda: with_rows("branches", {"head": B, "owed_since": "2026-11-20 01:08"}),
    ],
)  # fmt: skip
def test_what_is_in_order_is_not_named(change: Callable[[], History]) -> None:
    assert broken(change()) == []
