"""What is cut was struck before: no reader of a part shows the half of a secret, wherever the cut falls."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from world import World

from bot import limits
from bot.payloads import Attachment, Message
from bot.wire import Pen
from pipeline import log_tails
from pipeline.adapters import analyst, builder_run, diagnostics
from pipeline.adapters.clock import SystemClock
from pipeline.crash import context
from pipeline.redact import Redactor
from pipeline.stages import proposal

KNOWN = "CorrectHorseBatteryStaple"
BODY = "MIIEvQIBADANBgkqhkiG9w0BAQEFAASC\nBKcwggSjAgEAAoIBAQC7Lr3Ft6Yb0123"
SECRETS = {
    "a known value": (KNOWN, ("Horse", "Battery")),
    "the login of a database": ("127.0.0.1;3306;trinity;hunter2secret;characters", ("hunter2", "secret")),
    "the login of a URL": ("mysql://u:hunter2secret@db/characters", ("hunter2", "secret")),
    "a private key": (f"-----BEGIN PRIVATE KEY-----\n{BODY}\n-----END PRIVATE KEY-----", ("hkiG9w0", "Lr3Ft6Yb")),
}
secrets = pytest.mark.parametrize(("secret", "halves"), SECRETS.values(), ids=SECRETS)
between = pytest.mark.parametrize("between", ["\n", " "], ids=["lines", "one endless line"])
STEP = 3  # characters; a half that is longer is told from what it is half of
redact = Redactor([KNOWN])


def last_lines(path: Path) -> str:
    return "\n".join(context.last_lines(path, 9, redact=redact))


def log_command(path: Path) -> str:
    return "\n".join(log_tails.read_end("server", path, 9, redact).lines)


readers = pytest.mark.parametrize("read", [last_lines, log_command])


def fill(length: int, between: str) -> str:
    return f"words{between}" * (length // 6) + "." * (length % 6)


def laid_over(secret: str, cut: int, between: str = " ") -> Iterator[str]:
    """Texts of `2 * cut` characters and more, in which the secret begins ever farther before the cut."""
    for reached in range(0, len(secret) + STEP, STEP):
        yield f"{fill(cut - reached - 1, between)}{between}{secret}{between}{fill(cut, between)}"


@readers
@secrets
def test_a_long_line_shows_no_half_of_a_secret(
    tmp_path: Path, read: Callable[[Path], str], secret: str, halves: tuple[str, str]
) -> None:
    log = tmp_path / "Server.log"
    for text in laid_over(secret, log_tails.LONGEST_LINE):
        log.write_text(f"first\n{text}\nlast\n")
        shown = read(log)
        assert shown.startswith("first\nwords words ") and shown.endswith("\nlast")
        assert not any(half in shown for half in halves), shown


@readers
@between
@secrets
def test_the_end_of_a_log_shows_no_half_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Path], str], between: str, secret: str,
    halves: tuple[str, str],
) -> None:  # fmt: skip
    kept = 100
    monkeypatch.setattr(context, "TAIL", kept)
    monkeypatch.setattr(log_tails, "MOST_BYTES", kept)
    log = tmp_path / "Server.log"
    for reached in range(0, len(secret), STEP):
        log.write_text(
            f"{fill(999, between)}{secret[:reached]}{(secret[reached:] + between).ljust(kept - 5, '.')}\nlast"
        )
        shown = read(log)
        assert not any(half in shown for half in halves), shown


@between
@secrets
async def test_a_file_that_is_too_large_for_discord_shows_no_half_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str, secret: str, halves: tuple[str, str]
) -> None:
    half = 40 << 10
    monkeypatch.setattr(limits, "FILE_BYTES", 2 * half)
    log = tmp_path / "build.log"
    for text in laid_over(secret, half, between):
        for lying in (text + fill(half, between), fill(half, between) + text[: -len(between)]):
            log.write_text(lying)
            [file] = (await Pen(redact).send_form(Message(files=(Attachment("build.log", path=log),))))["files"]
            shown = file.fp.read().decode()
            assert shown.startswith("words") and "\n... cut in the middle" in shown
            assert not any(half in shown for half in halves)


@secrets
def test_a_proposed_change_shows_no_half_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, secret: str, halves: tuple[str, str]
) -> None:
    monkeypatch.setattr(proposal, "LONGEST", 300)
    tools = replace(World(tmp_path).tools, redact=redact)
    for text in laid_over(secret, 300):
        shown = proposal.cut(tools, text)
        assert len(shown) == 300
        assert not any(half in shown for half in halves), shown


@secrets
def test_what_a_compiler_said_shows_no_half_of_a_secret(tmp_path: Path, secret: str, halves: tuple[str, str]) -> None:
    log = tmp_path / "build.log"
    for text in laid_over(secret.replace("\n", " "), diagnostics.LONGEST):
        (found,) = diagnostics.parse_diagnostics([f"src/Map.cpp:3:1: error: {text}"], tmp_path, tmp_path, redact)
        assert found.message.startswith("words") and len(found.message) <= diagnostics.LONGEST
        assert not any(half in found.message for half in halves), found.message
    for text in laid_over(secret.replace("\n", " "), builder_run.LAST_WORDS):
        log.write_text(f"first\n{text}\n")
        shown = builder_run.last_words(log, redact)
        assert shown.startswith("words") and len(shown) <= builder_run.LAST_WORDS
        assert not any(half in shown for half in halves), shown


@between
@secrets
def test_what_is_kept_of_an_analysts_output_holds_no_half_of_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, between: str, secret: str, halves: tuple[str, str]
) -> None:
    most = 40 << 10
    monkeypatch.setattr(analyst, "MOST_OUTPUT", most)
    keeper = analyst.FileAnalyst(tmp_path / "queue", SystemClock(), state_dir=tmp_path, clone=tmp_path, redact=redact)
    log = tmp_path / "logs" / "analyst" / "ab12.log"
    log.parent.mkdir(parents=True)
    for text in laid_over(secret, most, between):
        log.write_text(text)
        keeper.remove_leftovers()
        kept = log.read_text()
        assert kept.startswith("words") and len(kept) <= most
        assert not any(half in kept for half in halves), kept[-99:]
