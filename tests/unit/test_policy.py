"""What a patch may touch, which night an instant belongs to, and when a restart may happen."""

from __future__ import annotations

import dataclasses
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline import path_rules, policy
from pipeline.errors import Refused
from pipeline.model import Patch, Realm, Run, RunKind, RunState, Verdict
from pipeline.moments import write_moment
from pipeline.policy import Go, Wait
from pipeline.ports import FileChange, PatchLimits

BERLIN = ZoneInfo("Europe/Berlin")
TREE = {
    "src/game/Map.cpp": "100644",
    "src/game/tool.sh": "100755",
    "src/game/link": "120000",
    "src/dep": "160000",
    "README.md": "100644",
}
REALM = Realm("r", Path("state"), Path("source"), Path("server"), ("worldserver",), timezone=BERLIN)


def why_refused(path: str, limits: PatchLimits | None = None) -> str:
    with pytest.raises(Refused) as refusal:
        policy.check_paths([path], TREE, limits or PatchLimits())
    return str(refusal.value)


BUILD = "is part of the build: a fix may not change how the server is built"

# --- paths -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path",
    ["src/game/Map.cpp", "src/game/New.h", "src/new/deep/File.hpp", "src/game/Git.cpp", "src/a b/c.cpp", "src/Ä.h"],
)
def test_source_files_may_be_changed_and_made(path: str) -> None:
    policy.check_paths([path], TREE, PatchLimits())


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("../outside.txt", "the path `../outside.txt` leaves its folder with `..`"),
        ("src/../../x", "the path `src/../../x` leaves its folder with `..`"),
        ("src\\..\\..\\x", "the path `src\\..\\..\\x` leaves its folder with `..`"),
        ("/etc/passwd", "the path `/etc/passwd` is absolute: paths are relative to the source's folder"),
        ("C:\\x.cpp", "the path `C:\\x.cpp` names a drive"),
        ("c:x.cpp", "the path `c:x.cpp` names a drive"),
        ("\\\\host\\share\\x", "the path `\\\\host\\share\\x` is a network path"),
        ("//host/share/x", "the path `//host/share/x` is a network path"),
        ("src\\game\\x.cpp", "the path `src\\game\\x.cpp` has backslashes"),
        (".git/config", "the path `.git/config` names git's own files"),
        (".GIT/config", "the path `.GIT/config` names git's own files"),
        ("src/.Git /x", "the path `src/.Git /x` names git's own files"),
        (".git./hooks/x", "the path `.git./hooks/x` names git's own files"),
        (".git::$INDEX_ALLOCATION/x", "the path `.git::$INDEX_ALLOCATION/x` names git's own files"),
        ("GIT~1/config", "the path `GIT~1/config` names git's own files"),
        ("src/.gitattributes", "the path `src/.gitattributes` names git's own files"),
        ("src/GAME~1/x.cpp", "the path `src/GAME~1/x.cpp` has a short (8.3) name in it, which may be another file"),
        (".g\u200cit/config", "the path `.g\\x200cit/config` holds control or invisible characters"),
        ("src/a\nb.cpp", "the path `src/a\\x0ab.cpp` holds control or invisible characters"),
        ("src/x.cpp:s", "the path `src/x.cpp:s` has `:` in it, which names something else on Windows"),
        ("src/x*.cpp", "the path `src/x*.cpp` has `*` in it, which names something else on Windows"),
        ("src/NUL", "the path `src/NUL` names the device `NUL`"),
        ("src/aux.cpp", "the path `src/aux.cpp` names the device `aux.cpp`"),
        ("src/com¹.txt", "the path `src/com¹.txt` names the device `com¹.txt`"),
        ("src/x.cpp.", "the path `src/x.cpp.` has a component that ends or begins with a space or ends with a dot"),
        ("src/x.cpp ", "the path `src/x.cpp ` has a component that ends or begins with a space or ends with a dot"),
        ("src//x.cpp", "the path `src//x.cpp` has an empty component"),
        ("src/./x.cpp", "the path `src/./x.cpp` has an empty component"),
        ("", "the path `` is empty"),
        ("src/-rf", "the path `src/-rf` has a component that begins with a dash"),
        ("README.md", "`README.md` is outside of SOURCE_ALLOWED_PATHS (src/**)"),
        ("src/CMakeLists.txt", f"`src/CMakeLists.txt` {BUILD}"),
        ("src/cmake/x.txt", f"`src/cmake/x.txt` {BUILD}"),
        ("src/X.CMAKE", f"`src/X.CMAKE` {BUILD}"),
        (".github/ci.yml", f"`.github/ci.yml` {BUILD}"),
        ("sql/x.txt", "`sql/x.txt` is a database update: a fix may not change the database"),
        ("src/x.SQL", "`src/x.SQL` is a database update: a fix may not change the database"),
        ("src/game/link", "`src/game/link` is a symbolic link"),
        ("src/game/link/x.h", "`src/game/link/x.h` leads through `src/game/link`, which is a symbolic link"),
        ("src/dep/x.h", "`src/dep/x.h` lies in the submodule `src/dep`, a repository of its own"),
        ("src/game/Map.cpp/x", "`src/game/Map.cpp/x` lies below `src/game/Map.cpp`, which is a file"),
        ("src/game", "`src/game` is a folder"),
        (
            "src/Game/Map.cpp",
            "`src/Game/Map.cpp` differs only in upper and lower case from `src/game`, which exists",
        ),
    ],
)  # fmt: skip
def test_a_refused_path_is_told_in_a_sentence(path: str, reason: str) -> None:
    assert why_refused(path) == reason


