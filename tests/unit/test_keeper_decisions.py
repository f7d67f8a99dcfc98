"""The keeper's decisions, without a process: every rule of KEEPER.md that can be said as a function of values."""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.keeper import decision, satisfaction
from pipeline.keeper.decision import Situation, decide
from pipeline.keeper.ladder import StopView, climb
from pipeline.keeper.limits import Counts, back_off, count_crash, is_good_life, is_tripped
from pipeline.keeper.memory import Held, Life, Refused, Rung, Stopping, StopWhy
from pipeline.keeper.protocol import (
    BuildFile,
    Desired,
    ExitVerdict,
    Hold,
    Manifest,
    ReadyRule,
    RestartLimits,
    Want,
)
from pipeline.keeper.satisfaction import Staged
from pipeline.keeper.verdict import Circumstances, Down, End, FallBack, Restart, judge, weigh

LIMITS = RestartLimits()
NOW = 1_000_000.0
FILES = (BuildFile("worldserver", "worldserver", "0" * 64),)
OLD, NEW, NEXT = Manifest("old", FILES), Manifest("new", FILES), Manifest("next", FILES)
WISH = Desired(
    generation=7, want=Want.UP, by="uwe", reason="because", server_dir="/realm", command=("./worldserver",), build=OLD
)
LIFE = Life("id", NOW - 100, "boot", 7, build="old", spec=satisfaction.digest_spec(WISH), pid=42, ready_at=NOW - 90)
SITUATION = Situation(now=NOW, boot="boot", wish=WISH, life=LIFE, placed="old")


def look(**changes: object) -> decision.Action:
    return decide(replace(SITUATION, **changes))  # type: ignore[arg-type]  # each field by its name


def wish(**changes: object) -> Desired:
    return replace(WISH, **{"generation": 8, **changes})  # type: ignore[arg-type]  # each field by its name


def held(why: Hold, *, boot: str = "boot") -> Held:
    return Held(why, "", boot, generation=7, build="old")


# --- what a living server is left alone for, and what ends it


def test_a_server_that_fits_the_wish_is_left_alone() -> None:
    assert look() == decision.Watch()


@pytest.mark.parametrize(
    "change",
    [
        {"limits": RestartLimits(base=9.0)},
        {"ready": ReadyRule(timeout=5.0)},
        {"stop_timeout": 3.0},
        {"keep_cores": 9},
        {"withhold": ("DISCORD_TOKEN",)},
        {"fallback": NEW},
        {"reason": "another", "by": "another"},
    ],
    ids=lambda change: ",".join(change),
)
def test_a_larger_generation_that_changes_nothing_of_the_start_does_not_restart(change: dict[str, object]) -> None:
    assert look(wish=wish(**change)) == decision.Watch()


def test_a_next_build_is_staged_and_does_not_restart() -> None:
    asked = wish(next_build=NEXT, next_deployment="d2")
    assert look(wish=asked) == decision.Stage(NEXT)
    for how in Staged:
        assert look(wish=asked, staged={"next": how}) == decision.Watch()


def test_a_life_that_began_with_the_next_build_satisfies_the_wish_that_named_it() -> None:
    asked = wish(next_build=NEXT, next_deployment="d2")
    assert look(wish=asked, life=replace(LIFE, build="next"), staged={"next": Staged.READY}) == decision.Watch()


@pytest.mark.parametrize(
    "change", [{"command": ("./other",)}, {"environment": {"A": "1"}}, {"restart": 1}], ids=lambda each: "".join(each)
)
def test_what_the_start_depends_on_restarts_a_living_server(change: dict[str, object]) -> None:
    action = look(wish=wish(**change))
    assert isinstance(action, decision.Stop)
    assert action.why is StopWhy.WISH


def test_another_build_is_staged_before_the_server_is_stopped() -> None:
    asked = wish(build=NEW)
    assert look(wish=asked) == decision.Stage(NEW)
    assert look(wish=asked, staged={"new": Staged.PENDING}) == decision.Watch()
    assert isinstance(look(wish=asked, staged={"new": Staged.READY}), decision.Stop)


