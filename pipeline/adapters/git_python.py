"""GitPython, imported so that its own first `git version` inherits no more than git needs.

We are started with keys that are the analyst's alone, and the library asks git for its version while it is imported.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator

# What git and what it starts (ssh, a credential helper) cannot do without, even where it is meant for the analyst too.
NEEDED = re.compile(
    r"(?:GIT|SSH|GCM|LC|XDG)_.*|.*_PROXY|PATH|HOME|LANG|TMPDIR|TE?MP|USER(?:NAME|PROFILE)?"
    r"|SYSTEM(?:ROOT|DRIVE)|WINDIR|COMSPEC|PATHEXT",
    re.IGNORECASE,
)


@contextlib.contextmanager
def _bare_environment() -> Iterator[None]:
    hidden = {name: value for name, value in os.environ.items() if not NEEDED.fullmatch(name)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")  # without git on PATH the import itself would fail
with _bare_environment():
    from git import Actor, Git
    from git.exc import GitCommandNotFound

__all__ = ["NEEDED", "Actor", "Git", "GitCommandNotFound"]
