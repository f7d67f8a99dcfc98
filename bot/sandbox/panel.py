"""A panel beside the channel, as data: whoever runs the sandbox hands it in, and is called when a button is pressed.

The sandbox knows nothing of what the buttons do.
"""

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass

from bot.sandbox.errors import Json
from bot.sandbox.feed import Feed
from bot.sandbox.visitor import VisitorError

Press = Callable[[str], Awaitable[str]]
# id of a button -> what came of it, in one line; raises VisitorError with the reason where it could not be done


@dataclass(frozen=True)
class PanelButton:
    id: str
    label: str
    hint: str = ""
    # what it does, in a sentence
    style: str = "secondary"
    # primary, secondary, success or danger


@dataclass(frozen=True)
class PanelItem:
    label: str
    detail: str = ""
    buttons: tuple[PanelButton, ...] = ()


@dataclass(frozen=True)
class PanelGroup:
    title: str
    note: str = ""
    items: tuple[PanelItem, ...] = ()


@dataclass(frozen=True)
class Panel:
    title: str
    text: str
    # what the visitor is looking at
    groups: tuple[PanelGroup, ...] = ()

    def list_buttons(self) -> list[PanelButton]:
        return [button for group in self.groups for item in group.items for button in item.buttons]


class PanelPlace:
    """Where the panel stands, if there is one."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        self._press: Press | None = None
        self.panel: Panel | None = None

    def put(self, panel: Panel, press: Press) -> None:
        self._press = press
        if panel != self.panel:
            self.panel = panel
            self._feed.touch()

    def describe(self) -> Json | None:
        return None if self.panel is None else asdict(self.panel)

    async def press(self, button_id: str) -> str:
        """Raises VisitorError for a button that is not there, or no longer."""
        there = [] if self.panel is None else [button.id for button in self.panel.list_buttons()]
        if self._press is None or button_id not in there:
            raise VisitorError("that button is not there any more")
        return await self._press(button_id)
