"""The demo's whole story by clicks alone, in a real browser: crash, fix, live, taken back."""

from pathlib import Path

import pytest
from browser import PHONE, open_browser
from demo_story import BUILDING, NAME, play_demo, tell


@pytest.mark.timeout(600)
def test_the_demos_whole_story_by_clicks_alone(tmp_path: Path) -> None:
    pictures = tmp_path / "pictures"
    (tmp_path / "home").mkdir()
    with play_demo(tmp_path / "home") as address, open_browser(tmp_path / "profile") as browser:
        tell(browser, address, lambda name: browser.photograph(pictures / f"{name}.png"))
        browser.wait_for("#channel .message", f"Reverted: {NAME}", BUILDING)
        browser.wait_gone("#channel .row button")
        assert browser.texts("#panel section h3") == ["Who answers", "Crash the realm"], "nothing more is asked"
        browser.look_from(PHONE)
        browser.wait_gone("#panel")
        browser.click(".thread-chip", NAME)
        browser.wait_for("#thread .embed-title", "Verdict: healthy")
        assert "\n".join(browser.overflow()) == ""
        assert browser.complaints() == []
    assert sorted(picture.stem for picture in pictures.iterdir()) == ["building", "crash", "fixed", "question"]
    assert not list((tmp_path / "home").glob("spirit-healer-demo-*")), "the demo left its realm behind"
