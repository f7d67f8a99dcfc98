"""The settings: how values are read, what is said of wrong ones, and that every page about them says the same."""

import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from typing import Any

import pytest

from bot import report
from bot import settings as module
from bot.faults import SettingsError
from bot.settings import NAMES, Settings, load, machine_zone, state_folder
from pipeline.model import Approval

ROOT = Path(__file__).parents[2]
REQUIRED = ("SOURCE_DIR", "SERVER_DIR", "SERVER_COMMAND")
DISCORD = {"DISCORD_TOKEN": "token-value", "DISCORD_GUILD_ID": "1", "DISCORD_CHANNEL_ID": "2"}
SECRET = "hunter2-and-more"


class Place:
    """An empty working folder, an environment without settings, and two folders that settings may name."""

    def __init__(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder = folder
        self.source, self.server = folder / "source", folder / "server"
        self.source.mkdir()
        self.server.mkdir()
        self._monkeypatch = monkeypatch
        monkeypatch.chdir(folder)
        for name in NAMES:
            monkeypatch.delenv(name, raising=False)
        self.set(SOURCE_DIR=str(self.source), SERVER_DIR=str(self.server), SERVER_COMMAND="./worldserver")

    def set(self, **values: str) -> None:
        for name, value in values.items():
            self._monkeypatch.setenv(name, value)

    def unset(self, *names: str) -> None:
        for name in names:
            self._monkeypatch.delenv(name)

    def faults(self, values: Mapping[str, str], *, sandbox: bool = True) -> list[str]:
        """What is said of these values."""
        self.set(**values)
        with pytest.raises(SettingsError) as caught:
            load(sandbox=sandbox)
        return caught.value.faults


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    return Place(tmp_path, monkeypatch)


# --- the pages -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """One row of docs/settings.md."""

    group: str
    name: str
    default: str
    what: str
    example: str


@dataclass(frozen=True)
class Entry:
    """One setting of .env.example."""

    group: str
    name: str
    value: str
    commented: bool
    help: str


def read_example() -> list[Entry]:
    entries, group, line_before = [], "", ""
    for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines():
        if heading := re.fullmatch(r"# --- (\w+).* -+", line):
            group = heading[1]
        elif setting := re.fullmatch(r"(#?)([A-Z_]+)=(.*)", line):
            entries.append(Entry(group, setting[2], setting[3], bool(setting[1]), line_before.removeprefix("# ")))
        line_before = line
    return entries


def read_page() -> list[Row]:
    rows, group = [], ""
    for line in (ROOT / "docs" / "settings.md").read_text(encoding="utf-8").splitlines():
        if line.startswith("## "):
            group = line[3:]
        cells = [cell.strip() for cell in line.strip("|").split(" |")]
        if line.startswith("| `") and group:
            rows.append(Row(group, cells[0].strip("`"), *cells[1:4]))
    return rows


def spans(cell: str) -> list[str]:
    return re.findall(r"`([^`]*)`", cell)


def test_the_example_file_names_every_setting_in_the_order_of_the_code() -> None:
    assert tuple(entry.name for entry in read_example()) == NAMES


def test_the_page_names_every_setting_in_the_groups_of_the_example_file() -> None:
    assert [(row.group, row.name) for row in read_page()] == [(entry.group, entry.name) for entry in read_example()]


def test_the_groups_are_those_of_the_code() -> None:
    source = (ROOT / "bot" / "settings.py").read_text(encoding="utf-8").partition("class Settings(")[2]
    groups: list[tuple[str, str]] = []
    group = ""
    for line in source.splitlines():
        if heading := re.fullmatch(r"    # (\w+)", line):
            group = heading[1]
        elif (field := re.match(r"    (\w+): ", line)) and field[1].upper() in NAMES:
            groups.append((group, field[1].upper()))
    assert groups == [(entry.group, entry.name) for entry in read_example()]


def test_only_required_settings_stand_without_a_hash_and_they_are_empty() -> None:
    open_ones = {entry.name: entry.value for entry in read_example() if not entry.commented}
    assert open_ones == dict.fromkeys((*DISCORD, *REQUIRED), "")


def test_every_default_of_the_example_file_is_the_one_of_the_code(place: Place) -> None:
    implied = dump(load(sandbox=True))
    named = {entry.name: entry.value for entry in read_example() if entry.value}
    place.set(**named)
    assert dump(load(sandbox=True)) == implied
    plain = {name for name, value in implied.items() if value not in (None, (), {}) and name not in REQUIRED}
    assert set(named) == plain - {"STATE_DIR"}, "every default that is a value is shown, and no other"


def test_the_example_file_can_be_copied_and_filled_in(place: Place) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    for name, value in {**DISCORD, **{each: getattr_env(place, each) for each in REQUIRED}}.items():
        text = text.replace(f"\n{name}=\n", f"\n{name}={value}\n")
    place.unset(*REQUIRED)
    (place.folder / ".env").write_text(text, encoding="utf-8")
    assert load().server_dir == place.server


def getattr_env(place: Place, name: str) -> str:
    return {"SOURCE_DIR": str(place.source), "SERVER_DIR": str(place.server), "SERVER_COMMAND": "./worldserver"}[name]


def test_every_default_of_the_page_is_the_one_of_the_example_file() -> None:
    example = {entry.name: entry for entry in read_example()}
    for row in read_page():
        entry = example[row.name]
        shown = row.default if re.fullmatch(r"`[^`]+`", row.default) else ""
        assert shown.strip("`") == entry.value, f"{row.name}: the page says {row.default}"
        assert (row.default == "required") == (not entry.commented), row.name


def test_every_setting_has_a_sentence_of_help_on_both_pages() -> None:
    for name, text in [(each.name, each.help) for each in read_example()] + [(r.name, r.what) for r in read_page()]:
        assert text[:1].isupper() and re.search(r"[.)]$", text), f"{name}: {text!r}"


EXAMPLES = [
    (row.name, example)
    for row in read_page()
    if row.name not in ("SOURCE_DIR", "SERVER_DIR")
    for example in spans(row.example)
]


@pytest.mark.parametrize(("name", "example"), EXAMPLES, ids=[f"{name}={value}" for name, value in EXAMPLES])
def test_every_example_of_the_page_is_understood(place: Place, name: str, example: str) -> None:
    default = dump(load(sandbox=True))[name]
    place.set(**{name: example})
    understood = dump(load(sandbox=True))[name]
    assert understood != default or name in ("BUILD_TARGET", "SERVER_COMMAND"), "an example shows something else"


def dump(settings: Settings) -> dict[str, Any]:
    return {name.upper(): value for name, value in settings.model_dump().items()}


# --- how values are read ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("2m", 120), ("1h30m", 5400), ("1d", 86400), ("45", 45), ("1.5h", 5400), (" 2 M ", 120), ("0", 0)],
)
def test_a_duration_is_numbers_with_units(text: str, seconds: float) -> None:
    assert module.read_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("text", ["soon", "5x", "m5", "1h 30", "-5m", "10:00", "1,5h"])