def test_a_build_that_cannot_be_staged_leaves_the_server_running() -> None:
    assert look(wish=wish(build=NEW), staged={"new": Staged.FAILED}) == decision.Watch()


def test_a_restart_that_is_asked_for_is_done_even_if_the_build_cannot_be_had() -> None:
    assert isinstance(look(wish=wish(build=NEW, restart=1), staged={"new": Staged.FAILED}), decision.Stop)


def test_a_server_found_running_is_named_without_a_restart_when_its_files_are_the_build() -> None:
    unknown = replace(LIFE, build=None)
    assert look(life=unknown, placed=None, staged={"old": Staged.IN_PLACE}) == decision.Relabel(OLD, None)
    assert isinstance(look(life=unknown, placed=None, staged={"old": Staged.READY}), decision.Stop)


def test_no_build_in_the_wish_means_whatever_lies_there() -> None:
    assert look(wish=wish(build=None), life=replace(LIFE, build="anything")) == decision.Watch()


def test_an_adopted_server_whose_settings_nobody_knows_is_not_restarted_for_them() -> None:
    assert look(life=replace(LIFE, spec=None), wish=wish(command=("./other",))) == decision.Watch()


def test_a_wish_to_stop_stops() -> None:
    action = look(wish=wish(want=Want.STOPPED))
    assert action == decision.Stop(StopWhy.WISH, "stopped by uwe: because")


def test_a_stop_under_way_is_only_watched_whatever_is_wished() -> None:
    stopping = replace(LIFE, stopping=Stopping(StopWhy.WISH, "x"))
    for asked in (WISH, wish(build=NEW), wish(want=Want.STOPPED), None):
        assert look(life=stopping, wish=asked) == decision.Watch()


def test_on_probation_the_fallback_is_staged_ahead() -> None:
    asked = wish(build=NEW, probation="d1", fallback=OLD)
    assert look(wish=asked, life=replace(LIFE, build="new"), placed="new") == decision.Stage(OLD)


# --- the keeper's own end


def test_a_signal_stops_the_server_and_then_ends_the_keeper() -> None:
    assert look(leaving="SIGTERM") == decision.Stop(StopWhy.LEAVING, "keeper stopped by SIGTERM")
    assert look(leaving="SIGTERM", life=replace(LIFE, stopping=Stopping(StopWhy.LEAVING, ""))) == decision.Watch()
    assert look(leaving="SIGTERM", life=None) == decision.Leave()


def test_without_a_wish_nothing_is_started_and_nothing_is_ended() -> None:
    assert look(wish=None, life=None) == decision.Rest()
    assert look(wish=None) == decision.Watch()


# --- starting


def test_a_dead_server_is_started() -> None:
    assert look(life=None) == decision.Start()


def test_a_back_off_is_waited_for() -> None:
    assert look(life=None, next_start=NOW + 5) == decision.Rest(NOW + 5)
    assert look(life=None, next_start=NOW) == decision.Start()


def test_the_wished_build_is_in_place_before_the_start() -> None:
    asked = wish(build=NEW, probation="d1")
    assert look(life=None, wish=asked) == decision.Stage(NEW)
    assert look(life=None, wish=asked, staged={"new": Staged.PENDING}) == decision.Prepare()
    assert look(life=None, wish=asked, staged={"new": Staged.READY}) == decision.Swap(NEW, "d1")
    assert look(life=None, wish=asked, placed="new") == decision.Start()


def test_a_build_that_cannot_be_staged_does_not_keep_the_server_down() -> None:
    assert look(life=None, wish=wish(build=NEW), staged={"new": Staged.FAILED}) == decision.Start()


def test_the_next_build_goes_in_at_any_start_but_is_not_waited_for() -> None:
    asked = wish(next_build=NEXT, next_deployment="d2")
    assert look(life=None, wish=asked, staged={"next": Staged.READY}) == decision.Swap(NEXT, "d2")
    assert look(life=None, wish=asked, staged={"next": Staged.PENDING}) == decision.Start()
    assert look(life=None, wish=asked, placed="next") == decision.Start()


