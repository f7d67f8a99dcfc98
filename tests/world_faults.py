"""What the world around a realm may do wrong, and what happens then: the rows of a section of `docs/faults.md`.

A test is of a row if its name says so: `test_world_git_hooks_…`, or `test_fault_a9_world_git_killed_…`.
"""

import re

# part -> row -> (the fault, what happens)
WORLD: dict[str, dict[str, tuple[str, str]]] = {
    "Git": {
        "git_held_lock": (
            "A lock that a living git holds",
            "The user's stays and is in nobody's way; of ours, its git is ended first",
        ),
        "git_stale_lock": ("A lock that a dead git left", "Ours goes, the user's stays and is in nobody's way"),
        "git_killed": ("Our git killed at any step", "The commit is found again or made again, once"),
        "git_clone_gone": ("Our clone gone while the bot lives", "It is made anew, and what needs it waits for that"),
        "git_hooks": ("Hooks in the user's repository", "None is run, and none can refuse a fix"),
        "git_remote_gone": ("A remote that is gone", "The fix goes live, the push is owed until it is back"),
        "git_remote_slow": (
            "A remote that does not answer, or drips",
            "It is given up in time, with all its processes; owed",
        ),
        "git_remote_refuses": ("A remote that refuses by hook", "Its own words are told, the push is owed"),
        "git_remote_rewritten": (
            "A remote whose history was rewritten",
            "Nothing is forced; the night goes on under `-2`",
        ),
        "git_branch_ahead": (
            "A night branch that is ahead on the remote",
            "It is left alone; the night goes on under `-2`",
        ),
        "git_branch_deleted": (
            "A night branch deleted on the remote",
            "It is not made again; the night goes on under `-2`",
        ),
        "git_branch_foreign": ("A night branch with foreign commits", "It is left alone; the night goes on under `-2`"),
        "git_no_identity": ("No git identity on the machine", "The author is SOURCE_AUTHOR"),
        "git_path": ("Paths with spaces and umlauts", "They are paths like any other"),
        "git_crlf": ("A checkout with CRLF line ends", "What is committed has the line ends of the repository"),
        "git_mixed_line_ends": ("A file with mixed line ends", "Every line keeps its own"),
        "git_submodule": ("A submodule in the source", "It is never written; the rest is healed"),
        "git_many_files": ("A repository of 50,000 files", "A fix goes through, no call comes near its timeout"),
    },
    "Disk": {
        "disk_full_state": (
            "A full disk under the state folder",
            "The server runs, it is said, and all goes on once there is room",
        ),
        "disk_full_clone": ("A full disk under our clone", "The run waits and says so; the clone is exact afterwards"),
        "disk_full_build": ("A full disk under the build folder", "Said with its cure; nothing half-built is kept"),
        "disk_full_server": (
            "A full disk under the server's folder",
            "No restart waits for it; an exchange goes back whole",
        ),
        "disk_read_only": (
            "A disk that became read-only",
            "The server runs, it is said, and all goes on once it is writable",
        ),
        "disk_case": (
            "Names that differ in case only",
            "A change never makes two such names, nor takes one for the other; two that are there may be changed",
        ),
    },
    "Database": {
        "database_locked": ("A database that somebody has locked", "It waits, says so, and loses nothing"),
        "database_read_only": (
            "A database that became read-only",
            "Degraded, with the cure; it goes on once it can write",
        ),
        "database_deleted": ("A database deleted under us", "Noticed and said; the server plays on"),
        "database_corrupted": (
            "A database that is no database any more",
            "Said with the copy to put back; the server plays on",
        ),
        "database_restarts": (
            "PostgreSQL restarted every few seconds",
            "Every step is done once, in the end all of them",
        ),
    },
    "Processes": {
        "process_ignores_sigterm": ("A server that ignores SIGTERM", "Its stacks are taken, then it is ended"),
        "process_forks": ("A server that forks helpers", "They end with it"),
        "process_flood": (
            "A server that floods its output",
            "Neither server nor keeper is held up; the disk is not filled",
        ),
        "process_never_ready": ("A server that never gets ready", "A new build is taken out; else it is told"),
        "process_deaf": ("A server that is ready and deaf", "It is told, and ended by signals where it must end"),
        "process_dies_late": (
            "A server that dies 45 s after it was ready",
            "It is not healthy before its soak is over",
        ),
        "process_stopped": ("A server under SIGSTOP", "It is told; a stop ends it"),
        "process_twice": ("A server started twice", "One of ours at most; the other is told"),
        "process_by_a_person": ("A server started by a person", "It is adopted"),
        "process_put": ("A server put into the background by its script", "It is looked after; no shutdown is told"),
        "process_systemd": ("A server under systemd", "We hold and say so"),
        "process_shell_loop": ("A server under a shell loop", "We hold until the loop is gone, and say so"),
        "process_port": ("A port that is taken", "Told once with who has it; tried again"),
        "process_oom": ("A server killed for its memory", "Environment: told with the cure, no analyst is asked"),
    },
    "Build": {
        "build_hangs": ("A build that hangs", "It is ended with its tree in time"),
        "build_forks_away": ("A build that leaves its session", "It is found by its mark and ended"),
        "build_prints": ("A build that prints 1 GB", "It is ended, its log stays small"),
        "build_fills_disk": ("A build that fills the disk", "The change waits with the cure; nothing is left"),
        "build_no_artifact": ("A build that succeeds without an artifact", "It has failed, and says which is missing"),
        "build_dead_artifact": ("An artifact that does not start", "The last good build is put back"),
    },
    "Analyst": {
        "analyst_hangs": ("An analyst that hangs", "It is ended with its tree in time"),
        "analyst_forks_away": ("An analyst that leaves its session", "It is found by its mark and ended"),
        "analyst_prints": ("An analyst that prints 1 GB", "It is ended, its log stays small"),
        "analyst_fills_disk": ("An analyst that fills the disk", "It is ended, its scratch clone goes"),
        "analyst_no_response": ("An analyst that succeeds without a response", "It is told and not repeated"),
        "analyst_dead_fix": ("A fix with which the server does not start", "It is taken back, also on the branch"),
        "analyst_late": ("An answer that comes late", "It reopens what waits for it, and nothing else"),
        "analyst_twice": ("An answer that comes twice", "The second is only filed away"),
        "analyst_for_another": ("An answer to another request", "Refused and told"),
        "analyst_half_file": ("Half an answer", "It is waited for, then refused"),
    },
    "Time": {
        "time_forward": ("A clock that jumps hours ahead", "Late orders lapse and say so; nothing else is skipped"),
        "time_backward": ("A clock that jumps hours back", "Nothing waits for those hours, nothing is told twice"),
        "time_spring": ("The hour that clocks skip", "A time in it comes all the same"),
        "time_autumn": ("The hour that clocks repeat", "Each of its times counts as it is meant"),
        "time_noon": ("Noon in the middle of a run", "The run ends on the branch on which it began"),
    },
    "Two": {
        "two_bots": ("Two bots on one state folder", "The second is refused and told who holds it"),
        "two_keepers": ("Two keepers of one realm", "One folder has one keeper, whatever the state folder"),
        "two_server_folders": (
            "SERVER_DIR changed while its keeper lives",
            "Nothing is started beside it, with the cure",
        ),
        "two_sigstop": ("One of two under SIGSTOP", "Two deployments never overlap"),
    },
}

# row -> the program below tests/ that plays it too, for longer than a test may take
PROGRAMS = {
    "git_many_files": "bench/many_files.py",
    "database_restarts": "soak/outages.py",
}

_NAME = re.compile(r"test_(?:fault_(?:[ab]\d+_)+|invariant_\d+_)?world_(\w+)")


def find_row(name: str) -> str | None:
    """The row that a test is named for; None for a test that says nothing of the world, or of an unknown part of it."""
    found = _NAME.fullmatch(name)
    if found is None:
        return None
    rows = [row for part in WORLD.values() for row in part if f"{found[1]}_".startswith(f"{row}_")]
    return max(rows, key=len, default=None)


def is_of_the_world(name: str) -> bool:
    return _NAME.fullmatch(name) is not None
