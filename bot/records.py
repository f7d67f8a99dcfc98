"""What was recorded, as messages: a run with its steps, crashes by signature, the end of a log. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from bot import markup
from bot.cards import Home
from bot.faces import withdrawal
from bot.facts import NOT_RUNNING, ONLY_TAKEN_BACK, WITHDRAWN_WORDS, say_request, say_requests
from bot.limits import cut_middle, width
from bot.markup import ago, block, clock_time, code, commit_link, count, duration, join, plain, prose, revision, size
from bot.payloads import Attachment, Colour, Embed, Field, Message
from bot.status import doing
from bot.suspicions import list_suspicions
from pipeline.model import OF_WHAT_WENT, OVER, STATE_WORDS, CrashReport, FixState, Frame, Run, RunKind, RunState
from pipeline.read_models import CrashesView, CrashLine, CrashView, LogView, RunStep, RunView
from pipeline.status_models import RunLine

SHOWN_STEPS = 14
SHOWN_CRASHES = 15
SHOWN_FRAMES = 12
SHOWN_RUNS = 5
SHOWN_LOG = 1700  # characters of a log in the message itself
SHORT = 30  # characters of a state in a title: what is longer has shorter words

_COLOURS = {
    RunState.PROPOSED: Colour.AMBER, RunState.AWAITING_APPROVAL: Colour.AMBER, RunState.FAILED: Colour.AMBER,
    RunState.SUCCEEDED: Colour.GREEN, RunState.VERIFYING: Colour.GREEN, RunState.ROLLED_BACK: Colour.RED,
    RunState.ROLLING_BACK: Colour.RED, RunState.CANCELLED: Colour.GREY, RunState.ANALYZING: Colour.GREY,
    RunState.READY: Colour.GREY, RunState.AWAITING_DEPLOYMENT: Colour.GREY,
}  # fmt: skip
_COLOURS_SINCE: dict[FixState | None, Colour] = {FixState.REVERTED: Colour.GREY, FixState.RECURRED: Colour.AMBER}


# --- one run ---------------------------------------------------------------------------------------------------------


def render_run(view: RunView, home: Home) -> Message:
    """First what it does now, then what it is about, then each of its steps."""
    run = view.run
    lines = (
        f"**A person is needed:** `/retry {run.id}` tries it again" if view.given_up else "",
        prose(cut_middle(run.reason, 500)) if run.reason else "",
        _say_request(view),
        join(f"run {code(run.id)}", f"kind {run.kind}", f"asked for by {plain(run.asked_by)}" if run.asked_by else "",
             f"tries again what run {code(run.retry_of)} tried" if run.retry_of else ""),
        f"**Cause:** {prose(cut_middle(run.analysis.summary, 600))}" if run.analysis and run.analysis.summary else "",
        _change(view),
        join(_say_crashes(view.crashes), link_card(view.card, home)),
    )  # fmt: skip
    return Message(
        embed=Embed(
            markup.title(f"{_name_kind(view.line)}{{}}: ", run.subject, _say_no(run) or _say_state(view.line)),
            "\n".join(line for line in lines if line),
            _COLOURS_SINCE.get(run.fix_state) or _COLOURS.get(run.state, Colour.BLUE),
            (Field("Steps", _steps(view.steps)),),
        )
    )


def _name_kind(line: RunLine) -> str:
    if line.puts_back:
        return "Putting back of "
    return "" if line.kind is RunKind.FIX else f"{line.kind.capitalize()} of "


def _say_state(line: RunLine) -> str:
    """What it does, for a title: what is too long has shorter words. Whether a person is needed is said below it."""
    words = doing(line).replace("**", "").replace("`", "")
    if len(words) <= SHORT and line.state not in OVER:
        return words
    if line.paused:
        return "waits for /resume"
    if line.in_queue:
        return "waits for an answer"
    return words if line.state is RunState.SUCCEEDED else STATE_WORDS[line.state]


def _say_request(view: RunView) -> str:
    request = view.run.request_id if view.line.in_queue else None
    return say_request(request) if request else ""


def _say_no(run: Run) -> str:
    """What people did to it, in the word of its card; "" = nothing."""
    return withdrawal(run.reason or "").lower() if run.state is RunState.CANCELLED else ""


def _change(view: RunView) -> str:
    run = view.run
    if view.fix is None:
        return ""
    branch = f" on {code(view.fix.branch)}" if view.fix.branch else ""
    down = view.deployment.down_seconds if view.deployment else None
    return join(
        commit_link(view.fix.commit, view.fix.url) + branch,
        "" if run.pushed else "not on the remote yet",
        f"the server was down for {duration(down)}" if down is not None else "",
        f"verdict {run.verdict}" if run.verdict else "",
        f"taken back in {commit_link(view.revert.commit, view.revert.url)}" if _is_undone(view) and view.revert else "",
    )


def _is_undone(view: RunView) -> bool:
    return view.run.kind is not RunKind.REVERT


def _steps(steps: tuple[RunStep, ...]) -> str:
    left_out = len(steps) - SHOWN_STEPS
    shown = steps[:1] + steps[-SHOWN_STEPS + 1 :] if left_out > 0 else steps
    lines = [join(f"{clock_time(step.at)} {_word(step.after)}", prose(cut_middle(step.note, 120))) for step in shown]
    if left_out > 0:
        lines.insert(1, f"… {count(left_out, 'step')} left out …")
    return "\n".join(lines) or "none"


def _word(state: str) -> str:
    return state.lower().replace("_", " ")


def link_card(message: str | None, home: Home) -> str:
    return f"[its card]({home.link(message)})" if message else ""


# --- crashes ---------------------------------------------------------------------------------------------------------


def render_crashes(view: CrashesView) -> Message:
    nights = (view.until - view.since).days + 1
    span = "this night" if nights == 1 else f"in {nights} nights"
    if not view.crashes:
        return Message(embed=Embed(f"No crash {span}", "Nothing was counted.", Colour.GREEN))
    heading = f"{count(view.crashes, 'crash', 'crashes')} of {count(len(view.lines), 'kind')} {span}"
    lines = [f"- {_crash_line(line)}" for line in view.lines[:SHOWN_CRASHES]]
    more = len(view.lines) - SHOWN_CRASHES
    lines += [f"and {count(more, 'more kind')}, in the file"] if more > 0 else []
    lines += [f"{view.unread} not read yet"] if view.unread else []
    lines += list(filter(None, [say_requests(sum(map(_waits_in_queue, view.lines)))]))
    files = (Attachment("crashes.txt", "\n".join(map(_crash_row, view.lines)) + "\n"),) if more > 0 else ()
    colour = Colour.AMBER if any(map(_needs_somebody, view.lines)) else Colour.GREY
    return Message(embed=Embed(heading, "\n".join(lines), colour), files=files)


def _waits_in_queue(line: CrashLine) -> bool:
    return line.work is not None and line.work.in_queue


def _needs_somebody(line: CrashLine) -> bool:
    if line.run is None or _is_gone(line, line.run):
        return False
    return line.run.state in (RunState.PROPOSED, RunState.AWAITING_APPROVAL, RunState.FAILED)


def _is_gone(line: CrashLine, run: Run) -> bool:
    """Over, and so is what crashed."""
    return line.only_taken_back and run.state in (RunState.FAILED, RunState.ROLLED_BACK)


def _crash_line(line: CrashLine) -> str:
    last = f"last {ago(line.last)}" + (f", first {ago(line.first)}" if line.ever > 1 else "")
    times = f"×{line.times}" + (f" ({line.ever} ever)" if line.ever > line.times else "")
    return join(f"{code(cut_middle(line.title, 80))} {times}", last, fate(line))


def _crash_row(line: CrashLine) -> str:
    times = f"{line.times}x, {line.ever} ever, first {line.first:%Y-%m-%d %H:%M}, last {line.last:%Y-%m-%d %H:%M} UTC"
    return f"{line.key}  {line.signature.exact}  ({times})"


def fate(line: CrashLine) -> str:
    """What became of it, in a few words."""
    run = line.run
    if line.judged == OF_WHAT_WENT and not line.only_taken_back and run is None:
        return "what brought it was taken back, and is live again"
    if run is None or line.work is None:
        return _JUDGED.get(line.judged or "", plain(line.judged or "not read yet"))
    if run.fix_state is FixState.RECURRED:
        return "**came back with its fix in place**"
    if _is_gone(line, run):
        return ONLY_TAKEN_BACK
    gone = run.kind is RunKind.REVERT and run.state is RunState.SUCCEEDED
    if run.state is RunState.ROLLED_BACK or (gone and run.asked_by is None):
        return f"its fix was {WITHDRAWN_WORDS[RunState.ROLLED_BACK]}"
    if run.fix_state is FixState.REVERTED or gone:
        return f"its fix was {WITHDRAWN_WORDS[RunState.CANCELLED]}"
    if run.state is RunState.SUCCEEDED and line.only_taken_back:
        return join(f"fix live in {commit_link(line.fix.commit, line.fix.url)}" if line.fix else "", ONLY_TAKEN_BACK)
    if run.state is RunState.SUCCEEDED:
        fixed = f"fixed in {commit_link(line.fix.commit, line.fix.url)}" if line.fix else "fixed"
        return join(fixed, f"**{NOT_RUNNING}**" if line.absent else "")
    if run.state is RunState.CANCELLED:
        return _say_no(run)
    return doing(line.work)


_JUDGED = {
    "environment": "not a bug: its environment",
    OF_WHAT_WENT: ONLY_TAKEN_BACK,
    "history": "known from its file alone",
    "with the machine": "ended with the machine",
    "": "not read yet",
}


def render_crash(view: CrashView, home: Home) -> Message:
    line = view.line
    cause = f"**{prose(cut_middle(view.summary, 600))}**" if view.summary else ""
    lines = (
        join(fate(line), link_card(view.card, home)),
        _say_its_request(line),
        _seen(line),
        cause,
        _last(view),
        *list_suspicions(view.suspects),
        block("\n".join(_frames(view.report))) if view.report is not None and view.report.frames else "",
    )
    fields = [Field("Nights", ", ".join(f"{night.day} {night:%b} ×{times}" for night, times in view.nights[:14]))]
    if view.runs:
        newest = line.run.id if line.run and not _is_gone(line, line.run) else ""
        shown = [_run_line(run, newest=run.id == newest) for run in view.runs[:SHOWN_RUNS]]
        fields.append(Field("Runs", "\n".join(shown)))
    fields.append(Field("Signature", code(line.signature.exact, 900)))
    colour = Colour.AMBER if _needs_somebody(line) else Colour.GREY
    text = "\n".join(part for part in lines if part)
    return Message(embed=Embed(markup.title("Crash in {}", line.title), text, colour, tuple(fields)))


def _say_its_request(line: CrashLine) -> str:
    request = line.run.request_id if line.run and _waits_in_queue(line) else None
    return say_request(request) if request else ""


def _seen(line: CrashLine) -> str:
    if line.ever == 1:
        return f"seen once, {ago(line.last)}"
    return join(f"{count(line.ever, 'time')} ever", f"first {ago(line.first)}", f"last {ago(line.last)}")


def _last(view: CrashView) -> str:
    category = view.report.category if view.report else None
    status = view.status
    return join(
        prose(category) if category else "",
        f"it ran {code(revision(view.revision))}" if view.revision else "",
        "" if status is None else f"ended by signal {-status}" if status < 0 else f"exit code {status}",
        f"back after {duration(view.back_after)}" if view.back_after else "",
    )


def _frames(report: CrashReport) -> list[str]:
    shown = report.frames[:SHOWN_FRAMES]
    return [f"{'>' if number == report.crashing_frame else ' '} {_frame(each)}" for number, each in enumerate(shown)]


def _frame(frame: Frame) -> str:
    name = (frame.file or "").replace("\\", "/").rsplit("/", 1)[-1]
    place = name if frame.line is None or not name else f"{name}:{frame.line}"
    return f"{cut_middle(frame.function or '??', 100)}  {place or frame.module or ''}".rstrip()


def _run_line(run: RunLine, *, newest: bool) -> str:
    """What is over asks for nobody once another run goes on with it."""
    kind = "put back" if run.puts_back else "" if run.kind is RunKind.FIX else str(run.kind)
    words = STATE_WORDS[run.state] if run.state in _ASKING and not newest else doing(run)
    return join(f"run {code(run.id)}", kind, words, prose(cut_middle(run.reason or "", 120)))


_ASKING = (RunState.FAILED, RunState.ROLLED_BACK)


# --- logs ------------------------------------------------------------------------------------------------------------


def render_log(view: LogView) -> Message:
    """The last lines in the message, all of them in a file where they are too long for it."""
    if not view.lines:
        return Message(content=f"{code(view.name)} of the {view.source} is empty.")
    head = f"The last {count(len(view.lines), 'line')} of {code(view.name)} ({size(view.size)})"
    shown = list(_fitting(view.lines))
    if len(shown) == len(view.lines):
        return Message(content=f"{head}\n{block(chr(10).join(shown))}")
    text = f"{head}; the newest here, all in the file:\n{block(chr(10).join(shown))}"
    return Message(content=text, files=(Attachment(f"{view.source}.txt", "\n".join(view.lines) + "\n"),))


def _fitting(lines: tuple[str, ...]) -> Iterable[str]:
    """As many of the last lines as a message holds."""
    room, taken = SHOWN_LOG, 0
    for line in reversed(lines):
        room -= 2 * width(line) if "`" in line else width(line) + 1
        if room < 0:
            break
        taken += 1
    return lines[len(lines) - taken :] if taken else [cut_middle(lines[-1], SHOWN_LOG // 2)]


def _say_crashes(crashes: int) -> str:
    return "crashed once" if crashes == 1 else f"crashed {crashes} times in all" if crashes else ""