def test_denied_paths_win_over_allowed_ones_whatever_the_case() -> None:
    limits = PatchLimits(denied=("src/Game/**",))
    assert why_refused("src/game/Map.cpp", limits) == "`src/game/Map.cpp` is excluded by SOURCE_DENIED_PATHS"


def test_world_disk_case_of_two_new_files_alone_is_refused() -> None:
    with pytest.raises(Refused, match="differs only in upper and lower case from another file of the same patch"):
        policy.check_paths(["src/New.h", "src/new.h"], TREE, PatchLimits())


def test_world_disk_case_of_two_files_that_are_there_is_no_reason_to_refuse_a_change_of_them() -> None:
    tree = {"src/game/Grid.h": "100644", "src/game/grid.h": "100644", "src/Game/Map.h": "100644"}
    policy.check_paths([*tree, "src/Game/New.h", "src/game/Other.h"], tree, PatchLimits())
    for third, there in (("src/game/GRID.h", "src/game/grid.h"), ("src/GAME/Map.h", "src/game")):
        with pytest.raises(Refused) as refusal:
            policy.check_paths([third], tree, PatchLimits())
        assert str(refusal.value) == f"`{third}` differs only in upper and lower case from `{there}`, which exists"


def test_more_files_than_allowed_are_refused() -> None:
    with pytest.raises(Refused, match=r"it touches 3 files: more than MAX_FILES \(2\)"):
        policy.check_paths(["src/a.h", "src/b.h", "src/c.h"], TREE, PatchLimits(max_files=2))


@pytest.mark.parametrize(
    ("path", "pattern", "fits"),
    [
        ("src/a/b.cpp", "src/**", True),
        ("srcs/a.cpp", "src/**", False),
        ("src/a/b.cpp", "src/*", False),
        ("src/b.cpp", "src/*", True),
        ("src/a/b.cpp", "src/", True),
        ("src/a/b.cpp", "src", True),
        ("src/a/b.cpp", "**/*.cpp", True),
        ("b.cpp", "**/*.cpp", True),
        ("src/a/b.cpp", "src/**/b.cpp", True),
        ("src/b.cpp", "src/**/b.cpp", True),
        ("src/b.cpp", "src/?.cpp", True),
        ("src/xcpp", "src/x.cpp", False),
    ],
)
def test_globs_stay_within_a_folder_unless_they_are_doubled(path: str, pattern: str, fits: bool) -> None:
    assert path_rules.matches(path, pattern) is fits


