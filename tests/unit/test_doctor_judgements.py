"""What the doctor makes of what it saw: traps of worldserver.conf, cores, supervisors' files, rights in a channel."""

import re
import shlex
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import discord
import pytest

from bot import doctor
from bot.doctor import analysts, channel, configuration, folders, machine, scripts
from bot.doctor.finding import Finding, Level, fail, ok, warn
from bot.settings import Settings
from pipeline.adapters import lldb
from pipeline.keeper.foreign import Ancestor, Found
from pipeline.keeper.memory import Who
from pipeline.keeper.protocol import SERVER_MARK


class Given(Settings):
    """Settings of a test: neither the environment nor a file is read."""

    @classmethod
    def settings_customise_sources(cls, settings_cls: Any, init_settings: Any, *_: Any, **__: Any) -> Any:
        return (init_settings,)


@pytest.fixture
def settings(tmp_path: Path) -> Given:
    return make(tmp_path)


def make(folder: Path, **others: Any) -> Given:
    for name in ("source", "server"):
        (folder / name).mkdir(exist_ok=True)
    given = {"source_dir": folder / "source", "server_dir": folder / "server", "state_dir": folder / "state"}
    return Given(**{**given, "server_command": ("./worldserver",), **others})


def examine(folder: Path, text: str, platform: str = "linux", **others: Any) -> list[tuple[str, Level]]:
    """Names and levels of what is said of a worldserver.conf."""
    given = make(folder, **others)
    found = configuration.Configuration(configuration.parse(text), given.server_env)
    return [(each.name, each.level) for each in configuration.examine(found, given, platform)]


# --- worldserver.conf ------------------------------------------------------------------------------------------------


def test_a_configuration_is_read_with_quotes_comments_and_blanks() -> None:
    text = """[worldserver]
# Ra.IP = "1.2.3.4"
Ra.IP = "127.0.0.1" # here
  SOAP.Port=7879
Appender.A=2,2,0,a.log,w
Motd = ""
"""
    assert configuration.parse(text) == {
        "Ra.IP": "127.0.0.1",
        "SOAP.Port": "7879",
        "Appender.A": "2,2,0,a.log,w",
        "Motd": "",
    }


@pytest.mark.parametrize(
    ("key", "variable"),
    [
        ("Console.Enable", "CONSOLE_ENABLE"),
        ("WorldServerPort", "WORLD_SERVER_PORT"),
        ("SOAP.IP", "SOAP_IP"),
        ("MaxCoreStuckTime", "MAX_CORE_STUCK_TIME"),
    ],
)
def test_a_keys_variable_is_named_as_the_server_names_it(key: str, variable: str) -> None:
    assert configuration.name_variable(key) == variable


def test_nothing_is_said_of_a_configuration_without_traps(tmp_path: Path) -> None:
    assert examine(tmp_path, "WorldServerPort = 8085\nConsole.Enable = 0\nRa.Enable = 0\nSOAP.Enabled = 0\n") == []


def test_a_console_at_standard_input_is_a_trap_on_windows_only(tmp_path: Path) -> None:
    text = "Console.Enable = 1\n"
    assert examine(tmp_path, text, "linux") == []
    assert examine(tmp_path, text, "win32") == [("Console.Enable", Level.WARN)]


def test_the_environment_overrides_the_file(tmp_path: Path) -> None:
    assert examine(tmp_path, "Console.Enable = 1\n", "win32", server_env={"TC_CONSOLE_ENABLE": "0"}) == []
    assert examine(tmp_path, "Console.Enable = 1\n", "win32", server_env={"AC_CONSOLE_ENABLE": "0"}) == []


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("Ra.Enable = 1\n", ["Ra.IP"]),
        ('Ra.Enable = 1\nRa.IP = "0.0.0.0"\n', ["Ra.IP"]),
        ('Ra.Enable = 1\nRa.IP = "127.0.0.1"\n', []),
        ('Ra.Enable = 0\nRa.IP = "0.0.0.0"\n', []),
        ("SOAP.Enabled = 1\n", []),
        ('SOAP.Enabled = 1\nSOAP.IP = "192.168.0.5"\n', ["SOAP.IP"]),
    ],
)
def test_a_console_open_to_the_network_is_a_trap(tmp_path: Path, text: str, names: list[str]) -> None:
    assert examine(tmp_path, text) == [(name, Level.WARN) for name in names]