def test_a_wrong_duration_is_refused_with_its_cure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration: write it as 90s, 2m or 1h30m"):
        module.read_duration(text)


@pytest.mark.parametrize(
    ("text", "size"), [("5G", 5 << 30), ("500M", 500 << 20), ("1.5GiB", 3 << 29), ("10 kb", 10 << 10), ("42", 42)]
)
def test_a_size_is_a_number_with_a_unit(text: str, size: int) -> None:
    assert module.read_size(text) == size


@pytest.mark.parametrize("text", ["much", "5X", "-1G", "1e9"])
def test_a_wrong_size_is_refused_with_its_cure(text: str) -> None:
    with pytest.raises(ValueError, match="is not a size: write it as 5G or 500M"):
        module.read_size(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("./worldserver -c realm.conf", ("./worldserver", "-c", "realm.conf")),
        ("'./my server' \"a b\" c", ("./my server", "a b", "c")),
        ("run --name=it\\ is", ("run", "--name=it is")),
        ("a#b # c", ("a#b", "#", "c")),
        ("", ()),
    ],
)
def test_words_are_split_as_a_posix_shell_does(text: str, words: tuple[str, ...]) -> None:
    assert module.split_words(text, windows=False) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (r"C:\realm\worldserver.exe -c D:\conf", (r"C:\realm\worldserver.exe", "-c", r"D:\conf")),
        (r'"C:\Program Files\realm\worldserver.exe" -s', (r"C:\Program Files\realm\worldserver.exe", "-s")),
        (r"\\host\share\x.exe", (r"\\host\share\x.exe",)),
    ],
)
def test_on_windows_a_backslash_is_part_of_a_path(text: str, words: tuple[str, ...]) -> None:
    assert module.split_words(text, windows=True) == words


