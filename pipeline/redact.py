"""No secret reaches a log, a post, a prompt or a commit: known values and what looks like one are struck out.

`Redactor` is compiled once and called for every line; a line that hints at nothing costs one scan per kind of hint.
A text is struck first and cut afterwards, and of a file of which a part is read, `strike_part` leaves out what half a
secret may be: nobody recognises a password whose end is missing.
Struck out beside the known values: TrinityCore's `…DatabaseInfo = "host;port;user;PASSWORD;database"`, logins in URLs,
Authorization headers, tokens of Discord and of common hosts, `password=…`, private keys, e-mail addresses and public
addresses of players (loopback and private ones stay: they are needed to mend a setting).
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any
from urllib.parse import quote

STRUCK = "***"
_SHORTEST = 4  # characters; a shorter value would strike out half of every text
_FEW = 16  # characters of a value that make its base64 form, or one of its lines, worth looking for
_LONGEST = 32 << 10  # characters; no secret is longer, and no rule finds more at once
_BLOCK = 128 << 10  # characters that are looked at in one go: while a rule looks, no other thread runs

# (what must be in the text for the rule to be tried, rule, replacement). Each rule is linear: it begins at a fixed word
# or at the edge of one.
_Replacement = str | Callable[[re.Match[str]], str]
_Rule = tuple[tuple[str, ...], re.Pattern[str], _Replacement]


# What a setting may name and no player comes from.
_OURS = tuple(
    ipaddress.ip_network(each)
    for each in ("127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "169.254.0.0/16", "0.0.0.0/8")
)


def _strike_public(found: re.Match[str]) -> str:
    try:
        address = ipaddress.ip_address(found[0])
    except ValueError:
        return found[0]
    return found[0] if any(address in network for network in _OURS) else "<address>"


def _strike_signed(found: re.Match[str]) -> str:
    """A beginning alone stays, and is not looked at again from each of its dashes."""
    return "<token>" if found[1] else found[0]


_NAME = r"(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|client[_-]?secret)"
_WORD = r"[^\s\"',;&<>()]"  # of a value; what stands before a bracket is called, and no value
# Its lines may have heads, and each a dash before it in a diff.
_KEY = r"(?:[^-]|-(?!----)){0,20000}-{5,6}END [A-Z ]{0,30}PRIVATE KEY-----"

_RULES: tuple[_Rule, ...] = (
    (("-----BEGIN",),
     re.compile(rf"-----BEGIN [A-Z ]{{0,30}}PRIVATE KEY-----(?:{_KEY}|[^-]{{0,20000}})"),
     "<private key>"),
    (("-----END",), re.compile(rf"\A{_KEY}"), "<private key>"),  # one whose beginning was cut off
    ((";",),
     re.compile(r"(?<![^\s\"'=])([\w.:\[\]-]{1,255};(?:\d{1,5}|[./][^\s;\"']{1,200});[^\s;\"']{1,80};)([^;\"'\r\n]{1,200})(?=;\w)"),
     rf"\1{STRUCK}"),
    (("nfo", "NFO"),
     re.compile(r"(?i)(database_?info\s{0,8}=\s{0,8}\"?[^;\"\r\n]{0,255};[^;\"\r\n]{0,255};[^;\"\r\n]{0,255};)([^;\"\r\n]{1,255})"),
     rf"\1{STRUCK}"),
    (("://",), re.compile(r"(://[^\s:/@\"']{0,200}:)[^\s/@\"']{1,400}(?=@)"), rf"\1{STRUCK}"),
    (("://",), re.compile(r"(://)[^\s:/@\"']{16,400}(?=@)"), rf"\1{STRUCK}"),
    (("uthorization", "UTHORIZATION"),
     re.compile(r"(?i)(authorization[\"']?\s{0,4}[:=]\s{0,4}[\"']?(?:basic|bearer|bot|token|digest)?\s{0,4})"
                r"(?!(?:basic|bearer|bot|token|digest)\b)[^\s\"',;]{4,2000}"),
     rf"\1{STRUCK}"),
    (("earer ", "asic "), re.compile(r"\b((?:Bearer|Basic) )[A-Za-z0-9+/=._~-]{12,2000}"), rf"\1{STRUCK}"),
    (("ebhooks/",), re.compile(r"(/webhooks/\d{5,25}/)[\w-]{10,200}"), rf"\1{STRUCK}"),
    ((".",), re.compile(r"(?<![\w.-])[\w-]{23,28}\.[\w-]{6,7}\.[\w-]{27,60}(?![\w-])", re.ASCII), "<token>"),
    (("eyJ",), re.compile(r"\beyJ[\w-]{8,2000}+(\.[\w-]{8,4000}+\.[\w-]{8,2000})?"), _strike_signed),
    (("ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "sk-", "xox", "AKIA", "AIza", "hf_"),
     re.compile(r"(?<![\w-])(?:gh[pousr]_\w{20,255}|github_pat_\w{20,255}|glpat-[\w-]{16,255}|sk-[\w-]{20,255}"
                r"|xox[abposr]-[\w-]{10,255}|AKIA[0-9A-Z]{16}|AIza[\w-]{30,60}|hf_\w{20,80})"),
     "<token>"),
    (("ass", "wd", "ecret", "oken", "ey", "ASS", "WD", "ECRET", "OKEN", "EY"),
     re.compile(rf"(?i)(?<![a-z])({_NAME}(?:_\w{{1,20}})?[\"']?\s{{0,4}}(?:=|:(?!:))\s{{0,4}})"
                rf"(?:\"(?!\*)[^\"\r\n]{{1,1000}}\"|'(?!\*)[^'\r\n]{{1,1000}}'|(?![<*(\s=\"'])(?:{_WORD}{{1000}}|{_WORD}{{3,999}}(?![\w(])))"),
     rf"\1{STRUCK}"),
    (("@",),
     re.compile(r"(?<![\w.+/-])[\w.+-]{1,64}@[A-Za-z0-9-]{1,63}(?:\.[A-Za-z0-9-]{1,63}){1,6}(?![\w-]|:[\w~/])"),
     "<e-mail>"),
    ((".",), re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?![\w.]*\d)"), _strike_public),
    ((":",),
     re.compile(r"(?<![\w:.])2[0-9a-fA-F]{3}:(?:[0-9a-fA-F]{0,4}:){2,6}[0-9a-fA-F]{0,4}(?![\w:])"),
     _strike_public),
)  # fmt: skip


class Redactor:
    """Called with a text, gives it back without secrets. Safe to call twice; never raises."""

    def __init__(self, secrets: Collection[str] = ()) -> None:
        """`secrets` = values of settings that must never be seen; empty and very short ones are passed over."""
        self._known = sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True)

    def __call__(self, text: str) -> str:
        for form in self._known:
            text = text.replace(form, STRUCK)
        for hints, rule, replacement in _RULES:
            for hint in hints:  # a loop and not any(): this runs for every line that is logged
                if hint in text:
                    text = _strike(rule, replacement, text)
                    break
        return text


def _strike(rule: re.Pattern[str], replacement: _Replacement, text: str) -> str:
    return rule.sub(replacement, text) if len(text) <= _BLOCK else "".join(_strike_blocks(rule, replacement, text))


def _strike_blocks(rule: re.Pattern[str], replacement: _Replacement, text: str) -> Iterator[str]:
    """As `sub` does it, in pieces between which other threads run: each is looked at beyond its end as far as any
    secret reaches that begins in it."""
    kept = start = 0
    while start < len(text):
        end = start + _BLOCK
        for found in rule.finditer(text, start, end + _LONGEST):
            if found.start() >= end:
                break
            yield text[kept : found.start()]
            yield replacement(found) if callable(replacement) else found.expand(replacement)
            kept = found.end()
        start = max(end, kept)
    yield text[kept:]


def strike_part(text: str, redact: Callable[[str], str], *, begins: bool = True, ends: bool = True) -> str:
    """A part of a longer text, struck. Where the whole does not begin or end with it, its first or last line goes, for
    it may be half a secret; of an endless line as much goes as a secret may be long."""
    text = redact(text)
    if not begins:
        text = text[min(text.find("\n") + 1 or _LONGEST, _LONGEST) :]
    if not ends:
        text = text[: max(text.rfind("\n") + 1, len(text) - _LONGEST)]
    return text


def redact(text: str, secrets: Collection[str] = ()) -> str:
    """The text without the given values and without what looks like a secret."""
    return Redactor(secrets)(text)


def redact_all(value: Any, redact: Callable[[str], str]) -> Any:
    """What JSON can hold, with each of its texts redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, Mapping):
        return {key: redact_all(each, redact) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [redact_all(each, redact) for each in value]
    return value


def _forms(secret: str) -> Iterator[str]:
    """A value as it is, line by line as logs are shown, and as URLs, JSON and Basic authentication write it."""
    secret = secret.strip()
    if len(secret) < _SHORTEST:
        return
    yield secret
    yield quote(secret, safe="")
    yield secret.replace("\\", "\\\\").replace('"', '\\"')
    yield from (line.strip() for line in secret.splitlines() if len(line.strip()) >= _FEW and "-----" not in line)
    if len(secret) >= _FEW:
        yield base64.b64encode(secret.encode("utf-8", errors="replace")).decode("ascii").rstrip("=")