@pytest.mark.parametrize(
    ("console", "text", "expected"),
    [
        ("soap://127.0.0.1:7878", "SOAP.Enabled = 0\n", [("SERVER_CONSOLE", Level.FAIL)]),
        ("soap://127.0.0.1:7878", "SOAP.Enabled = 1\n", []),
        ("soap://127.0.0.1:7878", "SOAP.Enabled = 1\nSOAP.Port = 7000\n", [("SERVER_CONSOLE", Level.FAIL)]),
        ("ra://127.0.0.1:3443", "SOAP.Enabled = 1\n", [("SERVER_CONSOLE", Level.FAIL)]),
        ("signal", "SOAP.Enabled = 0\n", []),
    ],
)
def test_the_console_of_the_settings_has_to_be_switched_on(
    tmp_path: Path, console: str, text: str, expected: list[tuple[str, Level]]
) -> None:
    assert examine(tmp_path, text, server_console=console) == expected


def test_another_world_port_would_never_be_ready(tmp_path: Path) -> None:
    assert examine(tmp_path, "WorldServerPort = 8086\n") == [("SERVER_PORT", Level.FAIL)]
    assert examine(tmp_path, "WorldServerPort = 8086\n", server_port=8086) == []
    assert examine(tmp_path, "WorldServerPort = 8086\n", server_port=0) == []


def test_a_configuration_that_names_no_world_port_says_nothing_of_it(tmp_path: Path) -> None:
    assert examine(tmp_path, "listener 18883 127.0.0.1\n", server_port=18883) == []


def test_logs_elsewhere_are_named(tmp_path: Path) -> None:
    assert examine(tmp_path, 'LogsDir = "logs"\n') == [("LogsDir", Level.WARN)]
    (tmp_path / "server" / "logs").mkdir()
    assert examine(tmp_path, 'LogsDir = "logs"\n') == [("SERVER_LOGS", Level.WARN)]
    assert examine(tmp_path, 'LogsDir = "logs"\n', server_logs=(Path("logs/Server.log"),)) == []


def test_a_freeze_detector_that_is_off_is_named(tmp_path: Path) -> None:
    assert examine(tmp_path, "MaxCoreStuckTime = 0\n") == [("MaxCoreStuckTime", Level.WARN)]


@pytest.mark.parametrize(
    "command", [("./worldserver", "-c", "etc/my.conf"), ("./worldserver", "--config=etc/my.conf"), ("./worldserver",)]
)
def test_the_file_is_the_one_of_the_command_or_the_usual_one(tmp_path: Path, command: tuple[str, ...]) -> None:
    given = make(tmp_path, server_command=command)
    usual, named = given.server_dir / "worldserver.conf", given.server_dir / "etc" / "my.conf"
    named.parent.mkdir()
    for each in (usual, named):
        each.touch()
    assert configuration.find_file(given) == (named if len(command) > 1 else usual)


# --- cores and debuggers ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pattern", "hard_limit", "level"),
    [
        ("core", -1, Level.OK),
        ("core.%p", 1 << 30, Level.OK),
        ("core", 0, Level.WARN),
        ("|/usr/share/apport/apport %p", -1, Level.WARN),
        ("|/usr/lib/systemd/systemd-coredump %P", -1, Level.WARN),
        ("", -1, Level.WARN),
        ("/nowhere/at/all/core.%p", -1, Level.WARN),
    ],
)
def test_a_core_has_to_become_a_file(tmp_path: Path, pattern: str, hard_limit: int, level: Level) -> None:
    (found,) = machine.judge_cores(pattern, hard_limit, tmp_path, None)
    assert found.level is level


def test_cores_that_systemd_keeps_are_asked_for_where_its_program_is(tmp_path: Path) -> None:
    pattern = "|/usr/lib/systemd/systemd-coredump %P"
    assert list(machine.judge_cores(pattern, -1, tmp_path, "/usr/bin/coredumpctl")) == [
        ok("cores", "are kept by systemd-coredump and asked for with /usr/bin/coredumpctl")
    ]