def test_an_open_quote_is_refused() -> None:
    with pytest.raises(ValueError, match="look at its quotes"):
        module.split_words("a 'b")


def test_lists_are_split_by_commas_and_hold_no_empty_parts() -> None:
    assert module.split_commas(" src/** , ,modules/**,") == ("src/**", "modules/**")


def test_pairs_keep_further_equals_signs_and_empty_values() -> None:
    assert module.read_pairs("A=1 'B=two words' C=x=y D=") == {"A": "1", "B": "two words", "C": "x=y", "D": ""}


@pytest.mark.parametrize(("text", "place"), [("A", 1), ("=1", 1), ("A=1 hunter2", 2)])
def test_a_pair_without_name_or_equals_sign_is_refused_by_its_place_alone(text: str, place: int) -> None:
    with pytest.raises(ValueError, match=f"look at word {place}") as refused:
        module.read_pairs(text)
    assert "hunter2" not in str(refused.value)


def test_a_byte_order_mark_does_not_hide_the_first_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / ".env").write_text("REALM_NAME=Old Realm\n", encoding="utf-8-sig")
    monkeypatch.chdir(tmp_path)
    given = {"source_dir": tmp_path, "server_dir": tmp_path, "server_command": ("worldserver",)}
    assert module.load(sandbox=True, state_dir=tmp_path.parent / "state", **given).realm_name == "Old Realm"


def test_hours_are_spans_over_midnight_too() -> None:
    assert module.read_hours("18:00-23:30, 22:00 - 02:00") == ((time(18), time(23, 30)), (time(22), time(2)))


@pytest.mark.parametrize("text", ["18:00", "18:00-23:30-24:00", "evening", "25:00-26:00"])
def test_wrong_hours_are_refused_with_their_cure(text: str) -> None:
    with pytest.raises(ValueError, match="write it as 18:00-23:30, 06:00-07:00"):
        module.read_hours(text)


def test_artifacts_are_globs_with_an_optional_folder() -> None:
    read = module.read_artifacts("bin/worldserver => bin, lib/*.so")
    assert read == (("bin/worldserver", "bin"), ("lib/*.so", None))


def test_an_artifact_with_two_arrows_is_refused() -> None:
    with pytest.raises(ValueError, match="glob => folder"):
        module.read_artifacts("a => b => c")


@pytest.mark.parametrize("text", ["soap://127.0.0.1:7878", "ra://realm.example.org:3443", "ra://host:3443/", "signal"])
def test_a_console_is_an_address_or_the_word_signal(text: str) -> None:
    assert module.read_console(text) == text


@pytest.mark.parametrize("text", ["soap://127.0.0.1", "telnet://host:23", "Signal", "ra://user:pw@host:3443", ""])
def test_another_console_is_refused_with_its_cure(text: str) -> None:
    with pytest.raises(ValueError, match=r"soap://127\.0\.0\.1:7878, ra://127\.0\.0\.1:3443 or signal"):
        module.read_console(text)


@pytest.mark.parametrize(
    ("platform", "environment", "folder"),
    [
        ("linux", {"XDG_STATE_HOME": "/var/state"}, Path("/var/state/spirit-healer")),
        ("linux", {}, Path.home() / ".local" / "state" / "spirit-healer"),
        ("win32", {"LOCALAPPDATA": "C:/Users/me/AppData/Local"}, Path("C:/Users/me/AppData/Local/spirit-healer")),
        ("win32", {}, Path.home() / "AppData" / "Local" / "spirit-healer"),
    ],
)
def test_the_state_folder_is_the_users_own(platform: str, environment: Mapping[str, str], folder: Path) -> None:
    assert module.state_folder(environment, platform) == folder


# --- where values come from ------------------------------------------------------------------------------------------


def test_the_environment_wins_over_the_file(place: Place) -> None:
    (place.folder / ".env").write_text("REALM_NAME=from the file\nAPPROVAL=patch\n", encoding="utf-8")
    place.set(REALM_NAME="from the environment")
    settings = load(sandbox=True)
    assert (settings.realm_name, settings.approval) == ("from the environment", Approval.PATCH)


def test_a_setting_left_empty_has_its_default(place: Place) -> None:
    place.set(SERVER_SOAK="", BUILD_JOBS="", APPROVAL="")
    settings = load(sandbox=True)
    assert (settings.server_soak, settings.build_jobs, settings.approval) == (timedelta(minutes=2), None, Approval.NONE)