@given(st.text(max_size=40))
def test_no_path_that_passes_can_leave_the_source(path: str) -> None:
    try:
        path_rules.check_path(path)
    except Refused as refusal:
        assert "\n" not in str(refusal)
        return
    parts = path.split("/")
    assert not path.startswith("/") and "\\" not in path and ":" not in path and "\0" not in path
    assert all(part not in ("", ".", "..") and not part.lower().startswith(".git") for part in parts)


# --- changes ---------------------------------------------------------------------------------------------------------

CHANGE = FileChange("src/a.cpp", "100644", "100644", b"a\n", b"b\n", 1, 1)


def why_not(**changes: object) -> str:
    change = dataclasses.replace(CHANGE, **changes)  # type: ignore[arg-type]  # each field by its name
    with pytest.raises(Refused) as refusal:
        policy.check_changes([change], PatchLimits())
    return str(refusal.value)


def test_a_small_change_may_be_committed() -> None:
    policy.check_changes([CHANGE], PatchLimits())


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"new_mode": "120000"}, "`src/a.cpp` is or becomes a symbolic link"),
        ({"new_mode": "160000"}, "`src/a.cpp` is or becomes a submodule"),
        ({"new_mode": "100755"}, "`src/a.cpp` would change its file mode from 100644 to 100755"),
        ({"old_mode": None, "old": None, "new_mode": "100755"}, "`src/a.cpp` would be a new executable file"),
        ({"new": b"a\0b"}, "`src/a.cpp` would hold binary content (byte 0x00)"),
        ({"new": b"a\x1b[31m"}, "`src/a.cpp` would hold binary content (byte 0x1b)"),
        ({"old": b"\0", "new": b"x"}, "`src/a.cpp` is a binary file"),
        ({"new": b"\xff\n"}, "`src/a.cpp` would no longer be valid UTF-8"),
        (
            {"new": "a\u202eb".encode()},
            "`src/a.cpp` would hold characters that turn the direction of text and hide code",
        ),
        ({"new": b"x" * (5 << 20)}, "`src/a.cpp` would have 5 MiB: more than a source file has"),
        ({"added": 400}, "it changes 401 lines: more than MAX_CHANGED_LINES (400)"),
    ],
)  # fmt: skip
def test_a_refused_change_is_told_in_a_sentence(changes: dict[str, object], reason: str) -> None:
    assert why_not(**changes) == reason


def test_invariant_12_a_file_may_keep_but_never_gain_the_value_of_a_secret_setting() -> None:
    limits = PatchLimits(secrets=("hunter2", "abc"))
    with pytest.raises(Refused) as refusal:
        policy.check_changes([dataclasses.replace(CHANGE, new=b'Login("hunter2");\n')], limits)
    assert str(refusal.value) == "`src/a.cpp` would hold the value of a secret setting"
    assert "hunter2" not in repr(limits)
    had_it = dataclasses.replace(CHANGE, old=b'x = "hunter2";', new=b'y = "hunter2";')
    in_a_name = dataclasses.replace(CHANGE, new=b"hunter2000 abc")
    policy.check_changes([had_it, in_a_name], limits)


def test_a_patch_without_a_difference_is_refused() -> None:
    with pytest.raises(Refused, match="it changes nothing"):
        policy.check_changes([], PatchLimits())


def test_a_file_of_an_old_encoding_may_stay_in_it() -> None:
    policy.check_changes([dataclasses.replace(CHANGE, old=b"\xe9 a\n", new=b"\xe9 b\n")], PatchLimits())


# --- nights ----------------------------------------------------------------------------------------------------------


