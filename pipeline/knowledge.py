"""What is known about crashes: ours, and what a user knows of his own realm in a folder of the state folder.

His entries are asked first. They name causes and cures and change no signature, so that nothing has to be accepted.
"""

from __future__ import annotations

from pipeline.crash.known import Entry, get_entries, read_own
from pipeline.tools import Tools

FOLDER = "knowledge"  # of a user's own files, in the state folder
TOPIC = "knowledge"  # in `degraded`


def list_entries(tools: Tools) -> tuple[Entry, ...]:
    """As they lie there now; what cannot be used is said in /status, the rest holds."""
    own, faults = read_own(tools.realm.state_dir / FOLDER)
    if faults:
        tools.degraded[TOPIC] = f"what you know of crashes cannot all be used: {'; '.join(faults)}"
    else:
        tools.degraded.pop(TOPIC, None)
    return (*own, *get_entries())