def test_fuzz_a_settings_file_of_another_code_page_is_refused_in_a_sentence(place: Place) -> None:
    (place.folder / ".env").write_bytes("REALM_NAME=Nächtlich\n".encode("cp1252"))
    assert place.faults({}) == [".env: is not written in UTF-8 (byte 12): save it as UTF-8"]


def test_a_settings_file_as_notepad_writes_unicode_is_refused_in_a_sentence(place: Place) -> None:
    (place.folder / ".env").write_bytes("REALM_NAME=x\n".encode("utf-16"))
    assert place.faults({}) == [".env: is not written in UTF-8 (byte 0): save it as UTF-8"]


def test_a_folder_by_the_name_of_the_settings_file_is_passed_over(place: Place) -> None:
    (place.folder / ".env").mkdir()  # as people call their virtual environments
    assert load(sandbox=True).server_dir == place.server


def test_fuzz_what_cannot_be_counted_is_refused_in_a_sentence(place: Place) -> None:
    endless = "9" * 400
    assert place.faults({"SERVER_SOAK": f"{endless}d", "MIN_FREE_DISK": endless, "STATE_DIR": endless}) == [
        "MIN_FREE_DISK: is larger than any disk: write it as 5G or 500M",
        "SERVER_SOAK: is longer than a year: write it as 90s, 2m or 1h30m",
    ]
    place.set(SERVER_SOAK="2m", MIN_FREE_DISK="5G", STATE_DIR=str(place.folder))
    assert place.faults({"SOURCE_DIR": endless})[0].startswith("SOURCE_DIR: ")


def test_a_byte_that_is_no_utf_8_is_refused_in_a_sentence_and_not_shown(place: Place) -> None:
    wrong = {
        "SERVER_DIR": "/realm/serv\udcf6r",
        "SERVER_COMMAND": "./worldserver -c k\udcf6nig.conf",
        "SERVER_ENV": "A=\udcf6",
    }
    says = "holds a byte that is no UTF-8: write it in UTF-8, and rename what it names if need be"
    assert sorted(place.faults(wrong)) == [f"{name}: {says}" for name in ("SERVER_COMMAND", "SERVER_DIR", "SERVER_ENV")]


def test_names_in_the_file_that_are_not_ours_do_no_harm(place: Place) -> None:
    (place.folder / ".env").write_text("SOMETHING_ELSE=1\nREALM_NAME=Nächtlich\n", encoding="utf-8")
    assert load(sandbox=True).realm_name == "Nächtlich"


def test_the_settings_cannot_be_changed(place: Place) -> None:
    settings = load(sandbox=True)
    with pytest.raises(ValueError, match="frozen"):
        settings.realm_name = "another"


# --- what is said of wrong values ------------------------------------------------------------------------------------


def test_every_fault_has_a_line_of_its_own_with_name_and_cure(place: Place) -> None:
    place.unset("SERVER_COMMAND")
    gone = str(place.folder / "gone")
    faults = place.faults({"SERVER_SOAK": "soon", "APPROVAL": "maybe", "SOURCE_DIR": gone, "MAX_FILES": "0"})
    assert faults == [
        f"SOURCE_DIR: {gone} is not a folder: give the path of one that exists",
        "SERVER_COMMAND: is missing: set it in the environment or in .env (see .env.example)",
        "SERVER_SOAK: is not a duration: write it as 90s, 2m or 1h30m",
        "APPROVAL: is none of its words: write it as none, patch or deploy",
        "MAX_FILES: is too small: give at least 1",
    ]


def test_without_sandbox_discord_is_required(place: Place) -> None:
    place.set(DISCORD_GUILD_ID="1")
    faults = place.faults({}, sandbox=False)
    assert faults == [
        f"{name}: is missing: docs/discord.md tells where to find it" for name in DISCORD if "GUILD" not in name
    ]


def test_the_example_file_copied_as_it_is_lacks_every_required_setting_at_once(place: Place) -> None:
    place.unset(*REQUIRED)
    (place.folder / ".env").write_text((ROOT / ".env.example").read_text(encoding="utf-8"), encoding="utf-8")
    faults = place.faults({}, sandbox=False)
    assert {line.partition(": is missing")[0] for line in faults} == {*REQUIRED, *DISCORD}
    faults = place.faults({"DISCORD_GUILD_ID": "my guild", "DISCORD_TOKEN": "t"}, sandbox=False)
    assert [line for line in faults if line.startswith("DISCORD")] == [
        "DISCORD_GUILD_ID: is no id of Discord: give the number alone, as docs/discord.md tells where to find it",
        "DISCORD_CHANNEL_ID: is missing: docs/discord.md tells where to find it",
    ]


