"""The sample realm behaves toward whoever runs it as TRINITYCORE.md says a worldserver does: compiled and run."""

import re
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import realm
from realm import RealmBuild, RunningServer, start_server

from bot.demo.bugs import BUGS, REALM, Edit


@pytest.fixture(scope="module")
def build() -> RealmBuild:
    return realm.shared_realm()


@pytest.fixture
def server(build: RealmBuild, tmp_path: Path) -> Iterator[RunningServer]:
    with start_server(build.server, tmp_path) as running:
        yield running.wait_ready()


def full_version(build: RealmBuild) -> str:
    date = realm.git(build.source, "show", "-s", "--format=%ci", build.commit)
    return f"TrinityCore rev. {build.commit[:12]} {date} (main branch) (Unix, RelWithDebInfo, Static)"


# What it says it is


def test_version_is_printed_before_any_configuration_is_read(build: RealmBuild, tmp_path: Path) -> None:
    done = subprocess.run([build.server, "--version"], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert (done.returncode, done.stdout, done.stderr) == (0, full_version(build) + "\n", "")
    assert list(tmp_path.iterdir()) == []


def test_a_build_of_a_changed_tree_says_so_by_a_plus(build: RealmBuild, tmp_path: Path) -> None:
    edit = Edit("src/server/game/Loot/Loot.h", "MaxItems = 16", "MaxItems = 17")
    variant = realm.build_variant([edit], tmp_path / "bin", commit=False)
    done = subprocess.run([variant.server, "--version"], capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith(f"TrinityCore rev. {build.commit[:12]}+ ")


def test_the_revision_is_of_the_commit_that_was_built(tmp_path: Path) -> None:
    edit = Edit("src/server/game/Loot/Loot.h", "MaxItems = 16", "MaxItems = 18")
    variant = realm.build_variant([edit], tmp_path / "bin")
    done = subprocess.run([variant.server, "--version"], capture_output=True, text=True, timeout=20)
    assert done.stdout.startswith(f"TrinityCore rev. {variant.commit[:12]} ")


def stamp(source: Path, header: Path, *options: str) -> str:
    script = ["-P", str(source / "cmake" / "genrev.cmake")]
    command = ["cmake", f"-DSOURCE={source}", f"-DOUTPUT={header}", *options, *script]
    subprocess.run(command, check=True, capture_output=True, timeout=60)
    return header.read_text()


def test_the_revision_header_is_only_touched_when_it_changes(tmp_path: Path) -> None:
    source, header = tmp_path / "source", tmp_path / "revision_data.h"
    realm.make_repository(source)
    first = stamp(source, header)
    written = header.stat().st_mtime_ns
    (source / "untracked.txt").write_text("does not count")
    assert stamp(source, header) == first
    assert header.stat().st_mtime_ns == written
    (source / "README.md").write_text("counts")
    assert '+"' in stamp(source, header)


def test_without_git_the_revision_is_unknown(build: RealmBuild, tmp_path: Path) -> None:
    header = stamp(build.source, tmp_path / "revision_data.h", "-DWITHOUT_GIT=1")
    assert re.findall(r'".*?"', header) == ['"unknown"', '"1970-01-01 00:00:00 +0000"', '"Archived"']


# Starting


def test_it_is_ready_only_after_the_world_is_loaded_and_its_port_is_open(
    build: RealmBuild, server: RunningServer
) -> None:
    with socket.create_connection(("127.0.0.1", server.world_port), timeout=5):
        pass
    order = ["Loading maps...", "World initialized in 0 minutes 0 seconds", f"{full_version(build)} {realm.READY}"]
    places = [server.log.index(text) for text in order]
    assert places == sorted(places)


def test_each_line_of_the_log_has_time_level_and_logger(server: RunningServer) -> None:
    line = r"\d{4}-\d\d-\d\d_\d\d:\d\d:\d\d (INFO |WARN |ERROR)\[[a-z.]+\] .*"
    assert all(re.fullmatch(line, text) for text in server.log.splitlines())
    assert "INFO [playerbots] Ahnra logs in" in server.read("Playerbot.log")


def test_the_log_is_begun_anew_at_each_start(build: RealmBuild, tmp_path: Path) -> None:
    (tmp_path / "Server.log").write_text("of the last server\n")
    with start_server(build.server, tmp_path) as server:
        assert "of the last server" not in server.wait_ready().log


def test_an_environment_variable_overrides_the_configuration(build: RealmBuild, tmp_path: Path) -> None:
    (port,) = realm.find_free_ports(1)
    environment = {"TC_WORLD_SERVER_PORT": str(port), "TC_PID_FILE": "server.pid", "TC_REALM_BOTS": "5"}
    with start_server(build.server, tmp_path, environment=environment) as server:
        server.wait_ready()
        socket.create_connection(("127.0.0.1", port), timeout=5).close()
        assert server.read("server.pid") == str(server.process.pid)
        assert server.soap("bots").text.startswith("Bots: 5,")


@pytest.mark.parametrize("configuration", [None, "WorldServerPort 8085\n"], ids=["missing", "malformed"])
def test_a_fault_of_the_configuration_ends_with_1(build: RealmBuild, tmp_path: Path, configuration: str | None) -> None:
    if configuration is not None:
        (tmp_path / "other.conf").write_text(configuration)
    done = subprocess.run([build.server, "-c", "other.conf"], cwd=tmp_path, capture_output=True, text=True, timeout=20)
    assert done.returncode == 1
    assert "other.conf" in done.stderr


def test_a_port_that_is_taken_ends_with_1_before_ready(
    build: RealmBuild, tmp_path: Path, server: RunningServer
) -> None:
    with start_server(build.server, tmp_path / "second", {"WorldServerPort": server.world_port}) as second:
        assert second.wait_exit() == 1
        assert "ERROR[server.worldserver] Failed to initialize network" in second.log
        assert not second.is_ready


def test_a_console_port_that_is_taken_is_only_told(build: RealmBuild, tmp_path: Path, server: RunningServer) -> None:
    taken = {"Ra.Port": server.ra_port, "SOAP.Port": server.soap_port}
    with start_server(build.server, tmp_path / "second", taken) as second:
        second.wait_ready()
        assert "ERROR[server.worldserver] Failed to bind RA socket acceptor" in second.log
        assert f"ERROR[network.soap] Couldn't bind to 127.0.0.1:{server.soap_port}" in second.log


# Stopping


@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("server exit", 0),
        ("server shutdown force 0", 0),
        ("server shutdown force 0 77 for a reason", 77),
        ("server restart force 0", 2),
        ("server shutdown force 1s", 0),
    ],
)
def test_a_stop_by_command_has_the_exit_code_that_was_asked_for(server: RunningServer, command: str, code: int) -> None:
    assert server.soap(command).status == 200
    assert server.wait_exit() == code