def local(day: int, hour: int, minute: int = 0, month: int = 1) -> datetime:
    return datetime(2026, month, day, hour, minute, tzinfo=BERLIN).astimezone(UTC)


@pytest.mark.parametrize(
    ("now", "night"),
    [
        (local(10, 12), date(2026, 1, 10)),
        (local(10, 23, 59), date(2026, 1, 10)),
        (local(11, 3), date(2026, 1, 10)),
        (local(11, 11, 59), date(2026, 1, 10)),
        (local(11, 12), date(2026, 1, 11)),
    ],
)
def test_a_night_goes_from_noon_to_noon_and_is_named_by_its_evening(now: datetime, night: date) -> None:
    assert policy.night_of(now, BERLIN) == night


def test_a_night_with_a_change_of_the_clocks_still_begins_at_noon() -> None:
    assert policy.night_begins(date(2026, 3, 28), BERLIN) == datetime(2026, 3, 28, 11, tzinfo=UTC)
    assert policy.night_begins(date(2026, 3, 29), BERLIN) == datetime(2026, 3, 29, 10, tzinfo=UTC)


@given(st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_every_instant_lies_in_its_own_night(now: datetime) -> None:
    night = policy.night_of(now, BERLIN)
    assert policy.night_begins(night, BERLIN) <= now < policy.night_begins(night + timedelta(days=1), BERLIN)


def test_the_branches_of_a_night_are_numbered_from_the_second_on() -> None:
    night = date(2026, 1, 31)
    assert [policy.branch_name(night), policy.branch_name(night, 2)] == ["overnight-20260131", "overnight-20260131-2"]


# --- restarts --------------------------------------------------------------------------------------------------------


def realm(**changes: object) -> Realm:
    return dataclasses.replace(REALM, **changes)  # type: ignore[arg-type]  # each field by its name


@pytest.mark.parametrize(
    "change",
    [
        dataclasses.replace(CHANGE, new=b"// q0123456789a| Ann says\n"),
        dataclasses.replace(CHANGE, path="src/q0123456789a.h"),
    ],
    ids=["content", "name"],
)
def test_hostile_text_of_the_crash_that_comes_back_in_a_patch_refuses_it(change: FileChange) -> None:
    with pytest.raises(Refused, match=r"would hold text of the crash itself \(the canary of its request\)$"):
        policy.check_changes([change], PatchLimits(canary="q0123456789a"))
    policy.check_changes([change], PatchLimits(canary="q9876543210a"))


def test_a_realm_without_limits_may_restart_at_once() -> None:
    assert policy.may_deploy_now(local(10, 20), 5000, REALM) == Go()


def test_fault_b5_quiet_hours_are_never_broken_not_even_over_midnight() -> None:
    quiet = realm(no_restart_hours=((time(19), time(1)),), deploy_at_latest=time(23))
    verdict = Wait("no restart in these hours, which end <2026-01-11T00:00:00Z> (NO_RESTART_HOURS)", local(11, 1))
    assert policy.may_deploy_now(local(10, 19), 0, quiet) == verdict
    assert policy.may_deploy_now(local(11, 0, 59), 0, quiet) == verdict
    assert policy.may_deploy_now(local(11, 1), 0, quiet) == Go()
    assert policy.may_deploy_now(local(10, 18, 59), 0, quiet) == Go()


def test_quiet_hours_that_touch_are_one() -> None:
    quiet = realm(no_restart_hours=((time(20), time(22)), (time(22), time(0))))
    verdict = policy.may_deploy_now(local(10, 21), 0, quiet)
    assert isinstance(verdict, Wait) and verdict.until == local(11, 0)


def test_fault_b5_it_waits_while_more_players_are_online_than_the_limit() -> None:
    limited = realm(max_players_for_restart=3)
    assert policy.may_deploy_now(local(10, 22), 3, limited) == Go()
    assert policy.may_deploy_now(local(10, 22), 4, limited) == Wait(
        "4 players online, more than 3: goes live <2026-01-11T05:00:00Z> at the latest (DEPLOY_AT_LATEST)", local(11, 6)
    )


def test_one_player_is_told_as_one() -> None:
    verdict = policy.may_deploy_now(local(10, 22), 1, realm(max_players_for_restart=0))
    assert isinstance(verdict, Wait) and verdict.reason.startswith("1 player online, more than 0: ")


def test_it_waits_where_players_cannot_be_counted() -> None:
    verdict = policy.may_deploy_now(local(10, 22), None, realm(max_players_for_restart=0))
    assert isinstance(verdict, Wait) and verdict.reason.startswith("the players cannot be counted")


def test_fault_b5_at_the_latest_time_it_restarts_anyway() -> None:
    limited = realm(max_players_for_restart=0)
    assert isinstance(policy.may_deploy_now(local(11, 5, 59), 9, limited), Wait)
    assert policy.may_deploy_now(local(11, 6), 9, limited) == Go()
    assert policy.may_deploy_now(local(11, 11, 59), 9, limited) == Go()


def test_what_began_to_wait_after_the_latest_time_waits_for_the_next_one() -> None:
    limited = realm(max_players_for_restart=0)
    verdict = policy.may_deploy_now(local(11, 9), 9, limited, since=local(11, 8))
    assert isinstance(verdict, Wait) and verdict.until == local(12, 6)


def test_the_latest_time_does_not_break_quiet_hours() -> None:
    both = realm(max_players_for_restart=0, no_restart_hours=((time(5), time(8)),))
    assert isinstance(policy.may_deploy_now(local(11, 6, 30), 9, both), Wait)
    assert policy.may_deploy_now(local(11, 8), 9, both) == Go()


def test_the_next_time_of_a_clock_is_strictly_later() -> None:
    assert policy.next_time(local(10, 6), time(6), BERLIN) == local(11, 6)
    assert policy.next_time(local(10, 5, 59), time(6), BERLIN) == local(10, 6)


# --- the two nights of the year on which clocks are moved ------------------------------------------------------------

BACK = date(2026, 10, 25)  # Berlin, 03:00 summer time becomes 02:00
FORTH = date(2026, 3, 29)  # 02:00 becomes 03:00


def on(day: date, hour: int, minute: int = 0, fold: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=BERLIN, fold=fold).astimezone(UTC)


def test_world_time_autumn_a_time_in_the_repeated_hour_comes_twice() -> None:
    first, second = on(BACK, 2, 30), on(BACK, 2, 30, fold=1)
    assert second - first == timedelta(hours=1)
    assert policy.next_time(on(BACK, 2, 10), time(2, 30), BERLIN) == first
    assert policy.next_time(first, time(2, 30), BERLIN) == second
    assert policy.next_time(on(BACK, 2, 40), time(2, 30), BERLIN) == second
    assert policy.next_time(second, time(2, 30), BERLIN) == on(date(2026, 10, 26), 2, 30)


def test_world_time_autumn_quiet_hours_that_end_in_the_repeated_hour_end_there_and_not_a_day_later() -> None:
    quiet = realm(no_restart_hours=((time(1), time(2, 30)),))
    for fold in (0, 1):
        end = on(BACK, 2, 30, fold)
        waits = Wait(f"no restart in these hours, which end {write_moment(end)} (NO_RESTART_HOURS)", end)
        assert policy.may_deploy_now(on(BACK, 2, 15, fold), None, quiet) == waits
        assert policy.may_deploy_now(end, None, quiet) == Go()


def test_world_time_autumn_the_latest_time_in_the_repeated_hour_is_kept_in_either_of_them() -> None:
    late = realm(max_players_for_restart=5, deploy_at_latest=time(2, 30))
    for fold in (0, 1):
        since, end = on(BACK, 2, 10, fold), on(BACK, 2, 30, fold)
        decision = policy.may_deploy_now(since, 6, late, since)
        assert isinstance(decision, Wait)
        assert decision.until == end
        assert policy.may_deploy_now(end, 6, late, since) == Go()


def test_world_time_spring_a_time_that_clocks_skip_comes_all_the_same() -> None:
    late = realm(max_players_for_restart=5, deploy_at_latest=time(2, 30))
    since = on(FORTH, 1, 50)
    decision = policy.may_deploy_now(since, 6, late, since)
    assert isinstance(decision, Wait)
    assert decision.until == on(FORTH, 3, 30)
    assert policy.may_deploy_now(on(FORTH, 3, 30), 6, late, since) == Go()


@pytest.mark.parametrize("day", [BACK, FORTH])
def test_a_restart_waits_for_quiet_hours_to_end_by_the_clock_on_either_night(day: date) -> None:
    quiet = realm(no_restart_hours=((time(20), time(4)),))
    for minutes in range(0, 8 * 60, 10):
        now = on(day, 0) + timedelta(minutes=minutes)
        words = f"no restart in these hours, which end {write_moment(on(day, 4))} (NO_RESTART_HOURS)"
        decision = policy.may_deploy_now(now, None, quiet)
        assert decision == (Go() if now >= on(day, 4) else Wait(words, on(day, 4)))


# --- what nobody wants -----------------------------------------------------------------------------------------------


def made(commit: str, state: RunState, *undoes: str, minute: int = 0, by: str | None = None) -> Run:
    """A run that made a commit, ordered at that minute of an hour."""
    at = datetime(2026, 1, 31, 22, minute, tzinfo=UTC)
    kind = RunKind.REVERT if undoes else RunKind.FIX
    patch = Patch(reverts=undoes) if undoes else None
    return Run(commit, kind, state, at.date(), None, commit, at, at, commit=commit, patch=patch, asked_by=by)


@pytest.mark.parametrize("state", [RunState.CANCELLED, RunState.ROLLED_BACK, RunState.FAILED])
def test_what_was_taken_back_or_has_failed_is_refused_unless_it_only_did_not_cure(state: RunState) -> None:
    fix = made("f", state)
    assert policy.is_refused(fix, takes_out=False)
    assert not policy.is_refused(dataclasses.replace(fix, verdict=Verdict.NOT_CURED), takes_out=False)
    assert not policy.is_refused(made("f", RunState.SUCCEEDED), takes_out=False)


def test_a_revert_that_was_rolled_back_is_refused_only_where_it_takes_out_what_somebody_wants() -> None:
    revert = made("r", RunState.ROLLED_BACK, "f")
    assert policy.is_refused(revert, takes_out=True)
    assert not policy.is_refused(revert, takes_out=False)


def test_the_last_word_on_a_fix_counts_and_only_where_it_stands() -> None:
    fix = made("f", RunState.CANCELLED)
    against, back = made("r", RunState.SUCCEEDED, "f", minute=1), made("p", RunState.READY, "r", minute=2, by="Ann")
    again = made("r2", RunState.FAILED, "f", minute=3, by="Bob")
    assert policy.is_put_back(fix, [against, back], lambda each: each is back)
    assert not policy.is_put_back(fix, [against, back], lambda each: False)
    assert not policy.is_put_back(fix, [against, back, again], lambda each: True), "it was to go once more"
    assert not policy.is_put_back(fix, [against], lambda each: True)
    ours = dataclasses.replace(back, asked_by=None)
    assert not policy.is_put_back(fix, [against, ours], lambda each: True), "nobody has ordered that"


def test_the_revert_of_a_commit_is_one_that_lives_and_was_not_undone_in_turn() -> None:
    dead, revert = made("d", RunState.FAILED, "f"), made("r", RunState.SUCCEEDED, "f")
    back = made("p", RunState.BUILDING, "r")
    assert policy.find_revert("f", [dead, revert]) is revert
    assert policy.find_revert("f", [dead, revert, back]) is None
    assert policy.find_revert("f", [dead]) is None
