"""The wheel, in an empty folder, with the checkout nowhere on the way: data files, migrations, the command line."""

import configparser
import json
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SECONDS = 100
SOURCES = ("bot", "pipeline", "alembic")
BUILD = "import sys, setuptools.build_meta as backend; print(backend.build_wheel(sys.argv[1]))"


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel holds."""
    folder = tmp_path_factory.mktemp("wheel")
    copy, target = folder / "copy", folder / "installed"
    for name in SOURCES:
        shutil.copytree(ROOT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(ROOT / name, copy)
    done = subprocess.run([sys.executable, "-c", BUILD, str(folder)], cwd=copy, capture_output=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def run(installed: Path, empty: Path, code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Python with the wheel first on its path and the checkout not at all, in an empty folder."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    environment |= {"PYTHONPATH": str(installed), "STATE_DIR": str(empty / "state"), "HOME": str(empty)}
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=empty, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=SECONDS,
    )  # fmt: skip


COMMAND = """
import sys
from importlib.metadata import distribution
(entry,) = [each for each in distribution("spirit-healer").entry_points if each.name == "spirit-healer"]
sys.argv[0] = "spirit-healer"
entry.load()()
"""


def command(installed: Path, empty: Path, *arguments: str) -> str:
    done = run(installed, empty, COMMAND, *arguments)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_file_of_the_checkout_that_is_needed_is_in_the_wheel(installed: Path) -> None:
    wanted = {
        str(file.relative_to(ROOT)).replace("alembic", "pipeline/migrations", 1) if name == "alembic" else
        str(file.relative_to(ROOT))
        for name in SOURCES
        for file in (ROOT / name).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts
    }  # fmt: skip
    there = {str(file.relative_to(installed)) for file in installed.rglob("*") if file.is_file()}
    assert wanted - there == set()
    assert {each for each in there - wanted if not each.startswith("spirit_healer-")} == set()


def test_the_code_of_the_wheel_is_what_runs(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, "import bot, pipeline; print(bot.__file__); print(pipeline.__file__)")
    assert [Path(line).is_relative_to(installed) for line in done.stdout.splitlines()] == [True, True], done.stderr


def test_the_command_line_is_there_and_shows_every_command(installed: Path, tmp_path: Path) -> None:
    shown = command(installed, tmp_path, "--help")
    assert all(word in shown for word in ("run", "keeper", "demo", "doctor", "status", "inspect", "migrate"))


def test_the_console_script_is_named(installed: Path) -> None:
    (file,) = installed.glob("*.dist-info/entry_points.txt")
    entries = configparser.ConfigParser()
    entries.read(file, encoding="utf-8")
    assert dict(entries["console_scripts"]) == {"spirit-healer": "bot.__main__:main"}


def test_the_migrations_run_from_the_wheel(installed: Path, tmp_path: Path) -> None:
    command(installed, tmp_path, "migrate")
    assert (tmp_path / "state" / "spirit-healer.sqlite").is_file()
    assert command(installed, tmp_path, "migrate").endswith("spirit-healer.sqlite is at its newest form.\n")


def test_status_needs_no_setting_and_makes_nothing(installed: Path, tmp_path: Path) -> None:
    done = run(installed, tmp_path, COMMAND, "status", "--json")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 1
    json.loads(done.stdout)
    assert list(tmp_path.iterdir()) == []


def test_the_sample_realm_and_the_lists_of_frames_are_there(installed: Path, tmp_path: Path) -> None:
    code = """
from pathlib import Path
import pipeline.crash
from bot.demo.bugs import REALM

assert (REALM / "CMakeLists.txt").is_file() and (REALM / ".gitignore").is_file()
assert list((Path(pipeline.crash.__file__).parent / "data").glob("*.txt"))
"""
    done = run(installed, tmp_path, code)
    assert done.returncode == 0, done.stderr


def test_the_page_of_the_sandbox_is_there(installed: Path, tmp_path: Path) -> None:
    code = """
from bot.sandbox.page import FILES, KINDS

assert {"index.html", "main.js", "theme.css", "icon.svg"} <= {file.name for file in FILES.iterdir()}
assert all(file.suffix in KINDS for file in FILES.iterdir())
"""
    done = run(installed, tmp_path, code)
    assert done.returncode == 0, done.stderr
