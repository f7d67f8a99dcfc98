"""What a build made: asked of cmake's file API rather than guessed, and chosen by BUILD_ARTIFACTS.

Source: cmake-file-api(7), object kind "codemodel", version 2.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath, PurePosixPath
from typing import Any

from pipeline.adapters.archive import Product, list_symbols
from pipeline.keeper.protocol import parse_json

_CLIENT = "client-spirit-healer"
_QUERY = Path(".cmake", "api", "v1", "query", _CLIENT, "codemodel-v2")
_REPLY = Path(".cmake", "api", "v1", "reply")
_DIRECTORIES = Path("CMakeFiles", "TargetDirectories.txt")
_OF_CMAKE = frozenset({"edit_cache", "install", "list_install_components", "local", "rebuild_cache", "strip", "test"})
_NAMES_SHOWN = 12
# As TrinityCore's GitRevision.cpp puts it together at compile time; a build without git has a word for the hash. The
# date tells it from anything else that a program may hold.
_REVISION = re.compile(rb"rev\. (?P<hash>[0-9a-f]{7,40})(?P<dirty>\+?) \d{4}-\d\d-\d\d")
_LONGEST_REVISION = 64  # bytes
_PIECE = 1 << 20  # bytes read at once

ArtifactRule = tuple[str, str | None]  # glob in the build folder, folder in SERVER_DIR (None = beside the executable)


@dataclass(frozen=True)
class Target:
    """A target of the code model."""

    name: str
    program: Path | None  # absolute; None where it makes none
    symbols: tuple[Path, ...]  # absolute; the .pdb of MSVC
    sources: int  # in all targets of the configuration, for a progress that only counts files
    names: tuple[str, ...] = ()  # of all targets


class NoProduct(Exception):
    """The build succeeded without what it should have made: the message is the reason."""


def ask(build: Path) -> None:
    """Leaves the question that cmake answers whenever it configures."""
    (build / _QUERY).parent.mkdir(parents=True, exist_ok=True)
    (build / _QUERY).touch()


def is_answered(build: Path) -> bool:
    """Whether the answer is there with all its parts: a killed cmake may have left only some."""
    model = _read_model(build)
    parts = [each["jsonFile"] for one in (model or {}).get("configurations", ()) for each in one["targets"]]
    return model is not None and all((build / _REPLY / part).is_file() for part in parts)


def find_target(build: Path, name: str, config: str) -> Target:
    """Raises NoProduct where cmake does not know the target."""
    model = _read_model(build)
    if model is None:
        raise NoProduct("cmake did not answer which files it makes: its version must be 3.14 or newer")
    configuration = _choose_configuration(model["configurations"], config)
    names = _list_names(configuration)
    replies = [_read(build / _REPLY / each["jsonFile"]) for each in configuration["targets"]]
    found = next((each for each in replies if each["name"] == name), None)
    if found is None:
        raise NoProduct(f"BUILD_TARGET: the source has no target {name}; it has {show_names(name, names)}")
    made = [build / each["path"] for each in found.get("artifacts", ())]
    is_program = found["type"] == "EXECUTABLE"
    program = next((path for path in made if is_program and path.name == found["nameOnDisk"]), None)
    symbols = tuple(path for path in made if path.suffix.lower() == ".pdb")
    return Target(name, program, symbols, sum(_count_compiled(each) for each in replies), tuple(names))


def list_targets(build: Path, config: str) -> list[str]:
    """By name, as cmake answered; empty where it did not."""
    model = _read_model(build)
    return [] if model is None else _list_names(_choose_configuration(model["configurations"], config))


def list_directories(build: Path) -> list[str]:
    """The targets of any folder that cmake has configured, without running it; empty where the folder does not tell.

    Source: `TargetDirectories.txt`, which cmake writes for every generator: a folder for each target, `…/NAME.dir`.
    """
    try:
        lines = (build / _DIRECTORIES).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    return sorted({PurePosixPath(line).stem for line in lines if line.endswith(".dir")} - _OF_CMAKE)


def show_names(name: str, names: Sequence[str]) -> str:
    """Those that resemble the one that was meant come first, as a source may have hundreds."""
    near = difflib.get_close_matches(name, names, _NAMES_SHOWN)
    ordered = [*near, *(each for each in names if each not in near)]
    return ", ".join(ordered[:_NAMES_SHOWN]) + (", …" if len(ordered) > _NAMES_SHOWN else "") or "none"


def choose_products(build: Path, target: Target, rules: Sequence[ArtifactRule], program: str) -> list[Product]:
    """The executable first. `program` = SERVER_COMMAND's program below SERVER_DIR. Raises NoProduct."""
    found = [(path, folder) for glob, folder in rules for path in _list_matches(build, glob)]
    executable = _choose_executable((path for path, _ in found), target, program)
    destination = PurePosixPath(program)
    if executable.suffix.lower() == ".exe" and destination.suffix.lower() != ".exe":
        destination = destination.with_name(f"{destination.name}.exe")
    beside = destination.parent
    products = {str(destination): Product(str(destination), executable, executable=True)}
    for path in (*list_symbols(executable), *(each for each in target.symbols if each.is_file())):
        _put(products, beside / path.name, path)
    for path, folder in found:
        if path != executable:
            _put(products, (beside if folder is None else _folder(folder)) / path.name, path)
    return list(products.values())


