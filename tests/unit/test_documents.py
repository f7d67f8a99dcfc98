"""What the pages say of commands, settings, states and files is what the code has."""

import configparser
import dataclasses
import re
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import click
import discord
import pytest
from aiohttp import web
from discord import app_commands

import pipeline
from bot import permissions
from bot.__main__ import main
from bot.client import COMMANDS
from bot.permissions import TABLE
from bot.sandbox.doors import Doors
from bot.sandbox.state import MessageState, Reply, SandboxState
from bot.settings import NAMES, Settings, read_duration
from pipeline.keeper.protocol import Hold, ServerState
from pipeline.model import TRANSITIONS, Progress, Question, RunState
from pipeline.status_models import Left, Need, OrderLine, PauseView, Rider, RunLine, Stale, StatusView, Topic
from pipeline.summary import (
    BranchLine,
    Chart,
    Counts,
    CrashLine,
    FixedLine,
    Mark,
    NightSummary,
    UndoneLine,
    UnfixedLine,
)
from pipeline.timeline import Span

ROOT = Path(__file__).parents[2]
README, ARCHITECTURE, CONTRIBUTING = (ROOT / name for name in ("README.md", "ARCHITECTURE.md", "CONTRIBUTING.md"))
PAGES = (README, ARCHITECTURE, CONTRIBUTING, *sorted((ROOT / "docs").glob("*.md")))
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)


def read(page: Path) -> str:
    return page.read_text(encoding="utf-8")


def list_rows(page: Path, begin: str) -> list[list[str]]:
    """The cells of table rows whose first cell begins with this."""
    lines = [line for line in read(page).splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split(" |")] for line in lines]
    return [row for row in rows if row[0].startswith(begin)]


def list_spans(text: str) -> list[str]:
    """Code spans outside of fenced blocks."""
    return re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```", "", text, flags=re.DOTALL | re.MULTILINE))


def list_blocks(page: Path) -> list[str]:
    return re.findall(r"^ *```\w*\n(.*?)^ *```", read(page), flags=re.DOTALL | re.MULTILINE)


# --- commands --------------------------------------------------------------------------------------------------------


def list_words(command: click.Command) -> set[str]:
    """Options and arguments as a usage line has them."""
    given = [each for each in command.params if isinstance(each, click.Option)]
    options = {
        opt for each in given for opt in (*each.opts, *([each.metavar.replace(".", "")] if each.metavar else []))
    }
    below = command.commands if isinstance(command, click.Group) else {}
    return (
        options
        | {"FILE" for each in command.params if isinstance(each, click.Argument)}
        | {word for name, each in below.items() for word in (name, *list_words(each))}
    )


def test_the_readme_has_the_commands_of_the_command_line_with_their_options() -> None:
    shown: dict[str, set[str]] = {}
    for row in list_rows(README, "`spirit-healer "):
        name, *options = row[0].strip("`").split()[1:]
        shown[name] = {re.sub(r"[\[\].]", "", each) for each in options}
    code = {name: list_words(command) for name, command in main.commands.items()}
    assert set(shown) == set(code)
    for name, words in shown.items():
        assert words <= code[name], f"spirit-healer {name} does not know {words - code[name]}"


def test_every_command_line_says_what_it_does() -> None:
    assert all((command.help or "").strip() for command in main.commands.values())


def build_tree() -> dict[str, app_commands.Command[Any, ..., Any]]:
    client = discord.Client(intents=discord.Intents.none())
    tree, guild = app_commands.CommandTree(client), discord.Object(1)
    for each in COMMANDS:
        each.register(tree, cast(Any, None), guild)
    return {each.name: each for each in tree.get_commands(guild=guild) if isinstance(each, app_commands.Command)}


def test_the_readme_has_the_commands_of_discord_with_their_options_and_who_may() -> None:
    shown: dict[str, tuple[set[str], str]] = {}
    for row in list_rows(README, "`/"):
        for span in list_spans(row[0]):
            name, *words = span.removeprefix("/").split()
            shown[name] = ({word.strip("[]<>") for word in words}, row[2])
    tree = build_tree()
    assert {name: words for name, (words, _) in shown.items()} == {
        name: {option.display_name for option in command.parameters} for name, command in tree.items()
    }
    who = {permissions.Need.MEMBER: "everyone", permissions.Need.OPERATOR: "operators"}
    assert {name: each for name, (_, each) in shown.items()} == {name: who[TABLE[name]] for name in tree}


