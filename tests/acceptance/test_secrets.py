"""Secrets planted wherever a night comes by: nothing but what needs one has it. The Witness searches at the end."""

import json
import secrets
import shlex
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pytest
from invariants import Secret
from living_ground import Ground
from living_realm import LOOK, LivingRealm, living_as
from realm import git

from bot.demo.bugs import get_bug, response

AURA, DISPATCHER = get_bug("aura"), get_bug("dispatcher")
KEY = "HEALER_API_KEY"
LONG = 150.0  # seconds
T = TypeVar("T")
# It says its key wherever it can say anything.
ANALYST = """
import json, os, sys
request, answer = sys.argv[1:3]
key = os.environ["HEALER_API_KEY"]
print("working with", key, flush=True)
asked = json.load(open(request))
function = asked["crash"]["crash_function"] or ""
plain = json.load(open(sys.argv[3]))["dispatcher" if "Unsubscribe" in function or "Event" in function else "aura"]
plain["request_id"] = asked["request_id"]
cause = plain["crash_analysis"]["root_cause"]
cause["summary"] += f" api_key={key}"
cause["technical_details"] += f" Authorization: Bearer {key}"
with open(answer + ".new", "w") as file:
    json.dump(plain, file)
os.replace(answer + ".new", answer)
"""

pytestmark = pytest.mark.timeout(600)


class PlantedRealm(LivingRealm):
    """A checkout whose remote is reached with a credential, a server with its database's passwords."""

    def wait(self, look: Callable[[], T | None], what: str, timeout: float = LONG, every: float = LOOK) -> T:
        """Two builds, one of them begun anew."""
        return super().wait(look, what, max(timeout, LONG), every)

    def plant(self) -> None:
        self.database, self.credential = (f"planted-{secrets.token_hex(8)}" for _ in range(2))
        self.key, self.discord = (f"planted-{secrets.token_hex(8)}" for _ in range(2))
        program, answers = self.root / "analyst.py", self.root / "answers.json"
        program.write_text(ANALYST, encoding="utf-8")
        answers.write_text(json.dumps({bug.name: response(bug, "x") for bug in (AURA, DISPATCHER)}), encoding="utf-8")
        command = shlex.join([sys.executable, str(program)]) + " {request} {response} " + shlex.quote(str(answers))
        self._settings |= {"ANALYST_COMMAND": command, "ANALYST_ENV": KEY, KEY: self.key, "DISCORD_TOKEN": self.discord}

    @property
    def login(self) -> str:
        return f'LoginDatabaseInfo = "127.0.0.1;3306;trinity;{self.database};auth"'

    def work_in_the_checkout(self) -> None:
        super().work_in_the_checkout()
        self.plant()
        with (self.server_dir / "worldserver.conf").open("a", encoding="utf-8") as conf:
            conf.write(f"\n{self.login}\n")
        address = f"https://healer:{self.credential}@git.example.invalid/realm.git"
        rewrite = f'[url "{self.remote}"]\n\tinsteadOf = {address}\n'
        (self.root / "home" / ".gitconfig").write_text(rewrite, encoding="utf-8")
        git(self.checkout, "remote", "set-url", "origin", address)

    def list_secrets(self) -> dict[str, Secret]:
        servers = r"server/worldserver\.conf|server/Server\.log|(state/)?server/(core|log-|output-).*"
        return {
            **super().list_secrets(),
            "the database's password": Secret(self.database, files=servers),
            "the remote's credential": Secret(self.credential, files=r"state/source/\.git/config"),
            # What it writes itself, for us alone, stays as it came: its digest is how it is known again.
            "the analyst's key": Secret(self.key, files=r"state/queue/.*/response_.*", programs=r"analyst\.py"),
            "the bot's token": Secret(self.discord),
        }


def test_secret_values_are_only_where_they_belong_after_a_night_with_kills(ground: Ground) -> None:
    with living_as(PlantedRealm, ground) as realm:
        realm.start()
        realm.tell_server(f"announce {realm.login}")
        realm.set_off(DISPATCHER)
        realm.wait_fixed(DISPATCHER)
        realm.tell_server(f"announce {realm.login}")
        realm.set_off(AURA)
        realm.wait_state("BUILDING")
        realm.kill_bot()
        realm.kill_keeper()
        realm.start()
        realm.wait_fixed(AURA)
        assert realm.database in _read_all(realm.state / "server"), "the server has not said it"
        requests = [path.read_text(encoding="utf-8") for path in (realm.queue / "requests").iterdir()]
        assert any("LoginDatabaseInfo" in each for each in requests), "nothing was relayed"


def _read_all(folder: Path) -> str:
    return "".join(path.read_text(encoding="utf-8", errors="replace") for path in folder.glob("log-*"))