def test_a_refused_build_is_replaced_by_the_fallback() -> None:
    asked = wish(build=NEW, probation="d1", fallback=OLD)
    refused = (Refused("new", "d1"),)
    action = look(life=None, wish=asked, placed="new", refused=refused, staged={"old": Staged.READY})
    assert action == decision.Swap(OLD, None)
    assert look(wish=asked, refused=refused) == decision.Watch(), "the fallback that runs satisfies the wish"


def test_a_refused_next_build_is_not_put_in_again() -> None:
    asked = wish(next_build=NEXT, next_deployment="d2")
    refused = (Refused("next", "d2"),)
    assert look(life=None, wish=asked, refused=refused, staged={"next": Staged.READY}) == decision.Start()


def test_a_refusal_ends_with_another_deployment_and_only_a_person_lifts_one_without() -> None:
    trial, breaker = Refused("new", "d1"), Refused("new", None)
    assert satisfaction.keep_refused(wish(build=NEW, probation="d1", lift_hold=True), (trial,)) == (trial,)
    assert satisfaction.keep_refused(wish(build=NEW, probation="d2"), (trial,)) == ()
    assert satisfaction.keep_refused(wish(build=NEW), (breaker,)) == (breaker,)
    assert satisfaction.keep_refused(wish(build=NEW, lift_hold=True), (breaker,)) == ()


# --- holds


@pytest.mark.parametrize("why", [Hold.BREAKER, Hold.SWAP, Hold.EXIT_ZERO])
def test_a_hold_is_lifted_only_by_a_larger_generation_that_says_so(why: Hold) -> None:
    down = held(why)
    for lift, generation in itertools.product((False, True), (7, 8)):
        action = look(life=None, held=down, wish=wish(lift_hold=lift, generation=generation))
        assert isinstance(action, decision.Release) is (lift and generation == 8)


@pytest.mark.parametrize("change", [{"restart": 1}, {"build": NEW}], ids=["an ordered restart", "a deployment"])
def test_a_lift_whose_own_wish_was_never_seen_is_known_by_what_it_changed(change: dict[str, object]) -> None:
    assert isinstance(look(life=None, held=held(Hold.BREAKER), wish=wish(**change)), decision.Release)
    assert not isinstance(look(life=None, held=held(Hold.BREAKER), wish=wish(generation=7, **change)), decision.Release)


@pytest.mark.parametrize("why", [Hold.BREAKER, Hold.STOPPED, Hold.SWAP])
def test_a_hold_outlives_a_reboot(why: Hold) -> None:
    assert isinstance(look(life=None, held=held(why, boot="earlier"), looked_at=NOW), decision.Rest)


def test_an_exit_zero_hold_ends_with_the_boot() -> None:
    assert isinstance(look(life=None, held=held(Hold.EXIT_ZERO), looked_at=NOW), decision.Rest)
    assert look(life=None, held=held(Hold.EXIT_ZERO, boot="earlier")) == decision.Release("the machine was restarted")


def test_an_operators_stop_is_a_hold_and_another_stop_is_none() -> None:
    assert look(life=None, wish=wish(want=Want.STOPPED)) == decision.Rest()
    action = look(life=None, wish=wish(want=Want.STOPPED, operator_stop=True))
    assert action == decision.HoldDown(Hold.STOPPED, "stopped by uwe: because")


def test_an_operators_stop_stays_until_the_server_is_wished_up_again() -> None:
    assert look(life=None, held=held(Hold.STOPPED), wish=wish()) == decision.Release("started by uwe: because")
    assert look(life=None, held=held(Hold.STOPPED), wish=wish(want=Want.STOPPED, lift_hold=True)) == decision.Rest()


def test_a_foreign_hold_looks_again_now_and_then_and_no_wish_lifts_it() -> None:
    asked = wish(lift_hold=True)
    due = NOW - 1 + decision.LOOK_AROUND
    assert look(life=None, held=held(Hold.FOREIGN), wish=asked, looked_at=NOW - 1) == decision.Rest(due)
    assert look(life=None, held=held(Hold.FOREIGN), wish=asked) == decision.LookAround()