def test_a_short_countdown_is_raised_while_bots_are_there_and_can_be_cancelled(server: RunningServer) -> None:
    player = server.player("Ann")
    answer = server.soap("server shutdown 5 for a patch")
    assert answer.text.startswith("Shutdown delayed to 30 seconds")
    assert player.read_line() == "CHAT [SERVER] Shutdown in 30 Second(s). - for a patch"
    assert "Server restart/shutdown in: " in server.soap("server info").text
    assert server.soap("server shutdown cancel").status == 200
    assert player.read_line() == "CHAT [SERVER] Shutdown cancelled."
    assert "Server restart/shutdown in: " not in server.soap("server info").text


def test_a_realm_with_nobody_in_it_stops_as_soon_as_it_was_asked(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"Realm.Bots": 0}) as server:
        assert server.wait_ready().soap("server shutdown 0").text == ""
        assert server.wait_exit() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_a_stop_by_signal_loses_nothing(server: RunningServer, number: signal.Signals) -> None:
    seen = realm.wait_for(server.read_experience, "progress")
    server.process.send_signal(number)
    assert server.wait_exit() == 0
    final = re.findall(r"Saved 3 characters, total experience (\d+) \(stop\)", server.log)
    assert [server.read_saved_experience()] == [int(total) for total in final]
    assert server.read_saved_experience() >= seen
    assert server.log.splitlines()[-1].endswith("Halting process...")