@pytest.mark.parametrize("nothing", ["...", "   "])
def test_spaces_and_the_dots_of_an_example_line_are_as_nothing(place: Place, nothing: str) -> None:
    place.set(DISCORD_OPERATOR_ROLE_IDS=nothing, STATE_DIR=nothing, **dict.fromkeys(DISCORD, nothing))
    assert load(sandbox=True).discord_operator_role_ids == ()
    assert report.locate().state_dir == state_folder()
    assert [line.partition(": is missing")[0] for line in place.faults({}, sandbox=False)] == list(DISCORD)


def test_with_sandbox_discord_is_not_asked_for(place: Place) -> None:
    assert load(sandbox=True).discord_token is None


def test_the_state_folder_is_refused_inside_the_source(place: Place) -> None:
    faults = place.faults({"STATE_DIR": str(place.source / "state")})
    assert faults == ["STATE_DIR: lies inside SOURCE_DIR, which is never written: choose another folder"]


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("foo", "is no database that is known: begin it with postgresql+psycopg://, or leave it empty"),
        (
            f"mysql://a:{SECRET}@h/x",
            "is no database that is known: begin it with postgresql+psycopg://, or leave it empty",
        ),
        ("sqlite:///:memory:", "is no database that is known: begin it with postgresql+psycopg://, or leave it empty"),
        (
            f"postgresql+psycopg://a:{SECRET}@h:port/x",
            "is not the address of a database: write it as postgresql+psycopg://user:password@host/name",
        ),
    ],
)
def test_a_database_that_nobody_can_use_is_one_line_and_no_traceback(place: Place, value: str, fault: str) -> None:
    assert place.faults({"DATABASE_URL": value}) == [f"DATABASE_URL: {fault}"]


LIMITS = ("SERVER_STOP_TIMEOUT", "SERVER_READY_TIMEOUT", "BUILD_TIMEOUT", "ANALYST_TIMEOUT")


@pytest.mark.parametrize("name", LIMITS)
@pytest.mark.parametrize("value", ["0", "9s"])
def test_a_limit_that_breaks_everything_off_at_once_is_refused(place: Place, name: str, value: str) -> None:
    assert place.faults({name: value}) == [
        f"{name}: is too short, whatever it limits would be broken off at once: give at least 10s"
    ]


@pytest.mark.parametrize("name", [*LIMITS, "SERVER_SOAK", "SERVER_STOP_NOTICE"])
def test_a_duration_beyond_a_year_is_refused_before_it_is_added_to_a_moment(place: Place, name: str) -> None:
    for value in ("366d", "999999999999d", f"{'9' * 400}s"):
        assert place.faults({name: value}) == [f"{name}: is longer than a year: write it as 90s, 2m or 1h30m"]


@pytest.mark.parametrize(
    ("name", "value"),
    [("NO_RESTART_HOURS", "18:00Z-23:00Z"), ("DEPLOY_AT_LATEST", "06:00+02:00"), ("SUMMARY_TIME", "08:00Z")],
)
def test_an_hour_with_a_zone_of_its_own_is_refused_instead_of_breaking_the_deploy_lane(
    place: Place, name: str, value: str
) -> None:
    assert place.faults({name: value}) == [
        f"{name}: names a time zone: write the hour alone, as 06:00, and set TIMEZONE"
    ]


@pytest.mark.parametrize(
    ("value", "fault"),
    [('""', "is empty"), ("' '", "is empty"), (".", "names a folder"), ("../server", "names a folder")],
)
def test_a_command_without_a_program_is_refused_instead_of_being_tried_for_ever(
    place: Place, value: str, fault: str
) -> None:
    assert place.faults({"SERVER_COMMAND": value}) == [
        f"SERVER_COMMAND: {fault}: give the server's program and its arguments"
    ]


