"""The pictures of the README, made of the real thing: `python tests/pictures.py` plays the demo's story and
photographs it (some two minutes). Needs Chromium and its driver."""

import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from browser import PHONE, Browser, Screen, open_browser
from demo_story import BUILDING, NAME, play_demo, tell
from PIL import Image

FOLDER = ROOT / "docs" / "pictures"
KEPT = ("crash", "fixed", "phone")
LARGEST = 200_000  # bytes
SCREEN = Screen(1200, 680)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        taken = Path(folder) / "taken"
        (Path(folder) / "demo").mkdir()
        with play_demo(Path(folder) / "demo") as address, open_browser(Path(folder) / "profile") as browser:
            tell(browser, address, lambda name: browser.photograph(taken / f"{name}.png"), SCREEN)
            photograph_on_a_phone(browser, taken / "phone.png")
        for name in KEPT:
            keep(taken / f"{name}.png", FOLDER / f"{name}.png")


def photograph_on_a_phone(browser: Browser, path: Path) -> None:
    """In the light theme: the summary of the night so far, the fix being taken back by then."""
    browser.look_from(PHONE, dark=False)
    browser.wait_for("#channel .embed-title", f"Reverted: {NAME}", BUILDING)
    browser.type("/summary")
    browser.click("#send")
    browser.wait_for("#channel .picture img")
    browser.until(
        lambda: browser.ask("return document.querySelector('#channel .picture img').naturalWidth"), "the chart"
    )
    browser.photograph(path)


def keep(taken: Path, kept: Path) -> None:
    """With no more colours than it needs."""
    kept.parent.mkdir(parents=True, exist_ok=True)
    with Image.open(taken) as picture:
        few = picture.convert("RGB").quantize(kmeans=1, dither=Image.Dither.NONE)
    few.save(kept, optimize=True)
    assert kept.stat().st_size < LARGEST, f"{kept} has {kept.stat().st_size} bytes"
    print(f"{kept.relative_to(ROOT)}: {kept.stat().st_size // 1000} kB")


if __name__ == "__main__":
    main()
