"""The doctor on real things: repositories, processes, sockets, databases, and the loopback Discord."""

import asyncio
import contextlib
import dataclasses
import http.server
import json
import os
import shutil
import socket
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from bot import doctor, realm
from bot.doctor import Finding, Level
from bot.doctor.folders import find_unbuildable
from bot.sandbox import Sandbox, redirect_discord
from bot.settings import Settings
from pipeline.adapters import builder_products
from pipeline.adapters.git import CLONE
from pipeline.keeper.protocol import Observed, ServerState

SECONDS = 30
SOAP_ANSWER = (
    '<?xml version="1.0"?><SOAP-ENV:Envelope xmlns:SOAP-ENV="http://schemas.xmlsoap.org/soap/envelope/">'
    "<SOAP-ENV:Body><ns1:executeCommandResponse xmlns:ns1='urn:TC'><result>TrinityCore rev. 0123456789ab</result>"
    "</ns1:executeCommandResponse></SOAP-ENV:Body></SOAP-ENV:Envelope>"
)


class Given(Settings):
    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, *_: Any, **__: Any) -> Any:
        return (init_settings,)


class Place:
    """A checkout with a remote, a server folder with a program and a log, and what the doctor says of them."""

    def __init__(self, folder: Path) -> None:
        self.source, self.remote, self.server = folder / "source", folder / "remote.git", folder / "server"
        self.state = folder / "state"
        self.server.mkdir()
        (self.server / "worldserver").write_bytes(b"\x7fELF, as far as anybody looks\n")
        (self.server / "worldserver").chmod(0o755)
        git(folder, "init", "-q", "--bare", "-b", "main", str(self.remote))
        git(folder, "init", "-q", "-b", "main", str(self.source))
        (self.source / "main.cpp").write_text("int main() {}\n", encoding="utf-8")
        git(self.source, "add", "-A")
        git(self.source, "commit", "-q", "-m", "begin")
        git(self.source, "remote", "add", "origin", str(self.remote))

    def log(self, text: str) -> None:
        (self.server / "Server.log").write_text(text, encoding="utf-8")

    def head(self) -> str:
        return git(self.source, "rev-parse", "--short=12", "HEAD")

    def settings(self, **others: Any) -> Settings:
        given = {"source_dir": self.source, "server_dir": self.server, "state_dir": self.state, "server_port": 0}
        return Given(**{**given, "server_command": ("./worldserver",), "min_free_disk": 1, **others})

    def ask(self, name: str, **others: Any) -> list[Finding]:
        """What is said under one name."""
        return [each for each in doctor.check(self.settings(**others), sandbox=True) if each.name == name]

    def levels(self, name: str, **others: Any) -> list[Level]:
        return [each.level for each in self.ask(name, **others)]


