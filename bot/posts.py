"""What is sent once and not edited: the detail in a card's thread, and news in the channel.

Pure functions of outbox rows. `Post.data` is JSON and may lack anything: every key is read with a default, because a
post must never be lost to a fault.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path, PurePath
from typing import Any, assert_never

from bot.cards import Home
from bot.facts import say_death
from bot.limits import TITLE, cut_middle, cut_text
from bot.markup import (
    begin_sentence,
    block,
    code,
    commit_link,
    count,
    duration,
    is_ours,
    join,
    name_build,
    plain,
    prose,
    revision,
    title,
)
from bot.needs import name_change
from bot.payloads import Attachment, Button, Colour, Embed, Message, Style
from bot.summary import render_summary
from bot.suspicions import list_suspicions
from pipeline.card_models import Post, PostKind
from pipeline.crash.own_text import write_own
from pipeline.keeper.protocol import from_plain
from pipeline.model import OURS, RunKind, Verdict
from pipeline.summary import NightSummary

SHOWN = 2500  # characters of a diff or a backtrace in the message itself; the rest is in the file
SHOWN_ERRORS = 3
SHOWN_NOTES = 5
SHOWN_UNDONE = 5
STILL_RUNS = (
    "The server is restarted after crashes as ever, and they are counted; the revert of what was rolled back, and what"
    " people order, goes through. Nothing else is patched, built or deployed until `/resume`."
)
LOOK_FIRST = "**A person is needed:** the thread of its card has what to look at, then Resume."
LOOK_AT_DEATH = "**A person is needed:** look at what it died of, then Resume."
WHEN_YOU_LIKE = "It was asked for: Resume, when you like."
GOES_ON = {  # by itself, behind what a post begins with
    "paused": STILL_RUNS,
    "push owed": "It goes there by itself once the remote takes it; what is built goes live meanwhile.",
    "swap failed": "The build before stays in place, and it is tried again by itself; its card has the cure.",
}
Data = dict[str, Any]

# What a SERVER, PIPELINE or ORDER post's `what` begins with -> its title, colour, and whether the role is pinged.
NEWS: tuple[tuple[str, str, Colour, bool], ...] = (
    ("held: exit_zero", "Server stays down: it was shut down", Colour.AMBER, False),
    ("held: breaker", "Server held: it died too often", Colour.RED, True),
    ("held: foreign", "Server held: somebody else looks after it", Colour.RED, True),
    ("held: swap", "Server held: its files fit no build", Colour.RED, True),
    ("held: stopped", "Server stopped", Colour.AMBER, False),
    ("held", "Server held", Colour.RED, True),
    ("fell back", "The keeper put the previous build back", Colour.RED, False),
    ("swap failed", "A build could not be put in place", Colour.RED, False),
    ("foreign", "Somebody else looks after the server too", Colour.AMBER, False),
    ("own build", "A build that is not ours runs", Colour.AMBER, False),
    ("start-up error", "Server does not start", Colour.AMBER, False),
    ("back", "Server back", Colour.GREEN, False),
    ("not ready", "Server does not get ready", Colour.AMBER, False),
    ("halted: keeper", "Nobody looks after the server", Colour.RED, True),
    ("halted: server", "Server stands still", Colour.RED, True),
    ("goes on: keeper", "The keeper looks after the server again", Colour.GREEN, False),
    ("goes on: server", "Server no longer stands still", Colour.GREEN, False),
    ("released", "Server no longer held", Colour.BLUE, False),
    ("paused by", "Pipeline paused by a rollback", Colour.AMBER, False),
    ("paused itself", "Pipeline paused itself", Colour.AMBER, False),
    ("paused", "Pipeline paused", Colour.AMBER, False),
    ("resumed", "Pipeline goes on", Colour.BLUE, False),
    ("degraded", "Something does not work", Colour.AMBER, False),
    ("mended", "Works again", Colour.GREEN, False),
    ("push owed", "A push is owed", Colour.AMBER, False),
    ("push made up", "The push that was owed went through", Colour.GREEN, False),
    ("branch continued", "The night goes on under another branch", Colour.AMBER, False),
    ("lapsed", "An order has lapsed", Colour.AMBER, False),
    ("restarting", "Server restarts", Colour.BLUE, False),
    ("rolling back", "Taken back by an operator", Colour.RED, False),
    ("restart failed", "A restart was not carried out", Colour.AMBER, False),
    ("rollback failed", "A rollback was not carried out", Colour.AMBER, False),
)


def render_post(post: Post, realm: str, home: Home | None = None) -> Message:
    """The message of an outbox row; its footer ends with the id by which it is found in the channel again."""
    message = _render(post, home)
    return replace(message, embed=replace(message.embed or Embed(), footer=f"{plain(realm)} · #p{post.id}"))


def _render(post: Post, home: Home | None) -> Message:
    data = post.data
    match post.kind:
        case PostKind.ANALYSIS:
            return _analysis(data)
        case PostKind.PATCH:
            return _patch(data)
        case PostKind.BACKTRACE:
            return _backtrace(data)
        case PostKind.BUILD_FAILED:
            return _build_failed(data)
        case PostKind.BUILT:
            return _built(data)
        case PostKind.REFUSED:
            return _plain_news("Patch refused", f"{begin_sentence(_reason(data))}\nNothing was written.", Colour.AMBER)
        case PostKind.DEPLOYED:
            return _deployed(data)
        case PostKind.VERDICT:
            return _verdict(data)
        case PostKind.SERVER | PostKind.PIPELINE | PostKind.ORDER:
            return _news(data, home)
        case PostKind.REJECTED_RESPONSE:
            return _refused_responses(data)
        case PostKind.SUMMARY:
            return render_summary(from_plain(NightSummary, data), home)
        case _:
            assert_never(post.kind)


def _plain_news(heading: str, text: str, colour: Colour, files: tuple[Attachment, ...] = ()) -> Message:
    return Message(embed=Embed(title("{}", heading), text, colour), files=files)


def _text(data: Data, key: str) -> str:
    return str(data.get(key) or "")


def _reason(data: Data) -> str:
    return prose(_text(data, "reason")) or "no reason was given"


def _lines(data: Data, key: str) -> list[str]:
    value = data.get(key) or []
    return [str(each) for each in value] if isinstance(value, list | tuple) else str(value).splitlines()


# --- in the thread ---------------------------------------------------------------------------------------------------


def _analysis(data: Data) -> Message:
    found = data.get("analysis") or {}
    place = ":".join(str(found[key]) for key in ("file", "line") if found.get(key))
    parts = (
        f"**{prose(_text(found, 'summary'))}**" if found.get("summary") else "",
        join(
            f"at {code(place)}" if place else "",
            f"in {code(_text(found, 'function'))}" if found.get("function") else "",
            f"confidence {plain(_text(found, 'confidence'))}" if found.get("confidence") else "",
        ),
        prose(cut_text(_text(found, "details"), SHOWN)),
        f"**Proposed in words; a person has to look:**\n{prose(_text(data, 'prose'))}" if data.get("prose") else "",
    )
    text = "\n".join(part for part in parts if part) or "The analyst gave no explanation."
    attempt = f" (try {data['attempt']})" if int(data.get("attempt") or 1) > 1 else ""
    return _plain_news(f"Analysis{attempt}", text, Colour.GREY)


_PATCHES = {RunKind.FIX: "The patch", RunKind.REVERT: "The revert", RunKind.UPDATE: "The merge"}
_BUILT = {RunKind.FIX: "Built", RunKind.REVERT: "Built with the revert", RunKind.UPDATE: "Built with the update"}


def _kind(data: Data) -> RunKind:
    """Posts of before say nothing of it."""
    return RunKind(data.get("kind") or RunKind.FIX)


def _patch(data: Data) -> Message:
    diff = _text(data, "diff")
    added, removed = _count_lines(diff)
    lines = f"+{data.get('added', added)} −{data.get('removed', removed)}"
    text = f"{lines}\n{block(cut_text(diff, SHOWN), 'diff')}"
    return _plain_news(_PATCHES[_kind(data)], text, Colour.GREY, (Attachment("fix.diff", diff),) if diff else ())


def _count_lines(diff: str) -> tuple[int, int]:
    lines = [line for line in diff.splitlines() if not line.startswith(("+++", "---"))]
    return sum(line.startswith("+") for line in lines), sum(line.startswith("-") for line in lines)


def _backtrace(data: Data) -> Message:
    frames = _frame_lines(data)
    stack = "\n".join(frames) or "no stack could be read"
    category = _text(data, "category")
    facts = join(
        "" if data.get("assertion") and category == "assertion" else prose(category),
        f"assertion {code(_text(data, 'assertion'))}" if data.get("assertion") else "",
        f"it ran {code(revision(_text(data, 'revision')))}" if data.get("revision") else "",
        _exit_status(data.get("status")),
        f"core {code(PurePath(_text(data, 'core')).name)}" if data.get("core") else "",
    )
    notes = "\n".join(prose(each) for each in _lines(data, "notes")[:SHOWN_NOTES])
    guess = f"**{prose(_text(data, 'hypothesis'))}** *(from the report alone)*" if data.get("hypothesis") else ""
    errors = "".join(f"before it: {code(each)}\n" for each in _lines(data, "errors")).rstrip()
    act = f"last of the bots: {code(_text(data, 'last_act'))}" if data.get("last_act") else ""
    parts = (guess, facts, *list_suspicions(data.get("suspects")), block(cut_text(stack, SHOWN)), errors, act, notes)
    text = "\n".join(part for part in parts if part)
    full = write_own(_text(data, "category") if frames else "", stack, _lines(data, "log"))
    return _plain_news("The crash", text, Colour.GREY, (Attachment("backtrace.txt", full),))


def _frame_lines(data: Data) -> list[str]:
    frames = data.get("frames") or []
    if isinstance(frames, str):
        return frames.splitlines()
    marked = data.get("crashing_frame")
    return [f"{'>' if number == marked else ' '}{number:>3}  {_frame(each)}" for number, each in enumerate(frames)]


def _frame(frame: Any) -> str:
    if not isinstance(frame, dict):
        return str(frame)
    place = ":".join(str(frame[key]) for key in ("file", "line") if frame.get(key))
    name = str(frame.get("function") or "??")
    return f"{name}  {place or frame.get('module') or ''}".rstrip()


def _exit_status(status: Any) -> str:
    if not isinstance(status, int):
        return ""
    return f"ended by signal {-status}" if status < 0 else f"exit code {status}"


def _build_failed(data: Data) -> Message:
    errors = _lines(data, "diagnostics")
    more = len(errors) - SHOWN_ERRORS
    shown = block("\n".join(errors[:SHOWN_ERRORS])) if errors else ""
    rest = f"{count(more, 'more error')} in the log" if more > 0 else ""
    attempt = f"try {data['attempt']}" if data.get("attempt") else ""
    reason = "" if _text(data, "reason") in errors else begin_sentence(_reason(data))
    text = "\n".join(part for part in (reason, shown, join(attempt, rest)) if part)
    log = (Attachment("build.log", path=Path(_text(data, "log"))),) if data.get("log") else ()
    return _plain_news("The fix does not compile" if errors else "The build failed", text, Colour.AMBER, log)


def _built(data: Data) -> Message:
    branch = f"on {code(_text(data, 'branch'))}" if data.get("branch") else ""
    took = f"in {duration(float(data['seconds']))}" if data.get("seconds") is not None else ""
    link = commit_link(_text(data, "commit") or "?", data.get("url"))
    made = join(" ".join(part for part in (link, branch) if part), took)
    heading = "Built with it put back" if data.get("puts_back") else _BUILT[_kind(data)]
    return _plain_news(heading, "\n".join(part for part in (made, _say_undone(data)) if part), Colour.BLUE)


def _say_undone(data: Data) -> str:
    undoes = [each for each in data.get("undoes") or () if isinstance(each, dict)]
    links = ", ".join(commit_link(_text(each, "commit"), each.get("url")) for each in undoes[:SHOWN_UNDONE])
    more = f" and {len(undoes) - SHOWN_UNDONE} more" if len(undoes) > SHOWN_UNDONE else ""
    by = f"ordered by {plain(_text(data, 'by'))}" if data.get("by") else ""
    return join(f"takes back {links}{more}", by) if undoes else ""


def _deployed(data: Data) -> Message:
    down = f"was down for {duration(float(data['down_seconds']))}" if data.get("down_seconds") is not None else ""
    printed = f"the server says {code(revision(_text(data, 'revision')))}" if data.get("revision") else ""
    text = join(f"Server up with {commit_link(_text(data, 'commit') or '?', data.get('url'))}", down, printed)
    return _plain_news("Live", text, Colour.GREEN)


def _verdict(data: Data) -> Message:
    verdict = Verdict(data.get("verdict") or Verdict.INCONCLUSIVE)
    detail = begin_sentence(prose(_text(data, "detail")))
    match verdict:
        case Verdict.HEALTHY:
            return _plain_news("Verdict: healthy", detail or "It stayed up through the soak.", Colour.GREEN)
        case Verdict.UNHEALTHY:
            return _plain_news("Verdict: unhealthy, going back", detail or "It is worse than before.", Colour.RED)
        case Verdict.NOT_CURED:
            return _plain_news("Verdict: not cured", detail or "The same crash came again.", Colour.AMBER)
        case Verdict.INCONCLUSIVE:
            return _plain_news("Verdict: inconclusive", detail or "Something else happened meanwhile.", Colour.AMBER)
        case _:
            assert_never(verdict)


# --- in the channel --------------------------------------------------------------------------------------------------


def _refused_responses(data: Data) -> Message:
    """One, or the first few of many: the rest lies where they lie."""
    refused = [each for each in data.get("refused") or [data] if isinstance(each, dict)]
    number = int(data.get("count") or 1)
    lines = [
        f"{code(str(each.get('file') or '?'))}: {_reason({'reason': cut_text(_text(each, 'reason'), 300)})}"
        for each in refused
    ]
    more = f"and {number - len(lines)} more" if number > len(lines) else ""
    where = "They lie" if number > 1 else "It lies"
    text = "\n".join(part for part in (*lines, more, f"{where} in `rejected/`; nothing was changed.") if part)
    heading = f"{number} responses were refused" if number > 1 else "A response was refused"
    return _plain_news(heading, text, Colour.AMBER)


def _news(data: Data, home: Home | None) -> Message:
    what = _text(data, "what") or "news"
    by = _text(data, "by")
    heading, colour, ping = _find_news(_say_whose(data))
    if what == "start-up error":
        return _start_up_error(data, heading, colour)
    if what == "back":
        return _plain_news(heading, _back(data), colour)
    if what == "rolling back" and data.get("changes"):
        return _taken_back(data)
    if what.startswith("goes on"):
        return _plain_news(heading, f"It was seen to stand still for {duration(float(data['seconds']))}.", colour)
    build = _text(data, "build")
    person = "" if by == OURS else by
    named = f"build {name_build(build)}" if is_ours(build) else name_build(build)
    facts = join(named if build else "", f"by {plain(person)}" if person else "")
    looked_at = _look_at(data, home) if what == "paused" and by == OURS else ()
    goes_on = GOES_ON.get(what, "") if what != "swap failed" or data.get("rolled") == "back" else ""
    told = begin_sentence(prose(_text(data, "detail")))
    text = "\n".join(part for part in (told, facts, *looked_at, goes_on) if part)
    embed = Embed(title("{}", heading), text, colour)
    return Message(embed=embed, buttons=_news_buttons(what), ping=ping)


def render_over(post: Post, realm: str, home: Home | None = None) -> Message:
    """The same message once what it tells is over."""
    message = render_post(post, realm, home)
    seconds = post.data.get("up_after")
    return close_news(message) if seconds is None else _tell_up(message, float(seconds))


def _tell_up(message: Message, seconds: float) -> Message:
    embed = message.embed or Embed()
    text = f"Ready after **{duration(seconds)}**\n{embed.description}".rstrip()
    told = replace(embed, title="Server up again", description=text, colour=Colour.GREEN)
    return replace(message, embed=told)


_TO_BE_DONE = (LOOK_FIRST, LOOK_AT_DEATH, WHEN_YOU_LIKE, *GOES_ON.values())


def close_news(message: Message) -> Message:
    """Its title is all that many read."""
    embed = message.embed or Embed()
    over = cut_middle(f"Over: {embed.title}", TITLE)
    held = [line for line in embed.description.splitlines() if line not in _TO_BE_DONE]
    text = "\n".join(["**This is over.** `/status` tells what is now.", *held])
    told = replace(embed, title=over, description=text, colour=Colour.GREY)
    return replace(message, embed=told, buttons=(), ping=False)


def _start_up_error(data: Data, heading: str, colour: Colour) -> Message:
    """No bug and no crash: what stands in the way, and that nobody has to start it again."""
    cause = _text(data, "cause")
    again = "It is tried again by itself, every minute at the latest; `/status` tells when."
    text = "\n".join(part for part in (begin_sentence(prose(_text(data, "detail"))), again) if part)
    return _plain_news(f"{heading}: {cause}" if cause else heading, text, colour)


def _back(data: Data) -> str:
    tried = f"It did not start for {duration(float(data['seconds']))}" if data.get("seconds") is not None else ""
    cause = f"what stood in its way: {prose(_text(data, 'cause'))}" if data.get("cause") else ""
    return join(tried, cause)


def _taken_back(data: Data) -> Message:
    """Each change with its commit, and where the server goes back to."""
    why = prose(_text(data, "detail"))
    build, commit = _text(data, "build"), _text(data, "build_commit") or None
    name = f"build {name_build(build)}" if is_ours(build) else name_build(build, commit)
    changes = [each for each in data.get("changes") or () if isinstance(each, dict)]
    lines = (
        f"**Why:** {why}" if why else "",
        *(f"- {_name_taken(each)}" for each in changes),
        f"The server goes back to {name}; what was not reverted yet is reverted on the branch next",
    )
    text = "\n".join(line for line in lines if line)
    return Message(embed=Embed(title("Taken back by {}", _text(data, "by")), text, Colour.RED))


def _name_taken(change: Data) -> str:
    link = commit_link(_text(change, "commit"), change.get("url"))
    revert = _text(change, "revert")
    undone = f"reverted in {commit_link(revert, change.get('revert_url'))}" if revert else ""
    return join(f"{name_change(_text(change, 'subject'), _text(change, 'kind'))} {link}", undone)


def _say_whose(data: Data) -> str:
    what = _text(data, "what") or "news"
    if _text(data, "by") != OURS:
        return what
    return f"{what} by a rollback" if data.get("ordered") else f"{what} itself"


def _look_at(data: Data, home: Home | None) -> tuple[str, ...]:
    """What there is for a person before the pipeline goes on, which paused over a rollback."""
    death = data.get("death") or {}
    if data.get("ordered"):
        return (WHEN_YOU_LIKE,)
    if not death.get("title"):
        return (LOOK_FIRST,)
    link = home.link(str(death["message"])) if home and death.get("message") else None
    return LOOK_AT_DEATH, begin_sentence(say_death(str(death["title"]), link))


def _find_news(what: str) -> tuple[str, Colour, bool]:
    for beginning, heading, colour, ping in NEWS:
        if what.startswith(beginning):
            return heading, colour, ping
    return what[:1].upper() + what[1:], Colour.GREY, False


def _news_buttons(what: str) -> tuple[Button, ...]:
    if what.startswith("held") and what != "held: foreign":  # no order lifts that
        return (Button("Start", "start:server", Style.PRIMARY),)
    return (Button("Resume", "resume:pipeline", Style.PRIMARY),) if what == "paused" else ()