def test_nothing_is_started_while_a_server_lives_or_a_hold_stands() -> None:
    """Every combination of the values that matter."""
    wishes = [
        wish(want=want, build=build, next_build=following, lift_hold=lift, operator_stop=True, probation=trial)
        for want in Want
        for build in (None, OLD, NEW)
        for following in (None, NEXT)
        for lift in (False, True)
        for trial in (None, "d1")
    ]
    lives = (None, LIFE, replace(LIFE, build=None), replace(LIFE, stopping=Stopping(StopWhy.WISH, "")))
    holds = (None, *(held(why) for why in Hold))
    stages: tuple[dict[str, Staged], ...] = ({}, *({"old": how, "new": how, "next": how} for how in Staged))
    for asked, life, hold, staged in itertools.product(wishes, lives, holds, stages):
        action = look(wish=asked, life=life, held=hold, staged=staged)
        if life or hold or asked.want is Want.STOPPED:
            assert not isinstance(action, decision.Start | decision.Swap), (asked, life, hold, staged)
        if life is None:
            assert not isinstance(action, decision.Stop | decision.Relabel | decision.Watch)


def test_a_wish_counts_as_reached_only_when_the_world_is_so() -> None:
    assert satisfaction.is_reached(WISH, LIFE, ())
    assert not satisfaction.is_reached(WISH, replace(LIFE, ready_at=None), ())
    assert not satisfaction.is_reached(WISH, None, ())
    assert not satisfaction.is_reached(wish(build=NEW), LIFE, ())
    assert satisfaction.is_reached(wish(want=Want.STOPPED), None, ())


def test_only_a_wish_that_changes_the_start_ends_a_back_off() -> None:
    for change in ({"lift_hold": True}, {"restart": 1}, {"build": NEW}, {"next_build": NEXT}, {"command": ("x",)}):
        assert satisfaction.asks_for_start(wish(**change), WISH), change
    assert not satisfaction.asks_for_start(wish(limits=RestartLimits(base=2)), WISH)


# --- verdicts


@pytest.mark.parametrize(
    ("end", "verdict"),
    [
        (End(0, True), ExitVerdict.SHUTDOWN),
        (End(0, False), ExitVerdict.SHUTDOWN),
        (End(2, True), ExitVerdict.RESTART),
        (End(1, False), ExitVerdict.STARTUP_ERROR),
        (End(1, True), ExitVerdict.CRASH),
        (End(3, False), ExitVerdict.CRASH),
        (End(-11, True), ExitVerdict.CRASH),
        (End(-9, False), ExitVerdict.CRASH),
        (End(0xC0000005, True), ExitVerdict.CRASH),
        (End(-11, True, asked=True), ExitVerdict.ASKED),
        (End(0, True, asked=True), ExitVerdict.ASKED),
        (End(-6, True, asked=True, hung=True), ExitVerdict.HANG_AT_STOP),
        (End(None, True, halted=True), ExitVerdict.SHUTDOWN),
        (End(None, True, halted=True, core=True), ExitVerdict.CRASH),
        (End(None, True), ExitVerdict.CRASH),
        (End(None, False), ExitVerdict.CRASH),
        (End(None, True, asked=True), ExitVerdict.ASKED),
        (End(-11, True, same_boot=False), ExitVerdict.WITH_MACHINE),
        (End(-11, False, suspected=True), ExitVerdict.STARTUP_ERROR),
        (End(-11, True, suspected=True), ExitVerdict.CRASH),
    ],
    ids=str,
)
def test_an_end_is_judged(end: End, verdict: ExitVerdict) -> None:
    assert judge(end) is verdict


# --- what follows from a death

EARLY = Circumstances(LIMITS, ready=True, good_life=False)
TRIAL = replace(EARLY, on_probation=True, has_fallback=True)
UNREADY_TRIAL = replace(TRIAL, ready=False)


def die(verdict: ExitVerdict, case: Circumstances, counts: Counts | None = None) -> tuple[Counts, object]:
    return weigh(verdict, counts or Counts(), case, NOW)