@pytest.mark.parametrize(
    ("pattern", "begins"),
    [
        ("|/usr/share/apport/apport -p%p", "sudo systemctl disable --now apport, then sudo sysctl"),
        (
            "|/usr/lib/systemd/systemd-coredump %P",
            "install coredumpctl (Debian: in the package systemd-coredump), or sudo sysctl",
        ),
        ("|", "sudo sysctl"),
    ],
)
def test_cores_that_go_to_a_program_have_the_cure_of_that_program(tmp_path: Path, pattern: str, begins: str) -> None:
    (found,) = machine.judge_cores(pattern, -1, tmp_path, None)
    assert found.level is Level.WARN and found.cure.startswith(begins)


def test_the_debugger_is_the_platforms_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for module in (machine, lldb):
        monkeypatch.setattr(
            module, "find_tool", lambda name: tmp_path / name if name in ("lldb-15", "lldb-19") else None
        )
    assert machine.judge_debugger("win32") == ok("lldb", str(tmp_path / "lldb-19"))
    assert machine.judge_debugger("linux").level is Level.WARN


# --- scripts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "platform", "level", "words"),
    [
        ("#!/bin/sh\n./worldserver -c realm.conf\n", "linux", Level.WARN, "without `exec`"),
        ("#!/bin/sh\nexec >> out.log 2>&1\n./worldserver\n", "linux", Level.WARN, "without `exec`"),
        ("#!/bin/sh\n# exec ./worldserver\n./worldserver\n", "linux", Level.WARN, "without `exec`"),
        ("#!/bin/sh\nulimit -c unlimited\nexec ./worldserver\n", "linux", Level.OK, "becomes the server"),
        ("#!/bin/sh\ncd /srv && exec ./worldserver\n", "linux", Level.OK, "becomes the server"),
        ("#!/bin/bash\nwhile true; do\n  ./worldserver\ndone\n", "linux", Level.WARN, "has a loop"),
        ("@echo off\r\nworldserver.exe\r\n", "win32", Level.WARN, "stands between"),
    ],
)
def test_a_script_has_to_become_the_server(text: str, platform: str, level: Level, words: str) -> None:
    found = scripts.judge_script("start.sh", text, platform)
    assert found.level is level and words in found.what


# --- room ------------------------------------------------------------------------------------------------------------

GIB = 1 << 30


@pytest.mark.parametrize(
    ("build", "archive", "same_disk", "level"),
    [
        ((20, 30), (5, 30), True, Level.OK),
        ((20, 22), (5, 22), True, Level.WARN),
        ((20, 22), (5, 22), False, Level.OK),
        ((20, 90), (5, 2), False, Level.WARN),
        ((0, 6), (5, 6), True, Level.OK),
    ],
)
def test_a_build_and_those_that_are_kept_have_to_fit(
    tmp_path: Path, build: tuple[int, int], archive: tuple[int, int], same_disk: bool, level: Level
) -> None:
    places = [folders.Room(tmp_path, needed * GIB, free * GIB) for needed, free in (build, archive)]
    assert folders.judge_room(*places, same_disk=same_disk).level is level


def test_the_room_that_is_short_is_told_with_sizes(tmp_path: Path) -> None:
    rooms = folders.Room(tmp_path, 20 * GIB, 22 * GIB), folders.Room(tmp_path, 5 * GIB, 22 * GIB)
    assert folders.judge_room(*rooms, same_disk=True) == warn(
        "room",
        f"a build takes about 20.0 GiB, the builds that are kept about 5.0 GiB, and 22.0 GiB are free in {tmp_path}",
        "free some space, move BUILD_DIR or STATE_DIR to a larger disk, or lower KEEP_BUILDS",
    )


def test_a_build_of_which_nothing_is_known_takes_no_bytes(tmp_path: Path) -> None:
    rooms = folders.Room(tmp_path, 0, 22 * GIB), folders.Room(tmp_path, 5 * GIB, 22 * GIB)
    said = folders.judge_room(*rooms, same_disk=True).what
    assert said == "the builds that are kept take about 5.0 GiB: there is room"
    said = folders.judge_room(rooms[0], folders.Room(tmp_path, 0, 22 * GIB), same_disk=True).what
    assert said == "the builds that are kept take no more than now: there is room"


# --- servers that live -----------------------------------------------------------------------------------------------

SHELL = Ancestor(Who(7, 1.0), "bash", ("-bash",))
LOOP = Ancestor(Who(7, 1.0), "bash", ("bash", "restarter.sh"))


