"""What a bot and a keeper of an earlier commit left behind, as test data: `tests/data/earlier/`.

    python tests/record_state.py <commit>

Plays a crash, a swap and an orderly end with that commit's own keeper, and fills a database of that commit's schema
with one row in each table. The realm's folder is written as `{root}` and the boot as another one, so that the state can
be laid out anywhere.
"""

import json
import os
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

ROOT = Path(__file__).parents[1]
EARLIER = ROOT / "tests" / "data" / "earlier"
STATE = ("desired.json", "observed.json", "events.jsonl")
OWN = ("memory.json", "desired.json")
PLAY = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests"]
from keeper_world import KeeperWorld
world = KeeperWorld(Path(sys.argv[1]))
try:
    world.begin()
    world.order("signal 9")
    world.wait_for_births(2)
    world.wait_until_ready()
    world.ask(build=world.make_build("b1"), probation="d1")
    world.wait_until_ready(build="b1")
    world.kill_keeper()
finally:
    world.close()
"""
FILL = """
import sys
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[2] + "/tests", sys.argv[2] + "/tests/integration"]
from pipeline import migrate
from pipeline.store import open_engine
try:
    from migrating import fill
except ModuleNotFoundError:  # at that commit it still stood in the test
    from test_migrations import fill
engine = open_engine("sqlite:///" + sys.argv[1])
migrate.upgrade(engine)
fill(engine)
engine.dispose()
"""


def main() -> None:
    commit = subprocess.check_output(["git", "rev-parse", sys.argv[1]], cwd=ROOT, text=True).strip()
    with tempfile.TemporaryDirectory() as folder:
        code, root = Path(folder) / "code", Path(folder) / "root"
        code.mkdir()
        root.mkdir()
        archive = subprocess.check_output(["git", "archive", commit], cwd=ROOT)
        subprocess.run(["tar", "-x", "-C", str(code)], input=archive, check=True)
        environment = {**os.environ, "PYTHONPATH": str(code)}
        for program, place in ((PLAY, root), (FILL, root / "realm.sqlite")):
            subprocess.run(
                [sys.executable, "-c", program, str(place), str(code)], cwd=code, env=environment, check=True
            )
        _keep(root, commit)


def _keep(root: Path, commit: str) -> None:
    EARLIER.mkdir(parents=True, exist_ok=True)
    boot = json.loads((root / "state" / "observed.json").read_bytes())["boot"]
    for folder, names, prefix in ((root / "state", STATE, ""), (root / "server" / ".spirit-healer", OWN, "keeper-")):
        for name in names:
            text = (
                (folder / name)
                .read_text(encoding="utf-8")
                .replace(str(root), "{root}")
                .replace(boot, "an earlier boot")
            )
            (EARLIER / f"{prefix}{name}").write_text(text.rstrip("\n") + "\n", encoding="utf-8")
    with closing(sqlite3.connect(root / "realm.sqlite")) as database:
        dump = "\n".join(database.iterdump())
        (schema,) = database.execute("SELECT version_num FROM alembic_version").fetchone()
    (EARLIER / "realm.sql").write_text(dump + "\n", encoding="utf-8")
    (EARLIER / "commit.json").write_text(json.dumps({"commit": commit, "schema": schema}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
