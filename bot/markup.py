"""Text that came from elsewhere, made harmless, and the few forms that every message is built of.

Whatever a player, a log, an analyst or a commit can say goes through `plain`, `prose`, `code` or `block` before it is
part of a message: it can then neither mention, format, link nor leave its code span. Secrets are gone before
(redaction.py).
"""

from __future__ import annotations

import re
from datetime import date, datetime, tzinfo

from bot.limits import READABLE_TITLE, cut_middle, sound, width
from pipeline.moments import show_moments

_FOUND = "found-"  # how builds are called that we did not make; a whole sha256 behind it was put there since
_WHOLE = 64
GAP = "\u200b"  # zero width: parts what Discord would read as one
_INVISIBLE = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]")
_MENTION = re.compile(r"@(?=[\w!&])")
_TAG = re.compile(r"<(?=[@#:/]|a:|t:|id:|https?:)", re.IGNORECASE)
_SCHEME = re.compile(r":(?=//)")
_MARK = re.compile(r"[\\*`]|~(?=~)|(?<=~)~|\|(?=\|)|(?<=\|)\||(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])|(?<=\])\(")
_LINE_START = re.compile(r"^([ \t]*)(?=#{1,3}\s|>|-#|[+-]\s|\d+[.)]\s)", re.MULTILINE)
_SPAN = re.compile(r"`([^`\n]+)`")
_TICK = "\u02cb"  # looks like a backtick and ends no code span
_STAMP = re.compile(r"<t:(\d+)(?::(\w))?>")
_LINK = re.compile(r"\[([^\]\n]+)\]\(<?(https?://[^)\s>]+)>?\)")
_MARKS = re.compile(
    r"\\([*_`~|\\])|\*\*|(?<![\w*])\*(?=\S)|(?<=\S)\*(?![\w*])|`|^(?:-# |#{1,3} |> )|\u200b", re.MULTILINE
)
_WORD = re.compile(r"[a-z]+(?=[ ,:;])")
_WEB_ADDRESS = re.compile(r"https?://[^\s<>()\[\]`\"'\\]+")


def visible(text: str) -> str:
    """Without control characters, marks that turn the direction of writing, and halves of surrogate pairs."""
    return _INVISIBLE.sub("", sound(text).replace("\r\n", "\n"))


def hush(text: str) -> str:
    """No mention, no channel, no emoji, no timestamp, no link."""
    return _SCHEME.sub(f":{GAP}", _TAG.sub(f"<{GAP}", _MENTION.sub(f"@{GAP}", text)))


def plain(text: str) -> str:
    """Shown exactly as it is, outside of code."""
    marked = _MARK.sub(r"\\\g<0>", _LINE_START.sub(rf"\1{GAP}", visible(text)))
    return hush(marked)


def prose(text: str) -> str:
    """As `plain`, but pairs of backticks keep making code spans, and everyone reads a moment by his own clock."""
    parts = _SPAN.split(visible(text))
    return "".join(code(part) if index % 2 else show_moments(plain(part), ago) for index, part in enumerate(parts))


def code(text: str, limit: int = 200) -> str:
    """One line as a code span that nothing in it can end; the middle is cut beyond `limit`."""
    line = " ".join(visible(text).split()).replace("`", _TICK)
    return f"`{_MENTION.sub(f'@{GAP}', cut_middle(line, limit)) or '–'}`"


def block(text: str, language: str = "") -> str:
    """A code block that nothing in it can end."""
    inner = re.sub("`(?=`)", f"`{GAP}", visible(text)).strip("\n")
    return f"```{language}\n{_MENTION.sub(f'@{GAP}', inner) or '–'}\n```"


def title(template: str, name: str, suffix: str = "") -> str:
    """At most 60 characters: the name gives way in its middle."""
    name = visible(" ".join(name.split()))
    room = READABLE_TITLE - width(template.replace("{}", "")) - width(suffix)
    return template.replace("{}", plain(cut_middle(name, max(room, 12)))) + suffix


def short(commit: str) -> str:
    """A commit as people name it: seven digits, `+` when dirty."""
    return commit[:7] + ("+" if commit.endswith("+") and len(commit) > 7 else "")


def name_build(build: str, commit: str | None = None) -> str:
    """A build as people name it: ours by its commit, what lay in SERVER_DIR before us as that, with the commit that it
    was made from where that is known."""
    if not build.startswith(_FOUND):
        return code(short(build))
    if len(build) >= len(_FOUND) + _WHOLE:
        return "a build that is not ours"
    return "the build that was there before" + (f" ({code(short(commit))})" if commit else "")


def is_ours(build: str) -> bool:
    return not build.startswith(_FOUND)


def revision(hash: str) -> str:
    """What a server prints of itself, twelve digits."""
    return hash[:12] + ("+" if hash.endswith("+") and len(hash) > 12 else "")


def commit_link(commit: str, url: str | None) -> str:
    """The short commit, as a link where it has a page."""
    return web_link(code(short(commit)), url)


def web_link(words: str, url: str | None) -> str:
    """Our own words, as a link where there is a page."""
    return f"[{words}]({url})" if url and _WEB_ADDRESS.fullmatch(url) else words


def ago(moment: datetime) -> str:
    """Everyone reads his own zone: `<t:…:R>`."""
    return f"<t:{int(moment.timestamp())}:R>"


def clock_time(moment: datetime) -> str:
    return f"<t:{int(moment.timestamp())}:t>"


def bare(text: str, zone: tzinfo | None = None, *, links: bool = False, now: datetime | None = None) -> str:
    """A text for Discord as one for a terminal: no marks, moments on the clock of `zone` (None = this machine's), with
    their day where that is not the one of `now` (None = of the call), links as their words, with their addresses behind
    where `links` are wanted."""
    today = (now or datetime.now(zone)).date()
    words = _STAMP.sub(lambda found: _on_clock(datetime.fromtimestamp(int(found[1]), zone), found[2], today), text)
    words = _LINK.sub(r"\1 (\2)" if links else r"\1", words)
    return _MARKS.sub(lambda mark: mark[1] or "", words).strip()


def _on_clock(moment: datetime, form: str | None, today: date) -> str:
    if form not in ("R", "T"):
        return f"{moment:%H:%M}"
    return f"{moment:%H:%M:%S}" if moment.date() == today else f"{moment:%Y-%m-%d %H:%M:%S}"


def duration(seconds: float) -> str:
    """`0.4 s`, `4 s`, `1 min 40 s`, `2 h 5 min`."""
    if seconds < 0.95:
        return f"{max(seconds, 0.1):.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return _pair(whole // 60, "min", whole % 60, "s")
    return _pair(whole // 3600, "h", whole % 3600 // 60, "min")


def _pair(large: int, large_unit: str, small: int, small_unit: str) -> str:
    return f"{large} {large_unit}" + (f" {small} {small_unit}" if small else "")


def begin_sentence(text: str) -> str:
    """With a capital, unless it begins with a name: of a file, of an option."""
    return text[:1].upper() + text[1:] if _WORD.match(text) else text


def size(number: int) -> str:
    """`12.0 GiB`, `3.4 MiB`, `17 bytes`: never a nought of something larger."""
    for unit, bytes_ in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if number >= bytes_:
            return f"{number / bytes_:.1f} {unit}"
    return count(number, "byte")


def count(number: int, one: str, many: str | None = None) -> str:
    """`1 file`, `3 files`."""
    return f"{number} {one if number == 1 else many or one + 's'}"


def join(*parts: str | None) -> str:
    """Facts of one line; what is empty is left out."""
    return " · ".join(part for part in parts if part)