def test_fault_b3_exit_codes_that_a_person_asked_for_are_no_crash() -> None:
    detail = "the server ended with exit code 0: somebody shut it down"
    assert die(ExitVerdict.SHUTDOWN, EARLY)[1] == Down(Hold.EXIT_ZERO, detail)
    assert die(ExitVerdict.RESTART, EARLY) == (Counts(), Restart(0.0))


def test_restarts_after_crashes_are_at_once_then_1_2_4_seconds_and_the_fifth_death_holds() -> None:
    counts, delays = Counts(), []
    for _ in range(5):
        counts, consequence = weigh(ExitVerdict.CRASH, counts, EARLY, NOW)
        delays.append(consequence.delay if isinstance(consequence, Restart) else consequence)
    assert delays[:4] == [0.0, 1.0, 2.0, 4.0]
    assert delays[4] == Down(Hold.BREAKER, "5 deaths in a row, 5 crashes within an hour")


def test_a_life_that_survived_its_soak_begins_the_count_anew() -> None:
    counts, consequence = die(ExitVerdict.CRASH, replace(EARLY, good_life=True), Counts(early=4, restarts=4))
    assert consequence == Restart(0.0)
    assert (counts.early, counts.restarts) == (0, 1)


def test_fault_b1_twenty_crashes_an_hour_hold_even_when_each_life_was_good() -> None:
    counts, consequence = Counts(), None
    for number in range(20):
        assert consequence is None or consequence == Restart(0.0)
        counts, consequence = weigh(ExitVerdict.CRASH, counts, replace(EARLY, good_life=True), NOW + number * 170)
    assert isinstance(consequence, Down)
    assert consequence.why is Hold.BREAKER


def test_crashes_older_than_an_hour_are_forgotten() -> None:
    counts = count_crash(Counts(crashes=tuple(NOW - 3601 for _ in range(19))), NOW, good_life=True)
    assert counts.crashes == (NOW,)


def test_the_breaker_tries_another_healthy_build_once() -> None:
    counts, consequence = die(ExitVerdict.CRASH, replace(EARLY, has_fallback=True), Counts(early=4, restarts=4))
    assert isinstance(consequence, FallBack)
    assert counts.fallback_tried
    assert isinstance(die(ExitVerdict.CRASH, replace(EARLY, has_fallback=True), counts)[1], Down)


def test_a_start_up_error_backs_off_to_a_minute_for_ever_and_never_holds() -> None:
    counts, delays = Counts(), []
    for _ in range(200):
        counts, consequence = weigh(ExitVerdict.STARTUP_ERROR, counts, replace(EARLY, ready=False), NOW)
        assert isinstance(consequence, Restart)
        delays.append(consequence.delay)
    assert delays[:7] == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 60.0]
    assert set(delays[7:]) == {60.0}
    assert counts.early == 0


def test_a_server_that_asks_for_restarts_before_it_is_ready_does_not_spin() -> None:
    counts, delays = Counts(), []
    for _ in range(4):
        counts, consequence = weigh(ExitVerdict.RESTART, counts, replace(EARLY, ready=False), NOW)
        assert isinstance(consequence, Restart)
        delays.append(consequence.delay)
    assert delays == [0.0, 1.0, 2.0, 4.0]


@pytest.mark.parametrize("verdict", [ExitVerdict.CRASH, ExitVerdict.STARTUP_ERROR, ExitVerdict.SHUTDOWN])
def test_fault_a13_death_before_ready_on_probation_falls_back_at_once(verdict: ExitVerdict) -> None:
    consequence = die(verdict, UNREADY_TRIAL)[1]
    assert isinstance(consequence, FallBack)
    assert consequence.before_ready


def test_on_probation_one_death_after_ready_restarts_the_same_build_and_the_second_falls_back() -> None:
    assert die(ExitVerdict.CRASH, TRIAL)[1] == Restart(0.0)
    consequence = die(ExitVerdict.CRASH, replace(TRIAL, trial_deaths=1))[1]
    assert consequence == FallBack("died 2 times after it was ready", before_ready=False)