def test_required_options_stand_in_other_brackets_than_optional_ones() -> None:
    for row in list_rows(README, "`/"):
        for span in list_spans(row[0]):
            name, *words = span.removeprefix("/").split()
            required = {option.display_name for option in build_tree()[name].parameters if option.required}
            assert {word.strip("<>") for word in words if word.startswith("<")} == required, span


A_COMMAND = re.compile(r"(?<![\w./~:>}])/([a-z][a-z-]+)(?![\w./}:-])")  # `/status`, and not a path or an address


@EVERY_PAGE
def test_every_command_that_a_page_names_is_there(page: Path) -> None:
    prose = re.sub(r"^ *```(?:sh|ini|powershell|json)\n.*?^ *```", "", read(page), flags=re.DOTALL | re.MULTILINE)
    assert set(A_COMMAND.findall(prose)) <= set(build_tree())


def test_every_command_that_a_message_names_is_there() -> None:
    for file in sorted((ROOT / "bot").glob("*.py")):
        said = set(re.findall(r"`/([a-z][a-z-]+)(?![\w./-])", read(file)))
        assert said <= set(build_tree()), f"{file.name} speaks of {said - set(build_tree())}"


# --- the sandbox -----------------------------------------------------------------------------------------------------


def test_the_calls_of_the_sandbox_are_those_of_its_page() -> None:
    app = web.Application()
    Doors(cast(Any, None), "token", cast(Any, None)).add_to(app)
    calls = {(each.method, each.resource.canonical) for each in app.router.routes() if each.resource is not None}
    shown = re.findall(r"`(GET|POST) (/[^`]*)`", read(ROOT / "docs" / "sandbox.md"))
    assert set(shown) == {each for each in calls if each[0] != "HEAD"}


def test_a_message_of_the_sandbox_has_the_keys_of_its_page() -> None:
    page = read(ROOT / "docs" / "sandbox.md")
    for shape in (MessageState, SandboxState, Reply):
        assert "{" + ", ".join(f'"{name}"' for name in shape.__annotations__) + "}" in page


# --- running it ------------------------------------------------------------------------------------------------------


def list_units() -> list[configparser.ConfigParser]:
    units = []
    for block in re.findall(r"```ini\n(.*?)```", read(ROOT / "docs" / "running.md"), flags=re.DOTALL):
        parser = configparser.ConfigParser(interpolation=None)
        parser.optionxform = str  # type: ignore[assignment]  # as configparser's own documentation does it
        parser.read_string(block)
        units.append(parser)
    return units


def test_the_units_start_commands_that_there_are_and_a_stop_reaches_only_its_process() -> None:
    services = [unit["Service"] for unit in list_units()]
    assert [each["ExecStart"].split()[1:] for each in services] == [["keeper"], ["run"]]
    assert all(each["KillMode"] == "process" and each["OOMPolicy"] == "continue" for each in services)


def test_the_keepers_unit_waits_longer_than_a_stop_may_take() -> None:
    keeper, _ = list_units()
    waits = read_duration(keeper["Service"]["TimeoutStopSec"].removesuffix("in"))
    assert waits > Settings.model_fields["server_stop_timeout"].default


# --- settings --------------------------------------------------------------------------------------------------------

# What a setting's name begins with; the other words of that form on the pages are states, keys and signals.
GROUPS = (
    "DATABASE|DISCORD|SOURCE|BUILD|SERVER|KEEP|ANALYST|APPROVAL|MAX|NO_RESTART|DEPLOY_AT|SUMMARY|SANDBOX|REALM|STATE"
)


def list_settings(text: str) -> Iterator[str]:
    yield from re.findall(rf"(?<![\w-])(?:{GROUPS})_[A-Z_]*[A-Z](?![\w-])", text)


@EVERY_PAGE
def test_every_setting_that_a_page_names_is_one(page: Path) -> None:
    assert set(list_settings(read(page))) <= set(NAMES)


