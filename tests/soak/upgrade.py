"""An upgrade as users make it: an earlier commit's bot and keeper look after a realm, then their code is replaced.

    python tests/soak/upgrade.py [COMMIT, else HEAD~80]

The earlier bot heals a crash and is ended; the new one goes on beside the earlier keeper and heals another; the keeper
is asked (SIGHUP) to replace itself, and a third is healed. Neither server nor keeper is another process after any of
these steps, and every invariant holds at the end. Prints what it sees; ends with 1 where that is not so.
"""

import argparse
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path[:0] = [str(ROOT / "tests"), str(ROOT)]

from checker import read_journal
from killing import MortalRealm
from living_ground import borrow_ground
from living_realm import living_as, warm_up

from bot.demo.bugs import get_bug

NEW = ("bot", "pipeline", "alembic")  # what of this checkout is installed


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("commit", nargs="?", default="HEAD~80", help="of this repository")
    asked = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is ended all the same
    with borrow_ground() as ground, tempfile.TemporaryDirectory() as folder:
        warm_up(ground)
        code = Path(folder) / "code"
        install_earlier(code, asked.commit)
        with living_as(MortalRealm, ground, None, PYTHONPATH=str(code), SERVER_SOAK="5s") as realm:
            play(realm, code)
    print("every invariant holds")
    return 0


def play(realm: MortalRealm, code: Path) -> None:
    realm.start()
    keeper = realm.keeper()
    realm.heal(get_bug("dispatcher"))
    before = realm.server_pid
    print(f"earlier bot and keeper: healed; keeper {keeper.pid}, server {before}", flush=True)
    assert realm.end_bot() == 0
    install_new(code)
    realm.start()
    check_same(realm, keeper.pid, before)
    realm.heal(get_bug("aura"))
    before = realm.server_pid
    print(f"new bot, earlier keeper: healed; keeper {realm.keeper().pid}, server {before}", flush=True)
    starts = count_keepers(realm)
    keeper.send_signal(signal.SIGHUP)
    realm.wait(lambda: count_keepers(realm) > starts, "the keeper to be a new one")
    realm.wait(lambda: realm.server_pid, "it to look after the server")
    check_same(realm, keeper.pid, before)
    assert realm.observed()["adopted"] is False, "the server is its child still"
    realm.heal(get_bug("assert"))
    print(f"new bot and keeper: healed; keeper {realm.keeper().pid}, server {realm.server_pid}", flush=True)
    assert not (realm.state / "keeper.log").exists(), (realm.state / "keeper.log").read_text(encoding="utf-8")


def check_same(realm: MortalRealm, keeper: int, server: int | None) -> None:
    assert (realm.keeper().pid, realm.server_pid) == (keeper, server), "another keeper, or another server"


def count_keepers(realm: MortalRealm) -> int:
    return sum(each["kind"] == "keeper_started" for each in read_journal(realm.state / "events.jsonl"))


def install_earlier(code: Path, commit: str) -> None:
    code.mkdir()
    with subprocess.Popen(["git", "archive", commit, *NEW], cwd=ROOT, stdout=subprocess.PIPE) as archive:
        subprocess.run(["tar", "-x", "-C", code], stdin=archive.stdout, check=True, timeout=60)
    assert archive.returncode == 0, f"{commit} is no commit of this repository"


def install_new(code: Path) -> None:
    """In place, as an installer does."""
    for name in NEW:
        shutil.rmtree(code / name)
        shutil.copytree(ROOT / name, code / name, ignore=shutil.ignore_patterns("__pycache__"))


if __name__ == "__main__":
    sys.exit(main())
