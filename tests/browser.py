"""A headless Chromium that a test uses as a person would: by what can be read, clicked and typed.

with open_browser(folder) as browser:
    browser.look_from(PHONE, dark=False)
    browser.open(sandbox.address)
    browser.click("button", "Revert")
    browser.wait_for(".message", "Reverted")
"""

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from selenium.common.exceptions import StaleElementReferenceException, TimeoutException
from selenium.webdriver import Chrome, ChromeOptions
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.wait import WebDriverWait

T = TypeVar("T")
PROGRAMS = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATIENCE = 20.0  # seconds for anything to show
LOOK = 0.03  # seconds between two looks
ARGUMENTS = (
    "--headless",
    "--no-sandbox",  # as root, in a container
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
)

OVERFLOW = """
const places = document.querySelectorAll("html, .messages, .panel, .bar, .composer, .embed");
const scrolled = [...places].filter(e => e.clientWidth && e.scrollWidth > e.clientWidth);
const cut = [...document.querySelectorAll("body *")].filter(e => {
  const box = e.getBoundingClientRect();
  return box.width && box.right > innerWidth + 1 && !e.closest(".code, .unseen") &&
    e.checkVisibility({ visibilityProperty: true });
});
return [...scrolled, ...cut].map(e => `${e.tagName}.${e.className}: ${e.textContent.slice(0, 60)}`);
"""


@dataclass(frozen=True)
class Screen:
    width: int
    height: int
    phone: bool = False


DESKTOP = Screen(1280, 800)
PHONE = Screen(390, 844, phone=True)


class Browser:
    def __init__(self, driver: Chrome) -> None:
        self.driver = driver

    def look_from(self, screen: Screen, *, dark: bool = True) -> None:
        metrics = {"width": screen.width, "height": screen.height, "deviceScaleFactor": 1, "mobile": screen.phone}
        self._command("Emulation.setDeviceMetricsOverride", metrics)
        self._command("Emulation.setTouchEmulationEnabled", {"enabled": screen.phone})
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        still = {"name": "prefers-reduced-motion", "value": "reduce"}
        self._command("Emulation.setEmulatedMedia", {"features": [scheme, still]})

    def open(self, address: str) -> None:
        """In a tab that knows nothing of an earlier test."""
        self.driver.get("about:blank")
        self._command("Storage.clearDataForOrigin", {"origin": address.split("/?")[0], "storageTypes": "all"})
        self.driver.get(address)

    def reload(self) -> None:
        self.driver.refresh()

    def find(self, selector: str, text: str = "") -> WebElement:
        """The first that can be seen and has this text, as soon as there is one."""
        return self.until(lambda: self.list_seen(selector, text), f"{selector} with {text!r}")[0]

    def wait_for(self, selector: str, text: str = "", patience: float = PATIENCE) -> None:
        self.until(lambda: self.list_seen(selector, text), f"{selector} with {text!r}", patience)

    def wait_gone(self, selector: str, text: str = "") -> None:
        self.until(lambda: not self.list_seen(selector, text), f"{selector} with {text!r} to be gone")

    def list_seen(self, selector: str, text: str = "") -> list[WebElement]:
        """What can be seen now."""
        found = self.driver.find_elements(By.CSS_SELECTOR, selector)
        return [each for each in found if each.is_displayed() and text in each.text]

    def texts(self, selector: str) -> list[str]:
        return self._read(selector, "textContent")

    def html(self, selector: str) -> list[str]:
        return self._read(selector, "innerHTML")

    def _read(self, selector: str, what: str) -> list[str]:
        script = "return [...document.querySelectorAll(arguments[0])].map(e => e[arguments[1]])"
        return [str(text) for text in self.ask(script, selector, what)]

    def click(self, selector: str, text: str = "") -> None:
        """With what is drawn anew meanwhile found again."""

        def press() -> bool:
            self.find(selector, text).click()
            return True

        self.until(press, f"{selector} with {text!r} to be clicked")

    def type(self, text: str) -> None:
        """On the command line."""
        self.find("#line").send_keys(text)

    def press(self, key: str) -> None:
        """On whatever has the focus."""
        self.driver.switch_to.active_element.send_keys(getattr(Keys, key, key))

    def until(self, look: Callable[[], T], what: str, patience: float = PATIENCE) -> T:
        """The first true result. Raises AssertionError with what the page shows."""
        look_every = LOOK * patience / PATIENCE  # each look costs the browser more than its page
        wait = WebDriverWait(self.driver, patience, look_every, [StaleElementReferenceException])
        try:
            return wait.until(lambda _: look())
        except TimeoutException:
            shown = self.ask("return document.body.innerText")
        raise AssertionError(f"waited {patience:.0f} s for {what}; the page shows:\n{shown}")

    def ask(self, script: str, *arguments: Any) -> Any:
        return self.driver.execute_script(script, *arguments)

    def overflow(self) -> list[str]:
        """What is wider than its place and cannot be scrolled: of the page itself, or of a list of messages."""
        return [str(each) for each in self.ask(OVERFLOW)]

    def complaints(self) -> list[str]:
        """Errors and refused loads that the console has noted since the last look."""
        entries = self.driver.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's own omission
        return [str(entry["message"]) for entry in entries]

    def photograph(self, path: Path) -> None:
        """With the mouse out of the way."""
        self._command("Input.dispatchMouseEvent", {"type": "mouseMoved", "x": 0, "y": 0})
        path.parent.mkdir(parents=True, exist_ok=True)
        assert self.driver.save_screenshot(str(path)), path

    def _command(self, name: str, values: dict[str, Any]) -> None:
        self.driver.execute_cdp_cmd(name, values)


@contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """`profile` is an empty folder of the browser's own. Raises RuntimeError where there is none."""
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        raise RuntimeError("the page is tested in Chromium; install it and its driver (Debian: chromium-driver)")
    options = ChromeOptions()
    options.binary_location = program
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for argument in (*ARGUMENTS, f"--user-data-dir={profile}"):
        options.add_argument(argument)
    running = Chrome(options=options, service=Service(driver))
    try:
        running.execute_cdp_cmd("Emulation.setLocaleOverride", {"locale": "en-GB"})
        running.execute_cdp_cmd("Emulation.setTimezoneOverride", {"timezoneId": "UTC"})
        yield Browser(running)
    finally:
        running.quit()
