"""One spelling for one function, whoever printed it: gdb, lldb, libsanitizer, llvm-symbolizer, dbghelp.

`normalise` takes a name as a report has it to the one that stands in signatures: no return type, parameters, template
arguments, offsets, clones, thunks, anonymous namespaces. A lambda is named by the function it is written in, because
GCC, Clang and MSVC name lambdas differently and libsanitizer does not name them at all.
"""

from __future__ import annotations

import functools
import re

from pipeline.crash.mangling import demangle

_GAP = "\x02"  # stands for a space outside of all brackets
_LAMBDA = "\x01"  # stands for a lambda while a name is taken apart
_LONGEST = 20_000  # characters that are looked at; real names end far below it
_LONGEST_RESULT = 300

# Applied in this order before brackets are taken out.
_BEFORE: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"^(?:\[inline\] |\(inlined by\) )", ""),
        (r"\s?\[clone [^\]]*\]", ""),
        (r"\s?\[with [^\]]*\]$", ""),
        (r"\[abi:\w+\]", ""),
        (r"\[\[[^\]]*\]\]", ""),
        (r"\s?\(\.(?:cold|part|isra|constprop|llvm)[.\w]*\)", ""),  # llvm-symbolizer's `(.cold)`
        (r"\.(?:cold|isra|constprop|part|llvm|lto_priv|resolved|localalias|clone)(?:\.\w+)*$", ""),
        (r"@plt$|@@?[A-Za-z_]\w*[\d.]*$", ""),  # symbol versions: memcpy@@GLIBC_2.14
        (r"(?<=[\w>')\]])\+(?:0x)?[0-9A-Fa-f]+$", ""),
        (r"^_{2,3}interceptor_(?:trampoline_)?|^__GI_+|^__wrap_|^__imp_|^wrap_", ""),
        (r"^(?:non-virtual|virtual|covariant return) thunk to ", ""),
        (r"^\[thunk\]:\s*", ""),
        (r"`(?:adjustor|vtordisp|vtordispex)\{[^}]*\}'", ""),
        (r"^(?:public|private|protected):\s*", ""),
        (r"\b__(?:cdecl|thiscall|stdcall|fastcall|vectorcall|clrcall|ptr64|restrict)\b", ""),
        (r"[`']?\banonymous[ -]namespace\b[`']?|\b_GLOBAL__N_1\b|\b[A?]0x[0-9a-f]{8}\b", ""),
        (r"`(?:scalar|vector) deleting d(?:estructor|tor)'", "~~"),
        (r"`(?:eh )?vector (?:vbase )?(?:con|de)structor iterator'", "vector_iterator"),
        (r"`dynamic (?:initializer|atexit destructor) for '[^']*''", "static_initialization"),
        (r"\b_GLOBAL__sub_[ID]_\S*|\b__static_initialization_and_destruction_\d+|\b__cxx_global_var_init\S*",
         "static_initialization"),
        (r"`[^'`]*::`vcall'\{.*", ""),
        (r"\$_\d+|'(?:lambda\d*|unnamed\d*)'|\b_?lambda_[0-9a-f]{8,}_?\b", _LAMBDA),
        (r"::?`\d+'|`\d+'::", ""),  # MSVC's numbered scopes
        (r"::(?:dtor|catch|fin|filt)\$\d+", ""),  # MSVC's funclets belong to the function they are part of
        (r"::__l\d+\b", ""),
        (r"\)(?=const\b|volatile\b)", ") "),
        (r"[`']", ""),
    )
)  # fmt: skip

# Applied in this order after brackets and the return type are gone.
_AFTER: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (rf"{_LAMBDA}.*", ""),
        (r"\bstd::(?:__cxx11|__1|__2|__ndk1|_V2|__debug|__detail)::", "std::"),
        (r":{3,}", "::"),
        (r"^[:\s]+|[:\s]+$", ""),
        (r"(\w+)::~~$", r"\1::~\1"),
    )
)