def test_not_ready_in_time_on_probation_falls_back() -> None:
    late = replace(UNREADY_TRIAL, not_ready_in_time=True)
    for verdict in (ExitVerdict.ASKED, ExitVerdict.HANG_AT_STOP):
        assert die(verdict, late)[1] == FallBack("not ready in time", before_ready=True)


def test_without_a_fallback_a_death_on_probation_is_like_any_other() -> None:
    alone = replace(UNREADY_TRIAL, has_fallback=False)
    assert die(ExitVerdict.CRASH, alone)[1] == Restart(0.0)
    assert die(ExitVerdict.STARTUP_ERROR, alone)[1] == Restart(1.0)


def test_an_end_that_was_asked_for_or_came_with_the_machine_counts_nothing() -> None:
    for verdict in (ExitVerdict.ASKED, ExitVerdict.HANG_AT_STOP, ExitVerdict.WITH_MACHINE):
        assert die(verdict, EARLY, Counts(early=3)) == (Counts(early=3), Restart(0.0))


@given(nth=st.integers(0, 10_000), base=st.floats(0.001, 100), cap=st.floats(0.001, 1000))
def test_a_back_off_never_exceeds_its_cap(nth: int, base: float, cap: float) -> None:
    assert 0.0 <= back_off(RestartLimits(base=base, cap=cap), nth) <= cap


@given(deaths=st.lists(st.tuples(st.sampled_from(ExitVerdict), st.booleans(), st.booleans(), st.booleans())))
def test_whatever_happens_only_the_breaker_and_exit_zero_hold(
    deaths: list[tuple[ExitVerdict, bool, bool, bool]],
) -> None:
    counts = Counts()
    for number, (verdict, ready, good, fallback) in enumerate(deaths):
        case = Circumstances(LIMITS, ready=ready, good_life=good, has_fallback=fallback)
        counts, consequence = weigh(verdict, counts, case, NOW + number)
        if isinstance(consequence, Down):
            assert consequence.why is (Hold.EXIT_ZERO if verdict is ExitVerdict.SHUTDOWN else Hold.BREAKER)
            assert consequence.why is Hold.EXIT_ZERO or is_tripped(counts, LIMITS)


def test_a_life_is_good_when_it_outlived_its_soak() -> None:
    assert is_good_life(10.0, 131.0, LIMITS, 900.0)
    assert not is_good_life(10.0, 129.0, LIMITS, 900.0)
    assert not is_good_life(None, 1000.0, LIMITS, 900.0)
    assert is_good_life(None, 1021.0, LIMITS, 900.0), "a ready pattern that never matches does not make a crash loop"


# --- the stop ladder

SIGNALLED = StopView(StopWhy.WISH, Rung.SIGNAL, since=0.0, quiet=0.0, timeout=600.0)


def test_fault_b4_a_stop_without_progress_takes_the_stacks_and_then_ends_the_tree() -> None:
    assert climb(replace(SIGNALLED, since=5000.0, quiet=599.0)) is None, "progress in the log is waited for"
    assert climb(replace(SIGNALLED, quiet=600.0)) is Rung.STACKS
    aborted = replace(SIGNALLED, rung=Rung.STACKS)
    assert climb(replace(aborted, since=59.0)) is None
    assert climb(replace(aborted, since=60.0)) is Rung.KILL
    assert climb(replace(aborted, since=60.0, dumping=True)) is None, "a core that is being written is not cut"
    assert climb(replace(aborted, since=600.0, dumping=True)) is Rung.KILL


def test_where_no_stacks_can_be_had_the_tree_is_ended() -> None:
    assert climb(replace(SIGNALLED, quiet=600.0, stacks=False)) is Rung.KILL


def test_a_kill_that_did_not_take_is_repeated() -> None:
    killed = replace(SIGNALLED, rung=Rung.KILL)
    assert climb(replace(killed, since=1.0)) is None
    assert climb(replace(killed, since=5.0)) is Rung.KILL


def test_a_server_that_was_never_ready_is_not_waited_for_ten_minutes() -> None:
    assert climb(replace(SIGNALLED, why=StopWhy.NOT_READY, quiet=60.0)) is Rung.STACKS