@pytest.mark.parametrize(
    ("found", "level", "words"),
    [
        (Found(Who(9, 1.0), "me", True, {SERVER_MARK: "x.1"}), Level.OK, "the keeper that started it is ours"),
        (Found(Who(9, 1.0), "me", True, ancestors=(SHELL,)), Level.OK, "started by hand"),
        (Found(Who(9, 1.0), "me", True, ancestors=(LOOP,)), Level.FAIL, "looked after by a script"),
        (Found(Who(9, 1.0), "root", True), Level.FAIL, "as another user, root"),
    ],
)
def test_a_server_that_lives_is_judged_as_the_keeper_would(found: Found, level: Level, words: str) -> None:
    judged = machine.judge_live(found, "", "me")
    assert judged.level is level and words in judged.what


# --- supervisors' files ----------------------------------------------------------------------------------------------


def list_units(given: Settings, folder: Path, **units: str) -> list[Finding]:
    folder.mkdir()
    for name, text in units.items():
        (folder / f"{name}.service").write_text(text, encoding="utf-8")
    return list(machine.list_units(given, [folder]))


def test_a_unit_that_works_in_the_server_folder_is_named(settings: Given, tmp_path: Path) -> None:
    here = settings.server_dir
    found = list_units(
        settings,
        tmp_path / "units",
        realm=f"[Service]\nWorkingDirectory={here}\nExecStart={here}/worldserver\nRestart=always\n",
        other=f"[Service]\nExecStart={here}2/worldserver\n",
        ours=f"[Service]\nWorkingDirectory={here}\nExecStart=/opt/venv/bin/spirit-healer keeper\n",
    )
    assert [(each.level, each.what) for each in found] == [
        (Level.WARN, "the systemd unit realm.service works in SERVER_DIR")
    ]


def test_a_process_that_pm2_has_saved_is_named(settings: Given, tmp_path: Path) -> None:
    dump = tmp_path / "dump.pm2"
    assert list(machine.list_pm2(settings, dump)) == []
    dump.write_text(f'[{{"pm_cwd": "{settings.server_dir}"}}]', encoding="utf-8")
    assert [each.level for each in machine.list_pm2(settings, dump)] == [Level.WARN]


# --- rights in a channel ---------------------------------------------------------------------------------------------

GUILD, TEAM, BOT_ROLE, BOT = "1", "2", "3", "9"
VIEW, SEND = discord.Permissions(view_channel=True).value, discord.Permissions(send_messages=True).value
ALL_NEEDED = discord.Permissions(**dict.fromkeys(channel.NEEDED, True)).value


def guild(everyone: int = 0, bot: int = 0, **others: Any) -> dict[str, Any]:
    roles = [("@everyone", GUILD, everyone), ("team", TEAM, 0), ("bot", BOT_ROLE, bot)]
    return {"id": GUILD, "roles": [{"name": n, "id": i, "permissions": str(p)} for n, i, p in roles], **others}


def room(*exceptions: tuple[str, int, int], **others: Any) -> dict[str, Any]:
    overwrites = [{"id": who, "allow": str(allow), "deny": str(deny)} for who, allow, deny in exceptions]
    return {"id": "5", "type": 0, "name": "night", "guild_id": GUILD, "permission_overwrites": overwrites, **others}


@pytest.mark.parametrize(
    ("where", "there", "roles", "member", "expected"),
    [
        (guild(VIEW), room(), [], "", VIEW),
        (guild(VIEW), room((GUILD, 0, VIEW)), [], "", 0),
        (guild(VIEW), room((GUILD, 0, VIEW), (TEAM, VIEW, 0)), [TEAM], "", VIEW),
        (guild(VIEW), room((GUILD, 0, VIEW), (TEAM, VIEW, 0)), [BOT_ROLE], "", 0),
        (guild(VIEW, SEND), room((BOT, 0, SEND)), [BOT_ROLE], BOT, VIEW),
        (guild(0, VIEW), room((TEAM, 0, VIEW), (BOT_ROLE, VIEW, 0)), [TEAM, BOT_ROLE], "", VIEW),
        (guild(0, 8), room((BOT_ROLE, 0, VIEW)), [BOT_ROLE], BOT, discord.Permissions.all().value),
        (guild(0, owner_id=BOT), room(), [], BOT, discord.Permissions.all().value),
    ],
    ids=["role", "denied", "role again", "other role", "member", "allow wins", "administrator", "owner"],
)
def test_rights_add_up_as_discord_adds_them(
    where: Any, there: Any, roles: list[str], member: str, expected: int
) -> None:
    assert channel.compute_rights(where, there, roles, member).value == expected


