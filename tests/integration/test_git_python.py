"""What git is told of our environment before we have asked it anything."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

IMPORT = "import os, pipeline.adapters.git_process; print(os.environ['ANALYST_KEY'])"


@pytest.mark.skipif(sys.platform == "win32", reason="git is played by a script of the shell")
def test_the_import_of_the_library_shows_git_no_key_of_the_analyst(tmp_path: Path) -> None:
    git, seen = tmp_path / "git", tmp_path / "seen"
    git.write_text(f"#!/bin/sh\nenv >> '{seen}'\necho git version 2.39.0\n", encoding="utf-8")
    git.chmod(0o755)
    path = os.pathsep.join([str(tmp_path), os.environ["PATH"]])
    environment = {"PATH": path, "PYTHONPATH": os.pathsep.join(sys.path), "ANALYST_KEY": "hunter2"}
    told = subprocess.run(
        [sys.executable, "-c", IMPORT], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert told.stdout.strip() == "hunter2", "the analyst still gets it"
    assert f"PATH={path}" in seen.read_text(encoding="utf-8").splitlines(), "git was asked"
    assert "hunter2" not in seen.read_text(encoding="utf-8")