def test_a_tilde_is_the_home_of_whoever_runs_the_bot(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOME", "USERPROFILE"):
        monkeypatch.setenv(name, str(place.folder))
    place.set(STATE_DIR="~/state", SERVER_DIR="~/server", BUILD_DIR="~/build", SERVER_LOGS="~/log/Server.log, own.log")
    place.set(SERVER_COMMAND="~/bin/worldserver -c ~/etc/x.conf")
    settings, home = load(sandbox=True), place.folder
    assert (settings.state_dir, settings.server_dir, settings.build_dir) == (
        home / "state", place.server, home / "build",
    )  # fmt: skip
    assert settings.server_logs == (home / "log" / "Server.log", Path("own.log"))
    assert settings.server_command == (str(home / "bin" / "worldserver"), "-c", str(home / "etc" / "x.conf"))


if sys.platform != "win32":  # there another one's home is guessed to lie beside one's own

    def test_a_tilde_of_nobody_is_refused(place: Place) -> None:
        assert place.faults({"STATE_DIR": "~nobody-of-that-name/state"}) == [
            "STATE_DIR: begins with ~, and nobody's home is known by that name: write the path in full"
        ]


def test_folders_that_lie_in_each_other_are_refused_with_a_line_for_each_pair(place: Place) -> None:
    state = str(place.folder / "state")
    assert place.faults({"STATE_DIR": state, "BUILD_DIR": state, "ANALYST_QUEUE_DIR": f"{state}/source"}) == [
        "ANALYST_QUEUE_DIR: is STATE_DIR/source: choose a folder in which nothing else is, or leave it out",
        "BUILD_DIR: is STATE_DIR: choose a folder in which nothing else is, or leave it out",
        "BUILD_DIR: contains ANALYST_QUEUE_DIR: choose a folder in which nothing else is, or leave it out",
    ]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("TIMEZONE", "Mars/Olympus"),
        ("SERVER_READY_PATTERN", "(ready"),
        ("SERVER_CONSOLE", "telnet://host"),
        ("SERVER_PORT", "70000"),
        ("DISCORD_OPERATOR_ROLE_IDS", "1, everyone"),
        ("DEPLOY_AT_LATEST", "late"),
        ("SERVER_COMMAND", "'./worldserver"),
        ("BUILD_JOBS", "0"),
        ("KEEP_BUILDS", "1"),
    ],
)
def test_a_wrong_value_is_one_line_that_begins_with_its_name(place: Place, name: str, value: str) -> None:
    (fault,) = place.faults({name: value})
    assert fault.startswith(f"{name}: ") and "\n" not in fault


@pytest.mark.parametrize(
    ("name", "value", "fault"),
    [
        ("KEEP_BUILDS", "0", "is too small: give at least 2"),
        ("SERVER_PORT", "70000", "is too large: give at most 65535"),
        ("MAX_FILES", "ten", "is no whole number: write it in digits alone"),
        ("MAX_FILES", "9" * 5000, "is no number that can be counted: give a smaller one"),
    ],
)
def test_a_wrong_number_says_what_a_right_one_is(place: Place, name: str, value: str, fault: str) -> None:
    assert place.faults({name: value}) == [f"{name}: {fault}"]


@pytest.mark.parametrize(("name", "value"), [("SUMMARY_TIME", "25:00"), ("DEPLOY_AT_LATEST", "late")])
def test_a_wrong_time_says_how_it_is_written(place: Place, name: str, value: str) -> None:
    assert place.faults({name: value}) == [f"{name}: is no time of day: write it as 08:00"]


@pytest.mark.parametrize("name", ["DISCORD_GUILD_ID", "DISCORD_OPERATOR_USER_IDS", "SERVER_CONSOLE", "MIN_FREE_DISK"])
def test_a_secret_in_the_wrong_place_is_not_repeated(place: Place, name: str) -> None:
    (fault,) = place.faults({name: SECRET})
    assert SECRET not in fault


def test_a_secret_is_not_shown_by_the_settings_themselves(place: Place) -> None:
    hidden = {"DISCORD_TOKEN", "SERVER_CONSOLE_PASSWORD", "SANDBOX_TOKEN", "DATABASE_URL"}
    values = {name: f"{SECRET}-{name}" for name in hidden}
    values["DATABASE_URL"] = f"postgresql+psycopg://healer:{SECRET}@db/realm"
    place.set(**values, ANALYST_ENV="MODEL_KEY", MODEL_KEY=f"{SECRET}-key")
    settings = load(sandbox=True)
    assert SECRET not in repr(settings) and SECRET not in str(settings.model_dump())
    assert set(settings.secrets()) == {*values.values(), f"{SECRET}-key"}


def test_a_variable_tz_that_no_clock_can_follow_is_utc() -> None:
    def tell() -> datetime:
        raise ValueError("offset must be a timedelta strictly between")  # as TZ=XXX+25:61 does on Linux

    assert machine_zone(tell) is UTC
    assert machine_zone() is None