def judge(folder: Path, where: Any, there: Any, **others: Any) -> dict[str, Finding]:
    given = make(folder, **{"discord_guild_id": int(GUILD), "discord_channel_id": 5, **others})
    member = {"roles": [BOT_ROLE], "user": {"id": BOT}}
    answers = channel.Answers("healer", guild=where, channel=there, member=member, commands=[])
    return {each.name: each for each in channel.judge(answers, given)}


def test_a_private_channel_with_every_right_is_well(tmp_path: Path) -> None:
    there = room((GUILD, 0, VIEW), (TEAM, VIEW, 0), (BOT_ROLE, ALL_NEEDED, 0))
    found = judge(tmp_path, guild(ALL_NEEDED), there, discord_operator_role_ids=(int(TEAM),))
    assert {each.level for each in found.values()} == {Level.OK}
    assert found["readers"].what == "#night is read by: bot, team"
    assert found["operators"].what == "team"


def test_missing_rights_are_named_as_discord_shows_them(tmp_path: Path) -> None:
    found = judge(tmp_path, guild(), room((BOT_ROLE, VIEW | SEND, 0)))
    assert found["rights"] == fail(
        "rights",
        "the bot lacks in #night: Embed Links, Attach Files, Read Message History, Create Public Threads, "
        "Send Messages in Threads",
        "give its role these permissions in that channel",
    )


def test_a_channel_that_everybody_reads_is_named(tmp_path: Path) -> None:
    assert judge(tmp_path, guild(VIEW, ALL_NEEDED), room())["readers"].level is Level.WARN


@pytest.mark.parametrize(
    ("there", "others", "name", "level"),
    [
        (room(type=2), {}, "DISCORD_CHANNEL_ID", Level.FAIL),
        (room(guild_id="7"), {}, "DISCORD_CHANNEL_ID", Level.FAIL),
        (None, {}, "DISCORD_CHANNEL_ID", Level.FAIL),
        (room(), {}, "operators", Level.WARN),
        (room(), {"discord_operator_role_ids": (77,)}, "DISCORD_OPERATOR_ROLE_IDS", Level.FAIL),
        (room(), {"discord_operator_role_ids": (int(GUILD),)}, "DISCORD_OPERATOR_ROLE_IDS", Level.WARN),
        (room(), {"discord_ping_role_id": 77}, "DISCORD_PING_ROLE_ID", Level.FAIL),
        (room(), {"discord_ping_role_id": int(TEAM)}, "DISCORD_PING_ROLE_ID", Level.WARN),
    ],
)
def test_what_would_not_work_in_the_channel_is_named(
    tmp_path: Path, there: Any, others: Mapping[str, Any], name: str, level: Level
) -> None:
    assert judge(tmp_path, guild(ALL_NEEDED), there, **others)[name].level is level


def test_a_bot_that_was_not_invited_is_named(tmp_path: Path) -> None:
    found = list(channel.judge(channel.Answers("healer"), make(tmp_path, discord_guild_id=1)))
    assert [(each.name, each.level) for each in found] == [("DISCORD_GUILD_ID", Level.FAIL)]


# --- the report ------------------------------------------------------------------------------------------------------


def test_the_report_has_a_line_for_each_and_its_cure_below() -> None:
    found = [ok("git", "git version 2.39"), warn("cores", "are forbidden", "raise it"), fail("rights", "no", "ask")]
    assert doctor.render(found) == (
        "[  ok  ] git: git version 2.39\n"
        "[ warn ] cores: are forbidden\n         -> raise it\n"
        "[ FAIL ] rights: no\n         -> ask\n"
        "\n1 to mend before the start, 1 to look at."
    )


def test_a_report_without_faults_says_so() -> None:
    assert doctor.render([ok("git", "git version 2.39")]).endswith("\n\nAll is well.")


def test_a_check_that_breaks_is_a_finding_and_hides_no_other(settings: Given, monkeypatch: pytest.MonkeyPatch) -> None:
    def check_nothing(_: Settings) -> list[Finding]:
        raise KeyError("unforeseen")

    monkeypatch.setattr(doctor, "CHECKS", (check_nothing, lambda _: [ok("git", "there")]))
    monkeypatch.setattr(doctor, "WITH_SANDBOX", ())
    first, second = doctor.check(settings, sandbox=True)
    assert (first.name, first.level) == ("nothing", Level.FAIL)
    assert "KeyError" in first.what and first.cure and second.level is Level.OK


