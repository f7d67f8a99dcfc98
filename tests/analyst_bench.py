"""Our clone, a queue, and an ANALYST_COMMAND that is a few lines of Python, with real git and real processes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

import psutil

from pipeline.adapters.analyst import FileAnalyst
from pipeline.adapters.clock import SystemClock
from pipeline.model import Response
from pipeline.ports import AnalystFailed, AnalystWork

SOURCE = "int main()\n{\n    delete this_bot;\n    delete this_bot;\n}\n"
PRELUDE = "import json, os, signal, subprocess, sys, time\nrequest, response, worktree = sys.argv[1:4]\n"
IDENTITY = {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1"}


@dataclass
class Bench:
    """Our clone, a queue, and a command that is a line of Python."""

    folder: Path
    started: list[tuple[int, float, str]] = field(default_factory=list)
    cancelled: threading.Event = field(default_factory=threading.Event)
    environ: dict[str, str] = field(default_factory=lambda: dict(os.environ))
    env_names: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        self.clone = self.folder / "clone"
        self.state = self.folder / "state"
        self.queue = self.folder / "queue"
        (self.clone / "src").mkdir(parents=True)
        (self.clone / "src" / "World.cpp").write_text(SOURCE, newline="\n")
        (self.clone / "src" / "old.cpp").write_text("// old\n", newline="\n")
        (self.clone / ".gitignore").write_text("*.o\n", newline="\n")
        self.git("init", "-q", "-b", "master")
        self.base = self.commit("first")
        (self.clone / "src" / "World.cpp").write_text("// what came later\n", newline="\n")
        self.commit("later")

    def git(self, *arguments: str, cwd: Path | None = None) -> str:
        argv = ["git", "-c", "user.name=x", "-c", "user.email=x@y", *arguments]
        env = {**os.environ, **IDENTITY}
        done = subprocess.run(argv, cwd=cwd or self.clone, env=env, capture_output=True, text=True, check=True)
        return done.stdout.strip()

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "-m", message)
        return self.git("rev-parse", "HEAD")

    def run(
        self, script: str, *, timeout: float = 60.0, command: tuple[str, ...] | None = None
    ) -> AnalystFailed | None:
        """Runs the command on request `ab12`; `script` sees request, response, worktree."""
        path = self.folder / "agent.py"
        path.write_text(PRELUDE + script, encoding="utf-8")
        self.analyst = FileAnalyst(
            self.queue, SystemClock(), state_dir=self.state, clone=self.clone,
            command=command or (sys.executable, str(path), "{request}", "{response}", "{worktree}"),
            timeout=timeout, env_names=self.env_names, environ=self.environ,
        )  # fmt: skip
        request = self.analyst.ask("ab12", {"request_id": "ab12"})
        work = AnalystWork("ab12", request, self.base, self.note_started, self.cancelled)
        return self.analyst.run_command(work)

    def note_started(self, pid: int, create_time: float, what: str) -> None:
        self.started.append((pid, create_time, what))

    def fails(self, script: str, *, timeout: float = 60.0) -> str:
        failed = self.run(script, timeout=timeout)
        assert failed is not None
        assert self.analyst.answers() == []
        return failed.reason

    def answers(self, script: str) -> Response:
        assert self.run(script) is None
        [answer] = self.analyst.answers()
        assert answer.response is not None
        return answer.response

    def diff(self, script: str) -> str:
        response = self.answers(script)
        assert response.shape == "worktree"
        assert response.patch is not None
        assert response.patch.diff is not None
        return response.patch.diff

    def list_survivors(self) -> list[psutil.Process]:
        """Processes that work in this bench's folder."""
        found = psutil.process_iter(["cmdline"])
        return [each for each in found if any(str(self.folder) in part for part in each.info["cmdline"] or ())]