def test_every_setting_that_a_message_names_is_one() -> None:
    for folder in ("bot", "pipeline"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            sentences = re.findall(r'"[^"\n]* [^"\n]*"', read(file))
            said = {word for each in sentences for word in list_settings(re.sub(r"\{[^}]*\}", "", each))}
            assert said <= set(NAMES), f"{file.relative_to(ROOT)} speaks of {said - set(NAMES)}"


# --- states ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", [pipeline.__doc__ or "", read(ARCHITECTURE)], ids=["pipeline", "ARCHITECTURE.md"])
def test_the_diagram_of_states_names_each_one(text: str) -> None:
    assert [state for state in RunState if not re.search(rf"\b{state}\b", text)] == []


@pytest.mark.parametrize("text", [pipeline.__doc__ or "", read(ARCHITECTURE)], ids=["pipeline", "ARCHITECTURE.md"])
def test_every_arrow_of_the_diagram_is_a_move_that_the_store_allows(text: str) -> None:
    arrows = re.findall(r"\b([A-Z_]{4,})(?= -> ([A-Z_]{4,}))", text)
    moves = [(RunState(before), RunState(after)) for before, after in arrows if before in RunState.__members__]
    assert len(moves) >= 7, "the diagram's main line was found"
    assert [move for move in moves if move[1] not in TRANSITIONS[move[0]]] == []


# --- files and links -------------------------------------------------------------------------------------------------


@EVERY_PAGE
def test_every_file_that_a_page_names_is_there(page: Path) -> None:
    ours = re.compile(r"(?:bot|pipeline|tests|docs|alembic|\.ci|\.github)/[\w./-]*")
    named = [span for span in list_spans(read(page)) if ours.fullmatch(span)]
    assert [each for each in named if not (ROOT / each).exists()] == []


@EVERY_PAGE
def test_every_link_to_a_page_of_ours_leads_somewhere(page: Path) -> None:
    links = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", read(page))
    assert [each for each in links if not (page.parent / each).exists()] == []


def test_every_page_that_the_code_points_to_is_there() -> None:
    files = [file for folder in ("bot", "pipeline") for file in (ROOT / folder).rglob("*.py")]
    named = {name for file in files for name in re.findall(r"docs/[\w-]+\.md", read(file))}
    assert named and [each for each in sorted(named) if not (ROOT / each).is_file()] == []


# --- set-up ----------------------------------------------------------------------------------------------------------


def test_the_readme_sets_up_with_one_command_each_for_the_demo_and_the_tests() -> None:
    commands = [block.strip() for block in list_blocks(README) if block.startswith("python3 -m venv")]
    assert len(commands) == 2 and not any("\n" in each for each in commands)
    demo, tests = commands
    assert demo.endswith("spirit-healer demo --once")
    assert "-c constraints.txt" in tests and "-m pytest" in tests


def test_ci_takes_its_test_command_from_the_readme() -> None:
    first = next(block for block in list_blocks(README) if "pytest" in block)
    assert "venv" in first, "the first block with the word is what .ci/run plays"
    assert "readme_command pytest" in read(ROOT / ".ci" / "run")


def test_the_workflow_plays_the_same_script() -> None:
    assert "bash .ci/run" in read(ROOT / ".github" / "workflows" / "ci.yml")


def test_the_layers_are_those_that_are_held() -> None:
    with (ROOT / "pyproject.toml").open("rb") as file:
        contracts = tomllib.load(file)["tool"]["importlinter"]["contracts"]
    (held,) = [each["layers"] for each in contracts if each.get("containers") == ["pipeline"]]
    (line,) = re.findall(r"`(runner >[^`]+)`", read(ARCHITECTURE))
    assert [set(re.split(r", ", layer)) for layer in re.split(r"\s>\s", line)] == [
        set(layer.split(" | ")) for layer in held
    ]


# --- what --json prints ----------------------------------------------------------------------------------------------

JSON = ROOT / "docs" / "json.md"
STATUS = (StatusView, Left, Stale, PauseView, OrderLine, RunLine, Progress, Need, Rider)
SUMMARY = (NightSummary, FixedLine, UnfixedLine, UndoneLine, CrashLine, BranchLine, Counts, Chart, Mark, Span)


@pytest.mark.parametrize(("part", "shapes"), [(0, STATUS), (1, SUMMARY)], ids=["status", "summary"])
def test_each_field_that_json_has_is_described(part: int, shapes: tuple[type, ...]) -> None:
    text = read(JSON).split("\n## `spirit-healer ")[1 + part]
    told = set(list_spans(text))
    for shape in shapes:
        names = {each.name for each in dataclasses.fields(shape)}
        assert names <= told, (shape.__name__, names - told)


def test_the_words_that_json_uses_are_described() -> None:
    assert {row[0].strip("`") for row in list_rows(JSON, "`")} >= {*Topic}
    assert {*list_spans(read(JSON))} >= {*ServerState, *Hold, *Question}
