"""What is installed is what is used: packages, data files, dependencies, and exact versions for all of them."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
# Distributions whose package has another name, and packages that come with a distribution for their own sake.
IMPORTED_AS = {
    "discord.py": "discord",
    "GitPython": "git",
    "pydantic-settings": "pydantic_settings",
    "python-dotenv": "dotenv",
    "pillow": "PIL",
}
WITH = {
    "yarl": "discord.py",  # an address for discord.py has to be one of its kind
    "jsonschema_rs": "test",  # bot/sandbox/spec.py compares with Discord's specification, in tests only
    "gdb": "gdb",  # pipeline/adapters/gdb_script.py runs inside gdb
}
ONLY_INSTALLED = {"tzdata"}  # zoneinfo finds it by itself


def read_project() -> dict[str, Any]:
    with (ROOT / "pyproject.toml").open("rb") as file:
        return tomllib.load(file)


def name_of(requirement: str) -> str:
    found = re.match(r"[\w.-]+", requirement)
    assert found is not None
    return found[0]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def list_imports(*folders: str) -> set[str]:
    """Top-level names of what is imported, ours and the standard library's left out."""
    ours = {"bot", "pipeline", "__future__", *sys.stdlib_module_names}
    files = (file for folder in folders for file in (ROOT / folder).rglob("*.py"))
    return {name for file in files for name in _imports_of(file)} - ours


def _imports_of(file: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (each.name.partition(".")[0] for each in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            yield node.module.partition(".")[0]


def test_what_is_imported_is_declared_and_what_is_declared_is_imported() -> None:
    declared = {name_of(each) for each in read_project()["project"]["dependencies"]} - ONLY_INSTALLED
    packages = {IMPORTED_AS.get(each, each) for each in declared}
    assert list_imports("bot", "pipeline", "alembic") - set(WITH) == packages


def test_every_package_is_named_for_the_wheel() -> None:
    with_code = {file.parent for folder in ("bot", "pipeline") for file in (ROOT / folder).rglob("*.py")}
    folders = {".".join(each.relative_to(ROOT).parts) for each in with_code}
    named = set(read_project()["tool"]["setuptools"]["packages"])
    assert named == folders | {"pipeline.migrations", "pipeline.migrations.versions"}


def test_the_library_of_migrations_is_not_shadowed() -> None:
    assert not list((ROOT / "alembic").rglob("__init__.py"))
    assert not list((ROOT / "tests").rglob("__init__.py"))


def read_pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    found = [re.fullmatch(r"([\w.-]+)==([\w.]+)(?: ; .+)?", line) for line in lines if not line.startswith("#")]
    return {normal(each[1]): each[2] for each in found if each} if all(found) else {}


def test_every_dependency_and_extra_has_one_exact_version() -> None:
    project = read_project()["project"]
    wanted = [
        *project["dependencies"],
        *(each for extra in project["optional-dependencies"].values() for each in extra),
    ]
    missing = {normal(name_of(each)) for each in wanted} - set(read_pins())
    assert missing == set()


def test_exact_versions_lie_in_the_declared_ranges() -> None:
    pins = read_pins()
    for each in read_project()["project"]["dependencies"]:
        lowest = re.search(r">=([\d.]+)", each)
        if lowest:
            assert as_numbers(pins[normal(name_of(each))]) >= as_numbers(lowest[1]), each


def as_numbers(version: str) -> list[int]:
    return [int(part) for part in re.findall(r"\d+", version)]


def test_no_address_stands_in_the_exact_versions() -> None:
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert read_pins() and not re.search(r"://|@|--", text)
