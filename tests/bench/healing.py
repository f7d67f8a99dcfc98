"""What a whole fix costs beside compile, stop, start, notice and soak, and how soon a response is picked up.

Run it as `python tests/bench/healing.py [--runs 3]`. Plays `demo --once` and prints the medians; beside them, in the
same run, the same git, copy and rename commands run bare, and the server's own stop and start by a bare program that
sends SIGTERM, waits, and starts it again. Figures of a shared machine: quote the ratios.
"""

import argparse
import contextlib
import json
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bot.demo.world import make_world
from pipeline.adapters.toolchain import executable_name

READY = b"(worldserver-daemon) ready..."
PATIENCE = 30.0  # seconds until the realm must be ready, or gone


def heal() -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bot", "demo", "--once", "--json"],
        capture_output=True,
        text=True,
        timeout=400,
        check=True,
    )
    return dict(json.loads(done.stdout))


def bare_commands(folder: Path, size: int = 3 << 20) -> float:
    """Apply, commit, push, copy the executable, put it in place: seconds."""
    git = ["git", "-c", "user.name=Bench", "-c", "user.email=bench@example.invalid", "-c", "commit.gpgsign=false"]
    source, remote, server = folder / "source", folder / "remote.git", folder / "server"
    server.mkdir()

    def run(*arguments: str, cwd: Path = source) -> None:
        subprocess.run([*git, *arguments], cwd=cwd, check=True, capture_output=True, timeout=60)

    source.mkdir()
    run("init", "-q", "--bare", str(remote), cwd=folder)
    run("init", "-q", "-b", "main")
    (source / "a.cpp").write_text("int a = 1;\n" * 100, encoding="utf-8")
    run("add", "-A")
    run("commit", "-qm", "base")
    run("remote", "add", "origin", str(remote))
    run("push", "-q", "origin", "main")
    (folder / "fix.patch").write_text(
        "--- a/a.cpp\n+++ b/a.cpp\n@@ -1,3 +1,3 @@\n-int a = 1;\n+int a = 2;\n int a = 1;\n int a = 1;\n",
        encoding="utf-8",
    )
    (folder / "worldserver").write_bytes(b"x" * size)
    began = time.perf_counter()
    run("checkout", "-q", "-b", "overnight-20260101")
    run("apply", str(folder / "fix.patch"))
    run("commit", "-qam", "fix: a")
    run("push", "-q", "origin", "overnight-20260101")
    shutil.copy2(folder / "worldserver", server / ".worldserver.new")
    (server / ".worldserver.new").rename(server / "worldserver")
    return time.perf_counter() - began


def own_restarts(folder: Path, times: int = 7) -> list[float]:
    """Seconds from SIGTERM until the realm's next life is ready, with nothing of ours around."""
    world = make_world(folder)
    argv = [str(world.server_dir / executable_name("worldserver")), "-c", "worldserver.conf"]
    began, took = 0.0, []
    for _ in range(times + 1):
        with running(argv, world.server_dir) as server:
            if began:
                took.append(time.perf_counter() - began)
            began = time.perf_counter()
            server.terminate()
            server.wait(PATIENCE)
    return took


@contextlib.contextmanager
def running(argv: list[str], folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """One life of the realm, ready; killed whatever comes."""
    log = folder / "Server.log"
    log.unlink(missing_ok=True)
    server = subprocess.Popen(argv, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + PATIENCE
    try:
        while READY not in (log.read_bytes() if log.exists() else b""):
            if server.poll() is not None or time.monotonic() > deadline:
                sys.exit(f"the realm did not get ready (exit code {server.returncode}): {log}")
            time.sleep(0.0005)
        yield server
    finally:
        server.kill()
        server.wait(PATIENCE)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--runs", type=int, default=3)
    runs = options.parse_args().runs
    bare, healed = [], []
    for _ in range(runs):
        with tempfile.TemporaryDirectory() as folder:
            bare.append(bare_commands(Path(folder)))
        healed.append(heal())
    with tempfile.TemporaryDirectory() as folder:
        own = statistics.median(own_restarts(Path(folder)))
    middle = {name: statistics.median(each[name] for each in healed) for name in FIGURES}
    baseline = statistics.median(bare)
    for name, goal in FIGURES.items():
        print(f"{name:24} median {middle[name]:8.3f}   goal {goal}")
    print(f"{'bare commands':24} median {baseline:8.3f} s")
    print(f"{'overhead / bare':24} {middle['overhead_seconds'] / baseline:8.1f} x   (the replaced scripts: 69 x)")
    print(f"{'own stop + start':24} median {own:8.3f} s")
    print(f"{'downtime / own':24} {middle['downtime_seconds'] / own:8.2f} x   (goal 1.05 x)")
    print(json.dumps({**middle, "bare_seconds": baseline, "own_restart_seconds": own, "runs": runs}))


FIGURES = {
    "crash_to_restart_ms": "under 10",
    "response_to_pickup_ms": "under 50",
    "overhead_seconds": "under 0.5",
    "downtime_seconds": "1.05 x its own stop + start",
}

if __name__ == "__main__":
    main()
