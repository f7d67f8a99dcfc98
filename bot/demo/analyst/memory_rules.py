"""Mistakes with memory: pointers that are null, that dangle, or that are freed twice."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise

from bot.demo.analyst.case import Case, Edit, Finding, Place, can_stand_under, put_under, surround
from bot.demo.analyst.code import STEP, Class, Function, Member, Span, find_statement, list_controls, split_arguments

DEPTH = 3  # innermost functions of our own that are looked at
READS = frozenset({"ACCESS_VIOLATION", "USE_AFTER_FREE", "PURE_VIRTUAL_CALL"})
FREES = frozenset({"DOUBLE_FREE", "INVALID_FREE", "USE_AFTER_FREE"})
_DELETE = re.compile(r"\bdelete\s*(?:\[\s*\]\s*)?(?P<pointer>\w+)\s*;")
_NOTHING = re.compile(r"\breturn\s+(?:nullptr|NULL)\s*;|[?:]\s*nullptr\s*;")


# --- freed twice -----------------------------------------------------------------------------------------------------


def keep_after_delete(case: Case) -> Finding | None:
    """A member is deleted and keeps pointing there; the destructor deletes it again."""
    if case.request.category not in FREES:
        return None
    for place in case.places[:DEPTH]:
        for deleted in _DELETE.finditer(place.function.text):
            found = [*_list_kept(case, place.function, deleted["pointer"])]
            if found:
                where = ", ".join(dict.fromkeys(function.title for function, _ in found))
                pointer = deleted["pointer"]
                return Finding(
                    found[0][0],
                    f"{where} kept a pointer to what it had deleted.",
                    f"{place.function.title} deleted {pointer} again. It is set to null where it is deleted first.",
                    tuple(edit for _, edit in found),
                )
    return None


def _list_kept(case: Case, crashed: Function, pointer: str) -> Iterator[tuple[Function, Edit]]:
    """Where other functions of the class delete the member and do not write to it afterwards."""
    for function in case.tree.list_functions_of(crashed.owner) if crashed.owner else ():
        local = re.search(rf"\*\s*{pointer}\b", function.file.code[function.params.start : function.body.end])
        if function.is_destructor or local:
            continue
        for deleted in _DELETE.finditer(function.text):
            after = function.text[deleted.end() :]
            if deleted["pointer"] == pointer and not re.search(rf"\b{pointer}\s*=(?!=)", after):
                statement = find_statement(function.file, function.body.start + deleted.start())
                yield function, surround(function.file, statement, after=(f"{pointer} = nullptr;",))


# --- used after it was deleted ---------------------------------------------------------------------------------------


def use_after_delete(case: Case) -> Finding | None:
    """On one of two ways a pointer is deleted, and then both ways use it."""
    if case.request.category not in READS:
        return None
    for place in case.places[:DEPTH]:
        for pointer in _list_dereferenced(place):
            found = _find_deletion(case, place, pointer)
            escape = _find_escape(place) if found else None
            if found and escape:
                statement, word = found
                return Finding(
                    place.function,
                    f"{pointer} was used after it had been deleted.",
                    f"{place.function.title} went on with it after `{word}`; that way ends with `{escape}` now.",
                    (surround(place.function.file, statement, after=(escape,)),),
                )
    return None


def _find_deletion(case: Case, place: Place, pointer: str) -> tuple[Span, str] | None:
    """The statement under an `if` that deletes it, by itself or by what it calls, and how it reads."""
    function = place.function
    for control in list_controls(function):
        if control.word != "if" or control.body.end > place.line.start:
            continue
        body = function.file.code[control.body.start : control.body.end]
        gone_before = re.search(r"\b(?:continue|break|return|throw)\b", body)
        between = function.file.code[control.body.end : place.line.start]
        for call in () if gone_before else re.finditer(r"\b(\w+)\s*(\()?([^;()]*)\)?\s*;", body):
            word, arguments = call[1], split_arguments(call[3])
            if pointer not in arguments or re.search(rf"\b{pointer}\s*=(?!=)", between):
                continue
            if word == "delete" or _deletes(case, word, arguments.index(pointer)):
                statement = find_statement(function.file, control.body.start + call.start())
                return statement, function.file.text[statement.start : statement.end]
    return None


def _deletes(case: Case, name: str, argument: int) -> bool:
    """Whether a function of that name deletes what it is given in that place."""
    for function in case.tree.list_functions(name):
        deleted = {each["pointer"] for each in _DELETE.finditer(function.text)}
        if deleted.intersection(function.list_params()[argument : argument + 1]):
            return True
    return False


def _find_escape(place: Place) -> str | None:
    """The statement that leaves what is left of this way."""
    loops = [each for each in list_controls(place.function) if each.word != "if"]
    if any(each.body.holds(place.line.start) for each in loops):
        return "continue;"
    return "return;" if place.function.returns_nothing else None


# --- null --------------------------------------------------------------------------------------------------------


def lookup_unchecked(case: Case) -> Finding | None:
    """What a lookup may not find is used as if it had been found."""
    if case.request.category not in READS:
        return None
    for place in case.places[:DEPTH]:
        for pointer in _list_dereferenced(place):
            lookup = _find_lookup(case, place, pointer)
            edit = _check_after(place, pointer, lookup[0]) if lookup else None
            if lookup and edit:
                return Finding(
                    place.function,
                    f"What {lookup[1].title} had not found was used.",
                    f"It returns null then, and {place.function.title} did not look whether {pointer} is.",
                    (edit,),
                )
    return None


def _list_dereferenced(place: Place) -> list[str]:
    return list(dict.fromkeys(re.findall(r"(?<![\w.>)])(\w+)\s*->", place.code)))


def _find_lookup(case: Case, place: Place, pointer: str) -> tuple[Span, Function] | None:
    """The declaration of the pointer, and the function that it comes from, if that returns null now and then."""
    function = place.function
    before = function.file.code[function.body.start : place.line.start]
    declared = list(re.finditer(rf"[\w>]\s*(?:\*|\bauto)\s*(?:const\s+)?{pointer}\s*=\s*(?P<value>[^;]+);", before))
    if not declared:
        return None
    name = re.search(r"(\w+)\s*\([^()]*\)$", declared[-1]["value"])
    between = before[declared[-1].end() :]
    if name is None or re.search(rf"!\s*{pointer}\b|\(\s*{pointer}\s*[)&|!=]|\b{pointer}\s*(?:&&|\?|[!=]=)", between):
        return None
    may_fail = [each for each in case.tree.list_functions(name[1]) if _NOTHING.search(each.text)]
    start = function.body.start + declared[-1].start()
    return (Span(start, function.body.start + declared[-1].end()), may_fail[0]) if may_fail else None


def _check_after(place: Place, pointer: str, declaration: Span) -> Edit | None:
    """The one statement that uses it is put under a condition; where there are more, nothing is done without it."""
    function = place.function
    rest = function.file.code[declaration.end : function.body.end]
    uses = {
        find_statement(function.file, declaration.end + each.start()) for each in re.finditer(rf"\b{pointer}\b", rest)
    }
    used = find_statement(function.file, function.file.code.index(pointer, place.line.start))
    if uses == {used} and can_stand_under(function.file, used):
        return put_under(function.file, used, pointer)
    escape = _find_escape(place)
    indent = function.file.indent_of(declaration.start)
    end = Span(declaration.end, declaration.end)
    return Edit(function.file, end, f"\n{indent}if (!{pointer})\n{indent}    {escape}") if escape else None


# --- ended too early -------------------------------------------------------------------------------------------------


def ended_before_its_users(case: Case) -> Finding | None:
    """A destructor ends one member, then another one ends, whose own destructor still needs the first."""
    if case.request.category not in READS or not case.places:
        return None
    needed = case.places[0].function.owner
    destructors = [each.function for each in case.places[:8] if each.function.is_destructor and each.function.owner]
    for user, holder in pairwise(destructors):
        shape = case.tree.find_class(holder.owner or "")
        edit = _end_first(shape, holder, user.owner or "", needed or "") if shape else None
        if edit:
            return Finding(
                holder,
                f"{needed} was gone before {user.owner}, which needs it until its own end.",
                f"{user.title} calls {case.places[0].function.title}; {holder.title} ends {user.owner} first now.",
                (edit,),
            )
    return None


def _end_first(shape: Class, holder: Function, user: str, needed: str) -> Edit | None:
    """The reset of the member that uses, in front of that of the needed one; at the very beginning if none is there
    and the order of declaration ends the needed one first."""
    members = shape.list_members()
    users = [each for each in members if _owns(each, user)]
    owned = [each for each in members if _owns(each, needed)]
    if len(users) != 1 or len(owned) != 1 or re.search(rf"\b{users[0].name}\s*(?:\.reset|=)", holder.text):
        return None
    file, statement = holder.file, f"{users[0].name}.reset();"
    if ended := re.search(rf"\b{owned[0].name}\s*(?:\.\s*reset\s*\(\s*\)|=\s*nullptr)\s*;", holder.text):
        at = holder.body.start + ended.start()
        return surround(file, find_statement(file, at), before=(statement,))
    if members.index(owned[0]) < members.index(users[0]):
        return None
    indent = file.indent_of(holder.body.end) + STEP
    return Edit(file, Span(holder.body.start, holder.body.start), f"\n{indent}{statement}")


def _owns(member: Member, name: str) -> bool:
    return re.fullmatch(rf"(?:std::)?unique_ptr\s*<\s*{re.escape(name)}\s*>", member.type) is not None