def test_no_secret_is_in_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    given = make(tmp_path, discord_token="hunter2-and-more")
    monkeypatch.setattr(doctor, "CHECKS", (lambda _: [warn("x", "saw hunter2-and-more", "use hunter2-and-more")],))
    monkeypatch.setattr(doctor, "WITH_SANDBOX", ())
    (found,) = doctor.check(given, sandbox=True)
    assert "hunter2" not in found.what + found.cure


# --- signs in paths --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("platform", "path", "sign"), [
    ("linux", '/srv/a"b', '"'), ("linux", "/srv/a\\b", "\\"), ("linux", "/srv/a;b", ";"), ("linux", "/srv/ü #%'", None),
    ("win32", "C:\\srv\\b", None), ("win32", "C:\\a;b", ";"),
])  # fmt: skip
def test_a_sign_that_cmake_takes_in_no_path_is_found(platform: str, path: str, sign: str | None) -> None:
    assert folders.find_unbuildable(path, platform) == sign


def test_a_state_folder_in_which_nothing_can_be_built_is_named_with_its_sign(tmp_path: Path) -> None:
    state = tmp_path / 'a"b'
    what = f'{state} holds `"`, which cmake takes for something else in a path: nothing can be built'
    found = list(folders.check_state(make(tmp_path, state_dir=state)))
    assert found[0] == fail("STATE_DIR", what, "choose a folder without it")


def test_a_state_folder_at_whose_question_mark_the_databases_address_ends_is_named(tmp_path: Path) -> None:
    state = tmp_path / "a?b"
    what = f"{state} holds `?`, at which the database's address ends: it cannot be opened"
    assert fail("STATE_DIR", what, "choose a folder without it") in folders.check_state(make(tmp_path, state_dir=state))
    others = make(tmp_path, state_dir=state, database_url="postgresql+psycopg://db/realm")
    assert [each.level for each in folders.check_state(others)] == [Level.OK]


# --- the analyst -----------------------------------------------------------------------------------------------------

PAGE = Path(__file__).parents[2] / "docs" / "analysts.md"
AGENTS = re.findall(r"^\|[^|]+\| \*[a-z ]+\* \| `([^`]+)` \|", PAGE.read_text(encoding="utf-8"), re.MULTILINE)


def test_no_command_of_the_page_about_analysts_is_warned_of(tmp_path: Path) -> None:
    lines = {words[0]: (sys.executable, *words[1:]) for words in map(shlex.split, AGENTS)}
    found = {name: list(analysts.check_analyst(make(tmp_path, analyst_command=line))) for name, line in lines.items()}
    levels = {name: [(each.name, each.level) for each in said] for name, said in found.items()}
    assert levels == {name: [("ANALYST_COMMAND", Level.OK)] for name in ("claude", "codex", "gemini", "aider", "mini")}


@pytest.mark.parametrize(
    ("words", "ways"),
    [
        ((), "on its standard input"),
        (("exec", "-"), "on its standard input"),
        (("--file={prompt}",), "on its standard input and as {prompt}"),
        (("{request}", "{prompt}"), "on its standard input and as {prompt} and as {request}"),
    ],
)
def test_an_analyst_is_always_told_what_it_is_asked(tmp_path: Path, words: tuple[str, ...], ways: str) -> None:
    """Its standard input is the prompt, whatever its words name."""
    (found,) = analysts.check_analyst(make(tmp_path, analyst_command=(sys.executable, *words)))
    assert found == ok("ANALYST_COMMAND", f"{sys.executable}, which is given what it is asked {ways}")


def test_a_place_in_the_analysts_command_that_stands_for_nothing_is_said(tmp_path: Path) -> None:
    words = (sys.executable, "--ask={request}", "{foo}", '{"model": {"a": 1}}', "{worktree}")
    _, found = analysts.check_analyst(make(tmp_path, analyst_command=words))
    assert found == warn(
        "ANALYST_COMMAND",
        "{foo}: stands for nothing, and is given to the program as it is written",
        "write {prompt}, {request}, {response} or {worktree}, or leave it where the program knows it",
    )
