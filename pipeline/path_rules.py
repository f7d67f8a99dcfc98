"""Which paths a patch may name. Pure; every refusal is a sentence for an operator.

The rules are those of the strictest system a night branch may be checked out on: what Windows, NTFS or HFS+ would take
for another file (`.GIT`, `GIT~1`, `NUL.txt`, `a.cpp::$DATA`, a trailing dot) is refused on every system.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence

from pipeline.errors import Refused

SYMLINK = "120000"  # git's modes of a tree entry
SUBMODULE = "160000"
_LONGEST = 200  # characters: Windows ends a whole path at 260
_DEVICES = re.compile(r"(con|prn|aux|nul|clock\$|conin\$|conout\$|(com|lpt)[0-9\u00b9\u00b2\u00b3])( *\..*)?", re.I)
_SHORT_NAME = re.compile(r"~[0-9]")
_UNUSUAL = frozenset('<>"|?*:')
_BUILD_FOLDERS = frozenset({"cmake", ".github", ".gitlab", ".ci", ".circleci", ".vscode", ".devcontainer"})
_BUILD_FILES = re.compile(
    r"cmakelists\.txt|.*\.cmake(\.in)?|cmake(user)?presets\.json|(gnu)?makefile|.*\.(mk|vcxproj|sln|props|targets|ninja)"
    r"|conanfile\..*|vcpkg\.json|meson\.build"
    # What is no C++ and is built all the same: templates that cmake fills in, resources, assembler, linker scripts.
    r"|.*\.(in|rc|rc2|s|asm|nasm|ld|lds)",
    re.I,
)


def check_path(path: str) -> None:
    """Whether the path by itself can be a file of the source. Raises Refused."""
    if fault := _fault_of_path(path) or next(filter(None, map(_fault_of_name, path.split("/"))), None):
        raise Refused(f"the path {show(path)} {fault}")


def check_purpose(path: str, allowed: Sequence[str], denied: Sequence[str]) -> None:
    """Whether a fix may touch a file at that path. Raises Refused."""
    *folders, name = path.split("/")
    if any(folder.casefold() in _BUILD_FOLDERS for folder in folders) or _BUILD_FILES.fullmatch(name):
        raise Refused(f"{show(path)} is part of the build: a fix may not change how the server is built")
    if path.casefold().startswith("sql/") or path.casefold().endswith(".sql"):
        raise Refused(f"{show(path)} is a database update: a fix may not change the database")
    if any(matches(path.casefold(), pattern.casefold()) for pattern in denied):
        raise Refused(f"{show(path)} is excluded by SOURCE_DENIED_PATHS")
    if not any(matches(path, pattern) for pattern in allowed):
        raise Refused(f"{show(path)} is outside of SOURCE_ALLOWED_PATHS ({', '.join(allowed) or 'nothing'})")


def check_place(paths: Iterable[str], tree: Mapping[str, str]) -> None:
    """Whether the paths fit into a tree (path -> git's mode of the file). Raises Refused. What is in it may be changed,
    even two names of which some system makes one: that system cannot build it anyway."""
    names = _list_names(tree)
    known = {fold(name): name for name in names}
    for path in paths:
        for prefix in _prefixes(path):
            _check_prefix(path, prefix, tree.get(prefix))
            actual = known.get(fold(prefix))
            if actual is not None and prefix not in names:
                raise Refused(f"{show(path)} differs only in upper and lower case from {show(actual)}, which exists")
        if path not in tree and path in names:
            raise Refused(f"{show(path)} is a folder")


def matches(path: str, pattern: str) -> bool:
    """Globs over whole paths: `*` and `?` stay within a folder, `**` does not; a bare folder means all below it."""
    pattern = pattern.removeprefix("./")
    folder = not set("*?").intersection(pattern.rstrip("/").rpartition("/")[2])
    expression = _translate(pattern.rstrip("/")) + ("(/.*)?" if folder else "")
    return re.fullmatch(expression, path, re.DOTALL) is not None


def fold(name: str) -> str:
    """What a file system that ignores case takes for the same name."""
    return name.casefold() if name.isascii() else unicodedata.normalize("NFC", name).casefold()


def show(path: str) -> str:
    """A path as an operator may safely read it, at most 120 characters."""
    plain = "".join(letter if letter.isprintable() else f"\\x{ord(letter):02x}" for letter in path)
    return f"`{plain.replace('`', chr(39))[:120]}`"


def _fault_of_path(path: str) -> str | None:
    if not path or not path.strip():
        return "is empty"
    if any(unicodedata.category(letter).startswith("C") for letter in path):
        return "holds control or invisible characters"
    if path.startswith(("\\\\", "//")):
        return "is a network path"
    if re.match(r"[A-Za-z]:", path):
        return "names a drive"
    if path.startswith(("/", "\\")):
        return "is absolute: paths are relative to the source's folder"
    if "\\" in path:
        return "leaves its folder with `..`" if ".." in re.split(r"[\\/]", path) else "has backslashes"
    if len(path) > _LONGEST:
        return f"is longer than {_LONGEST} characters"
    return None


def _fault_of_name(name: str) -> str | None:
    """What is wrong with one component."""
    plain = name.casefold().rstrip(" .")
    if name == "..":
        return "leaves its folder with `..`"
    if name in ("", "."):
        return "has an empty component"
    if plain.startswith((".git", "git~")) and not plain.startswith((".github", ".gitlab")):
        return "names git's own files"
    if found := _UNUSUAL.intersection(name):
        return f"has `{min(found)}` in it, which names something else on Windows"
    if name != name.strip(" ") or name.endswith("."):
        return "has a component that ends or begins with a space or ends with a dot"
    if _DEVICES.fullmatch(name):
        return f"names the device `{name}`"
    if _SHORT_NAME.search(name):
        return "has a short (8.3) name in it, which may be another file"
    if name.startswith("-"):
        return "has a component that begins with a dash"
    return None


def _check_prefix(path: str, prefix: str, mode: str | None) -> None:
    if mode == SYMLINK:
        where = "is" if prefix == path else f"leads through {show(prefix)}, which is"
        raise Refused(f"{show(path)} {where} a symbolic link")
    if mode == SUBMODULE:
        raise Refused(f"{show(path)} lies in the submodule {show(prefix)}, a repository of its own")
    if mode is not None and prefix != path:
        raise Refused(f"{show(path)} lies below {show(prefix)}, which is a file")


def _prefixes(path: str) -> list[str]:
    """`a/b/c` -> `a`, `a/b`, `a/b/c`."""
    parts = path.split("/")
    return ["/".join(parts[: count + 1]) for count in range(len(parts))]


def _list_names(tree: Mapping[str, str]) -> dict[str, None]:
    """Every folder and every file of the tree, in an order that is always the same."""
    folders: set[str] = set()
    for path in tree:
        folder = path.rpartition("/")[0]
        while folder and folder not in folders:
            folders.add(folder)
            folder = folder.rpartition("/")[0]
    return dict.fromkeys((*sorted(folders), *tree))


def _translate(pattern: str) -> str:
    parts = re.split(r"(\*\*/|\*\*|\*|\?)", pattern)
    wild = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "?": "[^/]"}
    return "".join(wild.get(part, re.escape(part)) for part in parts)