def git(folder: Path, *arguments: str) -> str:
    me = ["-c", "user.name=Realm owner", "-c", "user.email=owner@realm.invalid", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", *me, *arguments], cwd=folder, check=True, capture_output=True, timeout=SECONDS)
    return done.stdout.decode().strip()


def listing(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Every file with its time and content."""
    files = (each for each in sorted(folder.rglob("*")) if each.is_file())
    return {str(each.relative_to(folder)): (each.stat().st_mtime_ns, each.read_bytes()) for each in files}


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


def test_a_place_that_is_well_has_no_fail_and_every_other_finding_a_cure(place: Place) -> None:
    place.log(f"TrinityCore rev. {place.head()} 2026-01-31\n(worldserver-daemon) ready...\n")
    found = doctor.check(place.settings(), sandbox=True)
    assert [each for each in found if each.level is Level.FAIL] == []
    assert [each for each in found if each.level is not Level.OK and not each.cure] == []
    assert {"git", "cmake", "compiler", "SERVER_READY_PATTERN", "revision"} <= {each.name for each in found}


def test_nothing_of_the_users_is_written(place: Place) -> None:
    place.log("(worldserver-daemon) ready...\n")
    os.utime(place.source / "main.cpp", (1, 1))  # git would refresh its index for that
    before = [listing(each) for each in (place.source, place.server, place.remote)]
    doctor.check(place.settings(), sandbox=True)
    assert [listing(each) for each in (place.source, place.server, place.remote)] == before


# --- source ----------------------------------------------------------------------------------------------------------


def test_a_push_is_tried_dry(place: Place) -> None:
    assert place.levels("SOURCE_REMOTE") == [Level.OK]
    assert git(place.remote, "branch", "--list") == ""


def test_a_remote_that_is_gone_or_has_no_name_is_said(place: Place) -> None:
    assert place.levels("SOURCE_REMOTE", source_remote="upstream") == [Level.FAIL]
    shutil.rmtree(place.remote)
    (found,) = place.ask("SOURCE_REMOTE")
    assert found.level is Level.FAIL and "would fail" in found.what
    assert found.cure == (
        "see that it is there and that this machine reaches it; then store a login that may push and needs no typing "
        "(SSH key, credential helper), or name a fork of yours"
    )


def test_a_remotes_password_is_not_shown(place: Place) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://me:hunter2-and-more@127.0.0.1:{nobody.getsockname()[1]}/realm.git"
        git(place.source, "remote", "set-url", "origin", address)
        (found,) = place.ask("SOURCE_REMOTE")
    assert found.level is Level.FAIL
    assert "hunter2" not in found.what + found.cure


def test_a_folder_that_is_no_repository_is_said(place: Place, tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    assert place.levels("SOURCE_DIR", source_dir=tmp_path / "plain") == [Level.FAIL]


def test_repositories_inside_the_source_are_said_in_words(place: Place) -> None:
    git(place.source, "init", "-q", "modules/mod-eluna")
    (found,) = place.ask("SOURCE_DIR")
    assert found.level is Level.FAIL
    assert "`modules/mod-eluna` is a repository of its own inside SOURCE_DIR" in found.what


def test_a_file_that_was_only_touched_is_no_change(place: Place) -> None:
    os.utime(place.source / "main.cpp", (1, 1))
    index = (place.source / ".git" / "index").read_bytes()
    assert place.levels("SOURCE_DIR") == []
    assert (place.source / ".git" / "index").read_bytes() == index


def test_changes_that_are_not_committed_are_said(place: Place) -> None:
    (place.source / "main.cpp").write_text("int main() { return 1; }\n", encoding="utf-8")
    assert place.levels("SOURCE_DIR") == [Level.WARN]


def test_a_base_branch_has_to_be_there(place: Place) -> None:
    assert place.levels("SOURCE_BASE_BRANCH", source_base_branch="main") == [Level.OK]
    assert place.levels("SOURCE_BASE_BRANCH", source_base_branch="master") == [Level.FAIL]
    git(place.source, "checkout", "-q", "--detach")
    assert place.levels("SOURCE_BASE_BRANCH") == [Level.FAIL]


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("rev. {head} x", Level.OK),
        ("rev. {head}+ x", Level.WARN),
        ("rev. 0123456789ab x", Level.WARN),
        ("", Level.WARN),
    ],
)
def test_the_commit_that_the_server_runs_is_looked_up(place: Place, line: str, level: Level) -> None:
    place.log(line.format(head=place.head()) + "\n")
    found = place.ask("revision") + place.ask("SERVER_COMMIT")
    assert [each.level for each in found] == [level]


def test_a_build_of_ours_is_known_by_its_commit_and_one_that_lay_there_is_not(place: Place) -> None:
    place.log("a server that prints no revision\n")
    place.state.mkdir(exist_ok=True)
    for build, levels in (("found-0123456789ab", [Level.WARN]), ("6c0ffee1" * 5, [Level.OK])):
        observed = Observed("k", 1, "boot", 0.0, ServerState.READY, 1, build=build)
        (place.state / "observed.json").write_text(json.dumps(dataclasses.asdict(observed)), encoding="utf-8")
        found = place.ask("SERVER_COMMIT")
        assert [each.level for each in found] == levels
    assert found[0].what == "what lies in SERVER_DIR is the bot's own build of 6c0ffee16c0f"


# --- server ----------------------------------------------------------------------------------------------------------


def test_a_program_that_is_not_there_or_may_not_be_run_is_said(place: Place) -> None:
    assert place.levels("SERVER_COMMAND") == [Level.OK]
    assert place.levels("SERVER_COMMAND", server_command=("./authserver",)) == [Level.FAIL]
    (place.server / "worldserver").chmod(0o644)
    (found,) = place.ask("SERVER_COMMAND")
    assert found.level is Level.FAIL and found.cure.startswith("chmod +x ")


def test_a_program_that_no_build_would_replace_is_said(place: Place) -> None:
    other = Path(sys.executable)
    (found,) = place.ask("SERVER_COMMAND", server_command=(str(other), "./worldserver"))
    assert (found.level, found.what) == (
        Level.FAIL,
        f"SERVER_DIR has no {other.name} that a new build could replace: {other} is looked after, but no fix can go "
        "live",
    )
    assert found.cure == (
        "name the server's own program in SERVER_DIR; what is to start it (nice, stdbuf, gdb) goes into a script "
        "there, which ends with `exec`"
    )
    start = place.server / "start.sh"
    start.write_text("#!/bin/sh\nexec nice -n 5 ./worldserver\n", encoding="utf-8")
    start.chmod(0o755)
    assert set(place.levels("SERVER_COMMAND", server_command=("./start.sh",))) == {Level.OK}
    assert place.levels("SERVER_COMMAND", server_command=(str(place.server / "worldserver"),)) == [Level.OK]


def test_a_ready_pattern_is_tried_on_the_log_as_it_is(place: Place) -> None:
    place.log("loading\nWorld initialized in 0 minutes 7 seconds\n")
    assert place.levels("SERVER_READY_PATTERN") == [Level.WARN]
    assert place.levels("SERVER_READY_PATTERN", server_ready_pattern="^World initialized") == [Level.OK]


def test_a_server_that_never_started_has_no_logs_and_that_is_no_fault(place: Place) -> None:
    assert place.levels("SERVER_LOGS") == [Level.OK]
    assert [each.what for each in place.ask("SERVER_COMMIT")] == [
        "what the server was built from is read from its log once it has started: there is no log yet"
    ]


def test_logs_of_other_names_are_said(place: Place) -> None:
    (place.server / "logs").mkdir()
    (place.server / "worldserver.conf").write_text('LogsDir = "logs"\n', encoding="utf-8")
    (place.server / "logs" / "world.log").touch()
    named, _ = place.ask("SERVER_LOGS")  # the other one is that none lies in LogsDir
    assert named.level is Level.WARN and named.what.endswith("logs/world.log")


def test_a_fix_of_ours_that_runs_is_known_by_our_clone(place: Place, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(place.source), str(place.state / CLONE))
    git(place.state / CLONE, "commit", "-q", "--allow-empty", "-m", "a fix of the night")
    ours = git(place.state / CLONE, "rev-parse", "--short=12", "HEAD")
    place.log(f"TrinityCore rev. {ours} 2026-01-31\n")
    (found,) = place.ask("revision")
    assert found.level is Level.OK and found.what == f"{ours} is in the bot's own clone"


def test_a_script_that_starts_the_server_is_said_and_never_replaced_by_a_build(place: Place) -> None:
    (place.server / "start.sh").write_text("#!/bin/sh\n./worldserver -c realm.conf\n", encoding="utf-8")
    (place.server / "start.sh").chmod(0o755)
    for command in (("./start.sh",), ("sh", "start.sh")):
        assert realm.program_below_server(place.settings(server_command=command)) == "worldserver"
        assert place.levels("SERVER_COMMAND", server_command=command) == [Level.OK, Level.WARN, Level.OK]
    (place.server / "worldserver").unlink()
    assert place.levels("SERVER_COMMAND", server_command=("./start.sh",)) == [Level.OK, Level.WARN, Level.FAIL]
    (place.server / "start.sh").rename(place.server / "worldserver")
    found = place.ask("SERVER_COMMAND")
    assert found[-1].level is Level.FAIL and "would replace it" in found[-1].what


def test_a_shells_own_words_start_the_target_of_the_build(place: Place) -> None:
    command = ("sh", "-c", "cd /; exec ./worldserver")
    assert realm.program_below_server(place.settings(server_command=command)) == "worldserver"


def test_a_build_like_another_has_that_ones_generator_and_compiler(place: Place, tmp_path: Path) -> None:
    like = tmp_path / "build"
    like.mkdir()
    (like / "CMakeCache.txt").write_text(
        f"CMAKE_GENERATOR:INTERNAL=Unix Makefiles\nCMAKE_CXX_COMPILER:FILEPATH={sys.executable}\n", encoding="utf-8"
    )
    assert [each.what for each in place.ask("generator", build_like=like)] == ["Unix Makefiles"]
    assert [each.what for each in place.ask("compiler", build_like=like)] == [sys.executable]
    chosen = {"build_like": like, "build_configure_args": ("-G", "Ninja Multi-Config")}
    assert [each.what for each in place.ask("generator", **chosen)] == [
        "Ninja Multi-Config, as BUILD_CONFIGURE_ARGS says"
    ]


def configure(source: Path, build: Path, *targets: str, generator: str = "Ninja") -> Path:
    """A build folder of a source that has just these targets."""
    source.mkdir(exist_ok=True)
    lines = ["cmake_minimum_required(VERSION 3.16)", "project(x NONE)", *(f"add_custom_target({x})" for x in targets)]
    (source / "CMakeLists.txt").write_text("\n".join(lines), encoding="utf-8")
    argv = ["cmake", "-G", generator, "-S", str(source), "-B", str(build)]
    subprocess.run(argv, check=True, capture_output=True, timeout=SECONDS)
    return build


CURE = "set BUILD_TARGET to the one that makes your server"


@pytest.mark.parametrize("generator", ["Ninja", "Unix Makefiles", "Ninja Multi-Config"])
def test_a_target_that_the_users_build_folder_lacks_is_named_with_those_that_resemble_it_first(
    place: Place, tmp_path: Path, generator: str
) -> None:
    like = configure(tmp_path / "like", tmp_path / "b", "authserver", "mpq", "worldserver", generator=generator)
    before = {path: path.stat().st_mtime_ns for path in like.rglob("*")}
    assert place.ask("BUILD_TARGET", build_like=like) == [
        Finding("BUILD_TARGET", Level.OK, f"worldserver, which {like} has")
    ]
    what = f"{like} has no target worldsrever; it has worldserver, authserver, mpq"
    assert place.ask("BUILD_TARGET", build_like=like, build_target="worldsrever") == [
        Finding("BUILD_TARGET", Level.FAIL, what, CURE)
    ]
    assert {path: path.stat().st_mtime_ns for path in like.rglob("*")} == before


def test_a_target_is_asked_of_our_own_build_folder_where_that_is_configured(place: Place, tmp_path: Path) -> None:
    like = configure(tmp_path / "like", tmp_path / "b", "worldserver")
    builder_products.ask(place.state / "build")
    configure(tmp_path / "like", place.state / "build", "gameserver")
    what = "our build folder has no target worldserver; it has gameserver"
    assert place.ask("BUILD_TARGET", build_like=like) == [Finding("BUILD_TARGET", Level.FAIL, what, CURE)]


def test_a_target_is_looked_for_later_where_nothing_is_configured_yet(place: Place) -> None:
    what = "worldserver: whether the source has it is seen when it is first configured"
    assert place.ask("BUILD_TARGET") == [Finding("BUILD_TARGET", Level.OK, what)]


class Soap(http.server.BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        body = SOAP_ANSWER.encode()
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(200 if self.headers.get("Authorization") else 401)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing is printed."""


@contextlib.contextmanager
def soap_console() -> Iterator[int]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Soap) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port
        finally:
            server.shutdown()
            thread.join(SECONDS)


def test_the_console_is_logged_in_to(place: Place) -> None:
    with soap_console() as port:
        login = {"server_console_user": "healer", "server_console_password": "hunter2-and-more"}
        (found,) = place.ask("SERVER_CONSOLE", server_console=f"soap://127.0.0.1:{port}", **login)
        assert found.what == "answers: TrinityCore rev. 0123456789ab"
        assert place.levels("SERVER_CONSOLE", server_console=f"soap://127.0.0.1:{port}") == [Level.FAIL]


def test_a_console_of_a_server_that_does_not_run_is_no_fault(place: Place) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but nobody listens
        port = nobody.getsockname()[1]
        login = {"server_console_user": "healer", "server_console_password": "hunter2-and-more", "server_port": port}
        assert place.levels("SERVER_CONSOLE", server_console=f"ra://127.0.0.1:{port}", **login) == [Level.WARN]


def test_another_program_on_the_world_port_is_said(place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        (found,) = place.ask("SERVER_PORT", server_port=taken.getsockname()[1])
        assert found.level is Level.FAIL and f"process {os.getpid()}" in found.what
        assert place.levels("SANDBOX_PORT", sandbox_port=taken.getsockname()[1]) == [Level.FAIL]


if sys.platform != "win32":  # a restarter loop is a shell script

    def test_a_restarter_loop_around_the_server_is_said(place: Place) -> None:
        shutil.copy("/bin/sleep", place.server / "worldserver")
        loop = 'echo "began"; while :; do ./worldserver 60; done'
        shell = subprocess.Popen(
            ["sh", "-c", loop],
            cwd=place.server,
            stdout=subprocess.PIPE,
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )
        try:
            wait_for_child(shell)
            (found,) = place.ask("supervisors", server_command=("./worldserver", "60"))
            assert found.level is Level.FAIL and "is looked after by a script" in found.what
        finally:
            os.killpg(shell.pid, 9)
            shell.communicate(timeout=SECONDS)


def wait_for_child(shell: subprocess.Popen[bytes]) -> None:
    """Until the loop has started the server: its exec is seen by the name of the program."""
    assert shell.stdout is not None and shell.stdout.readline() == b"began\n"
    done = threading.Event()
    for _ in range(SECONDS * 100):
        if any(each.name() == "worldserver" for each in psutil.Process(shell.pid).children()):
            return
        done.wait(0.01)
    raise AssertionError("the server was not started")


# --- folders and the database ----------------------------------------------------------------------------------------


def test_a_state_folder_is_tried(place: Place) -> None:
    assert place.levels("STATE_DIR") == [Level.OK]
    place.state.mkdir(mode=0o700)
    assert place.levels("STATE_DIR") == [Level.OK]
    assert list(place.state.glob("tmp*")) == []


if sys.platform != "win32":  # modes are POSIX's

    def test_a_state_folder_that_others_may_write_to_is_said(place: Place) -> None:
        place.state.mkdir()
        place.state.chmod(0o777)
        assert place.levels("STATE_DIR") == [Level.OK, Level.WARN]

    @pytest.mark.parametrize("mode", [0o755, 0o750, 0o711])
    def test_a_state_folder_that_others_may_read_is_said(place: Place, mode: int) -> None:
        place.state.mkdir()
        place.state.chmod(mode)
        _, found = place.ask("STATE_DIR")
        assert (found.level, found.what, found.cure) == (
            Level.WARN,
            f"others may read in {place.state}, where log lines, chat and crash reports lie",
            f"chmod go= {place.state}; if an analyst of another user reads the queue, give that its own "
            "ANALYST_QUEUE_DIR first",
        )


def test_a_state_folder_that_is_a_file_is_said(place: Place) -> None:
    place.state.touch()
    assert place.levels("STATE_DIR") == [Level.FAIL]


def test_a_disk_that_is_too_full_is_said(place: Place) -> None:
    assert place.levels("disk", min_free_disk=1 << 60) == [Level.FAIL, Level.FAIL]


def test_a_damaged_database_is_said(place: Place) -> None:
    place.state.mkdir(mode=0o700)
    file = place.state / "spirit-healer.sqlite"
    with contextlib.closing(sqlite3.connect(file)) as connection:
        connection.execute("CREATE TABLE t (x)")
        connection.commit()
    assert place.levels("database") == [Level.OK]
    file.write_bytes(b"SQLite format 3\0" + b"\xff" * 4000)
    assert place.levels("database") == [Level.FAIL]


def test_a_postgresql_that_is_away_is_said_without_its_password(place: Place) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"postgresql+psycopg://healer:hunter2-and-more@127.0.0.1:{nobody.getsockname()[1]}/realm"
        (found,) = place.ask("database", database_url=url)
    assert found.level is Level.FAIL and "hunter2" not in found.what + found.cure


def test_an_analyst_that_is_not_there_is_said(place: Place) -> None:
    assert place.levels("ANALYST_COMMAND") == [Level.OK]
    assert place.levels("ANALYST_COMMAND", analyst_command=(sys.executable, "{request}")) == [Level.OK]
    assert place.levels("ANALYST_COMMAND", analyst_command=("no-such-analyst", "{request}")) == [Level.FAIL]


# --- Discord ---------------------------------------------------------------------------------------------------------


async def ask_discord(place: Place, sandbox: Sandbox, **others: Any) -> dict[str, Finding]:
    redirect_discord(sandbox.port)
    given = {
        "discord_token": sandbox.token,
        "discord_guild_id": int(sandbox.guild_id),
        "discord_channel_id": int(sandbox.channel_id),
        "discord_operator_role_ids": (int(sandbox.operator_role_id),),
    }
    settings = place.settings(**{**given, **others})
    found = await asyncio.to_thread(doctor.check, settings, sandbox=False)
    return {each.name: each for each in found}


async def test_token_rights_and_readers_are_asked_of_discord(place: Place) -> None:
    async with await Sandbox.start() as sandbox:
        found = await ask_discord(place, sandbox)
    assert {name: found[name].level for name in ("DISCORD_TOKEN", "rights", "operators", "readers")} == {
        "DISCORD_TOKEN": Level.OK,
        "rights": Level.OK,
        "operators": Level.OK,
        "readers": Level.WARN,  # the sandbox's channel is open to its guest
    }


@pytest.mark.parametrize(
    ("others", "name"),
    [
        ({"discord_token": "hunter2-and-more"}, "DISCORD_TOKEN"),
        ({"discord_guild_id": 1}, "DISCORD_GUILD_ID"),
        ({"discord_channel_id": 1}, "DISCORD_CHANNEL_ID"),
        ({"discord_operator_role_ids": (1,)}, "DISCORD_OPERATOR_ROLE_IDS"),
    ],
)
async def test_what_discord_refuses_is_said(place: Place, others: dict[str, Any], name: str) -> None:
    async with await Sandbox.start() as sandbox:
        found = await ask_discord(place, sandbox, **others)
    assert found[name].level is Level.FAIL
    assert "hunter2" not in str(found)


async def test_a_discord_that_is_away_is_said(place: Place) -> None:
    async with await Sandbox.start() as sandbox:
        pass
    found = await ask_discord(place, sandbox)
    assert found["Discord"].level is Level.FAIL and "cannot be reached" in found["Discord"].what


def test_a_build_folder_that_holds_what_is_not_ours_is_named(place: Place, tmp_path: Path) -> None:
    taken = tmp_path / "fast" / "spirit-healer-build"
    taken.mkdir(parents=True)
    assert place.ask("BUILD_DIR", build_dir=taken.parent) == []
    (taken / "notes.txt").touch()
    assert place.ask("BUILD_DIR", build_dir=taken.parent) == [
        Finding(
            "BUILD_DIR",
            Level.FAIL,
            f"{taken} is where the bot builds, and holds `notes.txt`, which is not the bot's: nothing is built",
            "move what lies there away, or give another BUILD_DIR",
        )
    ]


@pytest.mark.parametrize("name", ['a"b', "a\\b", "a;b", "ü #%'b"])
def test_cmake_refuses_just_the_folders_that_the_doctor_names(tmp_path: Path, name: str) -> None:
    source = tmp_path / name / "source"
    source.mkdir(parents=True)
    (source / "CMakeLists.txt").write_text("cmake_minimum_required(VERSION 3.16)\nproject(x CXX)\n", encoding="utf-8")
    done = subprocess.run(["cmake", "-S", source, "-B", source.with_name("build")], capture_output=True, timeout=60)
    assert (done.returncode == 0) == (find_unbuildable(str(source), sys.platform) is None)
