"""The demo as a visitor sees it: a process of its own, its page in a browser, and the whole story by clicks alone.

The test of it and the pictures of the README are made by this one story.
"""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from browser import DESKTOP, Browser, Screen

CLEAN = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "SYSTEMROOT", "TEMP") if name in os.environ}
ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/\?token=\S+")
BUILDING = 240.0  # seconds for anything that builds
ENDING = 60.0  # seconds for the demo to end in order
NAME = "EventDispatcher::UnsubscribeAll"
Photograph = Callable[[str], None]


@contextmanager
def play_demo(folder: Path) -> Iterator[str]:
    """`spirit-healer demo` in an empty folder; the address that it prints, as soon as the realm is up."""
    environment = {**CLEAN, "TMPDIR": str(folder), "PYTHONPATH": os.pathsep.join(sys.path), "PYTHONUNBUFFERED": "1"}
    demo = subprocess.Popen(
        [sys.executable, "-m", "bot", "demo"],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        encoding="utf-8",
    )
    try:
        yield read_address(demo)
    finally:
        demo.send_signal(signal.SIGINT)
        try:
            demo.communicate(timeout=ENDING)
        finally:
            demo.kill()


def read_address(demo: "subprocess.Popen[str]") -> str:
    assert demo.stdout is not None
    said: list[str] = []
    for line in demo.stdout:
        said.append(line)
        if "The realm is up" in line:
            found = ADDRESS.search("".join(said))
            assert found is not None, "".join(said)
            return found[0]
    raise AssertionError("the demo ended by itself:\n" + "".join(said))


def tell(browser: Browser, address: str, photograph: Photograph, screen: Screen = DESKTOP) -> None:
    """A bug, its crash, a good fix of the visitor's own that goes live, and that fix taken back."""
    browser.look_from(screen)
    browser.open(address)
    browser.wait_for("#link", "live")
    browser.click("#panel button", "Answer myself")
    browser.wait_for("#panel button", "Let it answer")
    crash(browser, "Null dereference in a chain of destructors")
    browser.wait_for("#channel .embed-title", f"Crash in {NAME}", BUILDING)
    browser.wait_for("#panel h3", "Answer as the analyst")
    photograph("crash")
    answer(browser, "Good fix")
    browser.wait_for("#channel .embed-title", "Building fix", BUILDING)
    photograph("building")
    browser.wait_for("#channel .embed-title", f"Fixed: {NAME}", BUILDING)
    browser.click(".thread-chip", NAME)
    browser.wait_for("#thread .diff-added", "_questManager.reset();")
    photograph("fixed")
    browser.click("#thread-close")
    browser.click("#channel .row button", "Revert")
    browser.wait_for("#channel .message", "the server goes down for about")
    photograph("question")
    browser.click("#channel .message:last-of-type .row button", "Revert")


def crash(browser: Browser, bug: str) -> None:
    browser.click(f'#panel button[aria-label="Crash: {bug}"]')
    browser.wait_for(".panel-said", "Set off")


def answer(browser: Browser, fix: str) -> None:
    browser.click("#panel .item-buttons button", fix)
    browser.wait_for(".panel-said", f"Sent: {fix.lower()}")