def check_revision(products: Iterable[Product], commit: str) -> str | None:
    """The hash that a program holds in its bytes, None where it holds none. Raises NoProduct for another one.

    It is not asked by `--version`: a server that does not know the word would come up, whoever wants it down.
    """
    match = next((found for each in products if each.executable and (found := _find_revision(each.source))), None)
    if match is None:
        return None
    revision = match["hash"].decode()
    if match["dirty"]:
        raise NoProduct(f"the program says {revision}+: its source had changes that are in no commit")
    if not commit.startswith(revision):
        raise NoProduct(f"the program says it was built from {revision}, not from {commit[:12]}")
    return revision


def _find_revision(program: Path) -> re.Match[bytes] | None:
    """Read piece by piece, as a server may be a gigabyte."""
    rest = b""
    with program.open("rb") as file:
        while piece := file.read(_PIECE):
            if (match := _REVISION.search(rest + piece)) is not None:
                return match
            rest = (rest + piece)[-_LONGEST_REVISION:]
    return None


def _choose_executable(found: Iterable[Path], target: Target, program: str) -> Path:
    wanted = PurePosixPath(program).name.lower().removesuffix(".exe")
    named = [path for path in found if path.name.lower().removesuffix(".exe") == wanted]
    if named:
        return named[0]
    if target.program is None:
        raise NoProduct(f"BUILD_TARGET: {target.name} makes no program")
    if not target.program.is_file():
        raise NoProduct(f"the compile ended without an error, but it made no {target.program}")
    return target.program


def _list_matches(build: Path, glob: str) -> list[Path]:
    """A glob with a root starts there, one without in the build folder. No match is a fault, not an empty list."""
    pattern = PurePath(glob)
    root = Path(pattern.anchor) if pattern.is_absolute() else build
    rest = str(pattern.relative_to(pattern.anchor)) if pattern.is_absolute() else glob
    found = sorted(path for path in root.glob(rest) if path.is_file())
    if not found:
        raise NoProduct(f"BUILD_ARTIFACTS: the compile ended without an error, but nothing matches {glob} in {root}")
    return found


def _put(products: dict[str, Product], path: PurePosixPath, source: Path) -> None:
    products.setdefault(str(path), Product(str(path), source, executable=_is_executable(source)))


def _folder(folder: str) -> PurePosixPath:
    return PurePosixPath(folder.replace("\\", "/").strip("/") or ".")


def _is_executable(path: Path) -> bool:
    return bool(path.stat().st_mode & 0o100)


def _choose_configuration(configurations: list[Any], config: str) -> Any:
    return next((each for each in configurations if each["name"].lower() == config.lower()), configurations[0])


def _list_names(configuration: Any) -> list[str]:
    return sorted(each["name"] for each in configuration["targets"])


def _count_compiled(target: Any) -> int:
    return sum(1 for each in target.get("sources", ()) if "compileGroupIndex" in each)


def _read_model(build: Path) -> Any | None:
    """The newest answer, which cmake names so that it sorts last."""
    index = max((build / _REPLY).glob("index-*.json"), default=None, key=lambda path: path.name)
    if index is None:
        return None
    try:
        answer = _read(index)["reply"][_CLIENT]["codemodel-v2"]
        return _read(build / _REPLY / answer["jsonFile"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _read(path: Path) -> Any:
    return parse_json(path.read_text(encoding="utf-8"))
