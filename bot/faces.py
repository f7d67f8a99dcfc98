"""What a state makes of a card: title, colour, lines, buttons; and how the titles of each kind of run read."""

from __future__ import annotations

from dataclasses import dataclass

from bot import markup
from bot.payloads import Button, Colour
from pipeline.card_models import CardView
from pipeline.model import Run, RunKind


@dataclass(frozen=True)
class Words:
    """How the titles of a kind of run read; {} is the subject."""

    ready: str
    applying: str
    building: str
    publishing: str
    built: str  # what it waits for comes behind it
    hindered: str
    deploying: str
    live: str
    done: str


WORDS = {
    RunKind.FIX: Words(
        "Fix proposed: {}", "Applying fix: {}", "Building fix for {}", "Pushing fix: {}",
        "Fix built", "Fix may not go live yet: {}",
        "Deploying fix: {}", "Fix live, watching: {}", "Fixed: {}",
    ),
    RunKind.REVERT: Words(
        "Revert ordered: {}", "Reverting: {}", "Building revert: {}", "Pushing revert: {}",
        "Revert built", "Revert may not go live yet: {}",
        "Deploying revert: {}", "Revert live, watching: {}", "Reverted: {}",
    ),
    RunKind.UPDATE: Words(
        "Update ordered: {}", "Merging the base: {}", "Building update: {}", "Pushing update: {}",
        "Update built", "Update may not go live yet: {}",
        "Deploying update: {}", "Update live, watching: {}", "Updated: {}",
    ),
}  # fmt: skip


PUT_BACK = Words(
    "Putting back ordered: {}", "Putting back: {}", "Building with it put back: {}", "Pushing what puts it back: {}",
    "Put back and built", "Put back, may not go live yet: {}",
    "Deploying with it put back: {}", "Live again, watching: {}",
    "Put back: {}",
)  # fmt: skip


def words_for(view: CardView, run: Run) -> Words:
    if view.withdrawn is not None:
        return withdrawn_words(withdrawal(view.withdrawn.reason))
    return PUT_BACK if view.puts_back else WORDS[run.kind]


def withdrawal(reason: str) -> str:
    """What people did to a change that was never live; the reason begins with it."""
    return {"rejected": "Rejected", "reverted": "Taken back"}.get(reason.partition(" ")[0], "Cancelled")


def withdrawn_words(word: str) -> Words:
    """Of the revert of such a change: nothing that was live changes."""
    return Words(
        f"{word}, to be reverted: {{}}", f"{word}, being reverted: {{}}", f"{word}, revert building: {{}}",
        f"{word}, pushing revert: {{}}", f"{word}, revert built",
        f"{word}, revert may not go live yet: {{}}", f"{word}, deploying without it: {{}}",
        f"{word}, live without it, watching: {{}}", f"{word}: {{}}",
    )  # fmt: skip


@dataclass(frozen=True)
class Face:
    """What one state makes of a card."""

    title: str
    colour: Colour
    lines: tuple[str, ...]  # empty ones are left out
    buttons: tuple[Button, ...] = ()


def make_face(view: CardView, template: str, colour: Colour, *lines: str, buttons: tuple[Button, ...] = ()) -> Face:
    return Face(markup.title(template, view.title), colour, lines, buttons)