OPERATOR = re.compile(
    r"\boperator\s*(?:"
    r"(?P<symbol>\(\)|\[\]|<=>|->\*|<<=|>>=|<<|>>|->|\+\+|--|&&|\|\||[-+*/%^&|=!<>]=|[-+*/%^&|~!=<>,])"
    r"|(?P<word>(?:new|delete|co_await)\b(?:\s*\[\])?)"
    r"|\"\"\s*(?P<literal>\w+))"
)
_QUALIFIERS = re.compile(r"(?:\s+(?:const|volatile|noexcept|mutable|static|&&|&))+\s*$")
_LAMBDA_BRACKET = re.compile(r"[<{]'?lambda")
_QUOTED = re.compile(r"[`']?\banonymous namespace\b[`']?")
_ABI_TAG = re.compile(r"\[abi:\w+\]")
_OPENING, _CLOSING = "(<{[", ")>}]"
_NAMELESS = frozenset({"", "??", "operator()", "_FUN", "__invoke", "~", "<unknown>", "(null)"})


@functools.lru_cache(maxsize=4096)
def normalise(name: str | None) -> str | None:
    """The name as it stands in a signature, None where there is none (`??`, a nameless lambda)."""
    if name is None:
        return None
    text = demangle(" ".join(name[:_LONGEST].split()))
    if text.startswith("<signal handler called>"):
        return "<signal handler called>"
    text = _replace_all(_BEFORE, text).strip()
    text = _cut_return_type(_QUALIFIERS.sub("", _drop_brackets(text).strip()))
    text = _replace_all(_AFTER, text)[:_LONGEST_RESULT]
    return None if text in _NAMELESS or not re.search(r"\w", text) else text


def find_operator(text: str, at: int) -> re.Match[str] | None:
    """The operator's name that begins at a place, so that its brackets are not taken for brackets."""
    return OPERATOR.match(text, at) if text.startswith("operator", at) else None


def bare_name(name: str) -> str:
    """The last part of a normalised name: `Map::Update` is `Update`, as `__FUNCTION__` of GCC has it."""
    operator = re.search(r"\boperator\b", name)
    return name[operator.start() :] if operator else name.rsplit("::", 1)[-1]


def _replace_all(steps: tuple[tuple[re.Pattern[str], str], ...], text: str) -> str:
    for pattern, replacement in steps:
        text = pattern.sub(replacement, text)
    return text


def _drop_brackets(text: str) -> str:
    """Without template arguments and parameter lists; a lambda in brackets leaves its mark."""
    kept: list[str] = []
    at = 0
    while at < len(text):
        if operator := find_operator(text, at):
            kept.append(_spell_operator(operator))
            at = operator.end()
        elif text[at] in _OPENING:
            if _LAMBDA_BRACKET.match(text, at):
                kept.append(_LAMBDA)
            at = find_closing(text, at)
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


def _spell_operator(found: re.Match[str]) -> str:
    if found["symbol"]:
        return f"operator{found['symbol']}"
    return f"operator {found['word'] or found['literal']}".replace(" [", "[")


def drop_parameters(name: str) -> str:
    """`void Foo<int>::Update(unsigned int) const` is `Foo<int>::Update`: as gdb and dbghelp show a function."""
    name = _ABI_TAG.sub("", name[:_LONGEST])
    kept: list[str] = []
    at = 0
    while at < len(name):
        operator = find_operator(name, at) or _QUOTED.match(name, at)
        end = operator.end() if operator else find_closing(name, at) if name[at] in _OPENING else at + 1
        if operator or name[at] != "(" or name.startswith("(anonymous", at):
            kept.append(_GAP if name[at] == " " else name[at:end])
        at = end
    text = re.sub(rf"(?:{_GAP}(?:const|volatile|noexcept|&&?))+$", "", "".join(kept).strip(_GAP))
    return _cut_return_type(text, _GAP).replace(_GAP, " ") or name


def find_closing(text: str, at: int) -> int:
    """The place behind the bracket that closes the one at `at`; the end of the text where none does."""
    depth = 0
    while at < len(text):
        if operator := find_operator(text, at):
            at = operator.end()
            continue
        if text[at] in _OPENING:
            depth += 1
        elif text[at] in _CLOSING and text[at - 1 : at + 1] != "->":
            depth -= 1
            if depth <= 0:
                return at + 1
        at += 1
    return at


def _cut_return_type(text: str, space: str = " ") -> str:
    """What stands behind the last space before the name; `operator bool` and `operator new` keep theirs."""
    name = re.search(r"\boperator\b", text)
    head = text[: name.start()] if name else text
    return text[head.rfind(space) + 1 :]
