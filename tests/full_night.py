"""The night of `killing`, with all that has a fault point: every one of the code is come to.

    with killing(ground, folder, [Fault("standby.noted", Victim.BOTH)], FullNight, **SETTINGS) as night:
        night.play()

The analyst is a command too, which finds nothing to say; a change does not compile, a build waits for a player to
leave, somebody else pushes onto the night's branch, people pause, and it becomes morning.
"""

import shlex
import sys
from contextlib import suppress

from killing import Night
from living_realm import push_as_somebody_else
from point_names import covers, list_points
from realm import PlayerClient

from bot.demo.bugs import FixKind, get_bug

ASSERTION, RECURSION, DOUBLE_FREE = get_bug("assert"), get_bug("recursion"), get_bug("doublefree")
SETTINGS = {
    "SERVER_SOAK": "5s", "MAX_PLAYERS_FOR_RESTART": "0", "ANALYST_COMMAND": shlex.join([sys.executable, "-c", "pass"]),
    "TIMEZONE": "UTC", "SUMMARY_TIME": "23:59",
}  # fmt: skip
MORNING = "00:00"


class FullNight(Night):
    def play(self) -> None:
        super().play()
        self._compile_at_the_second_try()
        self._pause()
        self._wait_for_a_player_to_leave()
        self._find_the_branch_taken()
        self._become_morning()

    def _compile_at_the_second_try(self) -> None:
        request = self._crash(ASSERTION)
        self.realm.answer(ASSERTION, request, FixKind.NO_COMPILE)
        again = self.realm.wait(lambda: self._list_asked(ASSERTION) - {request}, "the request for another try").pop()
        self.realm.answer(ASSERTION, again)
        self._wait_run(ASSERTION, "fix", "SUCCEEDED")

    def _pause(self) -> None:
        self._order(lambda: self.realm.channel.slash("pause", reason="I look myself"), self._is_paused)
        self._order(lambda: self.realm.channel.slash("resume"), lambda: not self._is_paused())

    def _wait_for_a_player_to_leave(self) -> None:
        """Meanwhile the build stands by."""
        request = self._crash(RECURSION)
        player = self.realm.wait(self._find_player, "a server to play on")
        self.realm.answer(RECURSION, request)
        self.realm.wait(lambda: self._read("deployments", "state='standby'"), "the build to stand by")
        player.close()
        self._wait_run(RECURSION, "fix", "SUCCEEDED")

    def _find_the_branch_taken(self) -> None:
        push_as_somebody_else(self.realm.root, self.realm.night_branch)
        self._answer(DOUBLE_FREE, FixKind.GOOD)
        self._wait_run(DOUBLE_FREE, "fix", "SUCCEEDED")
        assert len(self.realm.branches()) == 3, "it goes on beside what somebody pushed"

    def _become_morning(self) -> None:
        """Its hour is a setting: the bot's next life has it behind it."""
        self.realm.change_settings(SUMMARY_TIME=MORNING)
        self.realm.kill_bot()
        self.realm.wait(lambda: self._read("posts", "kind='summary'"), "the morning's summary")

    def _find_player(self) -> PlayerClient | None:
        with suppress(OSError, AssertionError):  # it is being replaced
            return self.realm.join("Ann")
        return None

    def _is_paused(self) -> bool:
        return bool(self._read("facts", "name='pause'"))


def list_missed(reached: set[str]) -> list[str]:
    """Points of the code that nobody came to."""
    return [name for name in list_points() if not any(covers(name, each) for each in reached)]
