"""A repository of many small files, made with fast-import."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from checkouts import CLEAN, Checkout, git

_FOLDERS = 500


def make_many(folder: Path, files: int) -> Checkout:
    """A bare remote with one commit, and a user's checkout of it."""
    git(folder, "init", "-q", "--bare", "-b", "master", "remote.git")
    git(folder / "remote.git", "fast-import", "--quiet", stdin="".join(list_import(files)).encode())
    git(folder, "clone", "-q", "remote.git", "user")
    return Checkout(folder / "user", folder / "remote.git")


def list_import(files: int) -> Iterator[str]:
    who = f"{CLEAN['GIT_AUTHOR_NAME']} <{CLEAN['GIT_AUTHOR_EMAIL']}> 1700000000 +0000"
    yield f"commit refs/heads/master\ncommitter {who}\ndata 5\nstart\n"
    for number in range(files):
        text = f"int f{number}() {{ return {number}; }}\n" + "// what every file has\n" * 20
        yield f"M 100644 inline {name_file(number)}\ndata {len(text)}\n{text}\n"


def name_file(number: int) -> str:
    return f"src/part{number % _FOLDERS}/file{number}.cpp"