def test_a_kill_loses_what_came_after_the_last_save(build: RealmBuild, server: RunningServer, tmp_path: Path) -> None:
    server.soap("saveall")
    saved = server.read_saved_experience()
    lost = realm.wait_for(lambda: (now := server.read_experience()) > saved + 10 and now, "progress")
    server.process.kill()
    server.wait_exit()
    with start_server(build.server, tmp_path) as second:
        loaded = re.search(r"total experience (\d+)", second.wait_ready().log)
        assert loaded and int(loaded[1]) == saved < lost


def test_progress_is_saved_from_time_to_time(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"Realm.SaveInterval": 1}) as server:
        server.wait_ready()
        realm.wait_for(server.read_saved_experience, "a save")
        assert "(interval)" in server.log


# Crashing

STDERR = {
    "dispatcher": "",
    "aura": "",
    "assert": r"\n.*/AuraApplication\.cpp:\d+ in _HandleEffect ASSERTION FAILED:\n"
    r"  HasEffect\(effIndex\) == \(!apply\)\n\n",
    "bih": r"(?s).*std::logic_error.*invalid node overlap\nCaught signal 6\n",
    "recursion": "",
    "doublefree": r"free\(\): double free detected in tcache 2\nCaught signal 6\n",
    "late": "",
}


@pytest.mark.parametrize("name", STDERR)
def test_each_planted_bug_ends_the_server_by_sigsegv_with_its_own_text(
    build: RealmBuild, tmp_path: Path, name: str
) -> None:
    with start_server(build.server, tmp_path, {"Realm.LateSeconds": 1}) as server:
        assert server.wait_ready().soap(f"bug {name}").text == f"Bug '{name}' is set off.\r\n"
        assert server.wait_exit() == -signal.SIGSEGV
        assert re.fullmatch(STDERR[name], server.stderr)
        assert "Halting process..." not in server.log


def test_a_world_that_hangs_is_crashed_by_the_freeze_detector(build: RealmBuild, tmp_path: Path) -> None:
    with start_server(build.server, tmp_path, {"MaxCoreStuckTime": 1}) as server:
        server.wait_ready().player("Ann").send("CAST 66")
        assert server.wait_exit() == -signal.SIGSEGV
        assert "Starting up anti-freeze thread (1 seconds max stuck time)..." in server.log
        said = r"World Thread hangs for \d+ ms, forcing a crash!\n"
        assert re.search(rf"ERROR\[server.worldserver\] {said}", server.log)
        assert re.fullmatch(rf"\n.*/FreezeDetector\.cpp:\d+ in Handler ABORTED:\n{said}", server.stderr)


def test_the_late_bug_ends_each_later_start_as_well(build: RealmBuild, tmp_path: Path) -> None:
    (tmp_path / "deferred_login.txt").write_text("Wanderer\n")
    with start_server(build.server, tmp_path, {"Realm.LateSeconds": 1}) as server:
        server.wait_ready()
        assert server.wait_exit() == -signal.SIGSEGV


@pytest.mark.parametrize("packet", ["BUG aura", "CAST 8326", "CAST 133"])
def test_a_player_can_crash_the_server(server: RunningServer, packet: str) -> None:
    server.player("Ann").send(packet)
    assert server.wait_exit() == -signal.SIGSEGV


def test_a_crashed_server_starts_again_on_its_port_at_once(
    build: RealmBuild, server: RunningServer, tmp_path: Path
) -> None:
    server.player("Ann").send("BUG aura")
    server.wait_exit()
    with start_server(build.server, tmp_path / "second", {"WorldServerPort": server.world_port}) as second:
        second.wait_ready()


def test_the_console_lists_the_bugs_that_are_planted(server: RunningServer) -> None:
    assert server.soap("bug list").text.split() == [bug.name for bug in BUGS]
    assert server.soap("bug none").status == 500


def test_each_key_of_the_configuration_that_is_read_is_documented() -> None:
    sources = [file.read_text(encoding="utf-8") for file in (REALM / "src").rglob("*.cpp")]
    read = {key for text in sources for key in re.findall(r'(?:Get\w+Default|GetPort)\("([\w.]+)"', text)}
    documented = re.findall(r"(?m)^([\w.]+) = ", (REALM / "worldserver.conf.dist").read_text(encoding="utf-8"))
    assert read == set(documented)
