"""Mistakes in the way that code takes: loops and calls without end, halves that differ, broken conditions."""

from __future__ import annotations

import re
from collections.abc import Iterator

from bot.demo.analyst.case import Case, Edit, Finding, can_stand_under, put_under, surround
from bot.demo.analyst.code import Control, File, Function, Span, find_statement, list_controls, split_arguments

ASSERTING = 4  # functions at the top of the stack, those that report the failure among them
DEEPEST = 32  # calls of a function within itself, once it has a bound
NEAR = 6  # statements in which a pair is looked for
_SIDES = (("left", "right"), ("first", "second"), ("source", "target"), ("old", "new"), ("front", "back"))
_ENDS = (("lo", "hi"), ("low", "high"), ("lower", "upper"), ("min", "max"), ("begin", "end"))


# --- a loop without end ----------------------------------------------------------------------------------------------


def loop_stands_still(case: Case) -> Finding | None:
    """A loop goes on by `continue` without the step that each other way through it takes."""
    if case.request.category != "FREEZE":
        return None
    for place in case.places[:2]:
        for loop in list_controls(place.function):
            edits = _step_before_continue(place.function, loop) if loop.word == "while" and loop.braced else []
            if edits:
                return Finding(
                    place.function,
                    f"The loop of {place.function.title} went round without a step.",
                    "One way through it goes on by `continue` and left out the step, so it never ended.",
                    tuple(edits),
                )
    return None


def _step_before_continue(function: Function, loop: Control) -> list[Edit]:
    file, body = function.file, function.file.code[loop.body.start : loop.body.end]
    names = set(re.findall(r"\b[A-Za-z_]\w*\b(?!\s*[(.])", file.code[loop.condition.start : loop.condition.end]))
    steps = list(re.finditer(r"(?:\+\+|--)(\w+)\s*;|\b(\w+)(?:\+\+|--)\s*;", body))
    steps = [each for each in steps if (each[1] or each[2]) in names and _is_on_every_way(body, each.start())]
    if len(steps) != 1:
        return []
    step, name = steps[0][0], steps[0][1] or steps[0][2]
    inner = [each.body for each in list_controls(function) if each.word != "if" and each.start > loop.start]
    edits = []
    for found in re.finditer(r"\bcontinue\s*;", body[: steps[0].start()]):
        at = loop.body.start + found.start()
        changed = re.search(rf"\b{name}\s*(?:\+\+|--|[-+]?=(?!=))|(?:\+\+|--){name}\b", body[: found.start()])
        if not changed and not any(each.holds(at) for each in inner):
            edits.append(surround(file, find_statement(file, at), before=(step,)))
    return edits


def _is_on_every_way(body: str, at: int) -> bool:
    """In no block of its own, and behind no condition."""
    before = body[:at]
    return before.count("{") == before.count("}") and not before.rstrip().endswith((")", "else"))


# --- a call without end ----------------------------------------------------------------------------------------------


def recursion_without_bound(case: Case) -> Finding | None:
    """A function calls itself for what may lead back to where it came from."""
    if case.request.category != "STACK_OVERFLOW":
        return None
    functions = [each.function for each in case.frames]
    for function in dict.fromkeys(functions):
        again = [*re.finditer(rf"(?<![\w.>:]){function.name}\s*(\()", function.text)]
        end = _find_end_of_recursion(function, again[0].start()) if again else None
        if functions.count(function) > 1 and end is not None:
            edits = _bound(case, function, [function.body.start + each.start(1) for each in again], end)
            if edits:
                return Finding(
                    function,
                    f"{function.title} called itself without end.",
                    f"What it follows may lead back to itself. It counts how deep it is, and ends at {DEEPEST}.",
                    edits,
                )
    return None


def _find_end_of_recursion(function: Function, call: int) -> Control | None:
    """The `if` with a `return` in front of the first call of itself."""
    for control in list_controls(function):
        returns = re.match(r"\s*return\b", function.file.code[control.body.start : control.body.end])
        if control.word == "if" and returns and control.start < function.body.start + call:
            return control
    return None


def _bound(case: Case, function: Function, calls: list[int], end: Control) -> tuple[Edit, ...]:
    """One more parameter, counted up with each call. Nothing where its declarations are not plain."""
    whole = function.file.code[function.params.start : function.body.end]
    declarations = [*_list_declarations(case, function)]
    if re.search(r"\bdepth\b", whole) or len(case.tree.list_functions(function.name)) != 1 or len(declarations) > 1:
        return ()
    file = function.file
    bound = f"depth >= {DEEPEST}"
    condition = file.text[end.condition.start : end.condition.end]
    condition = f"({condition})" if re.search(r"&&|\?|[^=!<>]=[^=]", condition) else condition
    edits = [_add_argument(file, function.params, "int depth" + ("" if declarations else " = 0"))]
    edits += [_add_argument(each, span, "int depth = 0") for each, span in declarations]
    edits += [_add_argument(file, Span(at + 1, file.find_end(at)), "depth + 1") for at in calls]
    return (*edits, Edit(file, end.condition, f"{condition} || {bound}"))


def _list_declarations(case: Case, function: Function) -> Iterator[tuple[File, Span]]:
    """Where it is declared and not defined."""
    pattern = re.compile(rf"[\w>&*]\s+(?:[*&]\s*)?{function.name}\s*\((?P<params>[^;{{}}()]*)\)\s*(?:const\s*)?;")
    for file in case.tree.list_with(function.name):
        inside = [each.body for each in file.functions]
        for found in pattern.finditer(file.code):
            is_call = found[0].startswith("return") or any(body.holds(found.start()) for body in inside)
            if not is_call:
                yield file, Span(*found.span("params"))


def _add_argument(file: File, span: Span, text: str) -> Edit:
    return Edit(file, Span(span.end, span.end), f", {text}" if file.code[span.start : span.end].strip() else text)


# --- an assertion that its caller does not keep ----------------------------------------------------------------------


def precondition_not_kept(case: Case) -> Finding | None:
    """A function asserts what its caller, of the same class, never looked at."""
    if case.request.category != "ASSERTION" or case.request.assertion is None:
        return None
    for place, above in zip(case.places[:ASSERTING], case.places[1:], strict=False):
        callee, caller = place.function, above.function
        expression = _find_assertion(callee, case.request.assertion)
        if expression is None:
            continue
        edit = _keep(callee, caller, expression, above.line) if caller.owner == callee.owner else None
        if edit:
            return Finding(
                caller,
                f"{callee.title} was called where its own assertion does not hold.",
                f"It asserts `{expression}`; {caller.title} looks at that before it calls now.",
                (edit,),
            )
    return None


def _find_assertion(function: Function, said: str) -> str | None:
    """As it stands in the source; `said` begins with it."""
    file = function.file
    for found in re.finditer(r"\b\w*ASSERT\w*\s*(\()", function.text):
        at = function.body.start + found.start(1)
        expression = split_arguments(file.text[at + 1 : file.find_end(at)])[0]
        if "".join(said.split()).startswith("".join(expression.split())):
            return expression
    return None


def _keep(callee: Function, caller: Function, expression: str, line: Span) -> Edit | None:
    """The call is made only if what is asserted holds of its arguments."""
    file = caller.file
    pattern = re.compile(rf"(?<![\w.>:]){callee.name}\s*(\()")
    call = pattern.search(file.code, line.start, line.end)
    if call is None or re.search(r"\+\+|--|[^=!<>]=[^=]", expression):
        return None
    arguments = split_arguments(file.text[call.end() : file.find_end(call.start(1))])
    names = dict(zip(callee.list_params(), arguments, strict=False))
    condition = simplify(re.sub(r"\b[A-Za-z_]\w*\b", lambda name: names.get(name[0], name[0]), expression))
    statement = find_statement(file, call.start())
    if statement.start != call.start() or not can_stand_under(file, statement) or condition in caller.text:
        return None
    control = next(
        (each for each in list_controls(caller) if each.word == "if" and each.body.start == call.start()), None
    )
    if control is None:
        return put_under(file, statement, condition)
    already = file.text[control.condition.start : control.condition.end]
    return Edit(file, control.condition, f"{_enclose(already)} && {_enclose(condition)}")


def _enclose(condition: str) -> str:
    return condition if re.fullmatch(r"!?[\w:.>-]+(?:\([^()]*\))?", condition) else f"({condition})"


def simplify(condition: str) -> str:
    """`f(x) == (!true)` is `!f(x)`."""
    condition = re.sub(r"\(\s*(!?\s*(?:true|false))\s*\)", r"\1", condition)
    condition = re.sub(r"!\s*(true|false)", lambda word: "false" if word[1] == "true" else "true", condition)
    whole = re.fullmatch(r"([\w:.>-]+(?:\([^()]*\))?)\s*([!=])=\s*(true|false)", condition)
    if whole is None:
        return condition
    return whole[1] if (whole[2] == "=") == (whole[3] == "true") else f"!{whole[1]}"


# --- two halves that are not treated alike ---------------------------------------------------------------------------


def half_not_mirrored(case: Case) -> Finding | None:
    """Statements come in pairs for two sides, and one of them was copied with the other side's name left in it."""
    if case.request.category not in ("UNCAUGHT_EXCEPTION", "ASSERTION"):
        return None
    for place in case.places[:3]:
        function = place.function
        edit = _find_unmirrored(function)
        if edit is not None and re.search(r"\bthrow\b|ASSERT", function.text):
            wrong = function.file.text[edit.span.start : edit.span.end]
            return Finding(
                function,
                f"{function.title} gave one half what belongs to the other.",
                f"`{wrong}` mixes both sides; as the other half's counterpart it is `{edit.text}`.",
                (edit,),
            )
    return None


def _find_unmirrored(function: Function) -> Edit | None:
    file = function.file
    found = re.finditer(r"(?<=[;{}\n])\s*(?P<statement>[\w.\[\]>-]+\s*=\s*[^;{}=]+;)", function.text)
    spans = [Span(*(function.body.start + at for at in each.span("statement"))) for each in found]
    statements = [file.code[each.start : each.end] for each in spans]
    for pairs in _list_mirrors(statements):
        for index, (statement, span) in enumerate(zip(statements, spans, strict=True)):
            near = statements[max(0, index - NEAR) : index + NEAR]
            if not _mixes(statement, pairs[0]) or _mirror(statement, pairs) in near:
                continue
            for other in near:
                right = _mirror(other, pairs)
                if right not in near and not _mixes(other, pairs[0]) and _root(right) == _root(statement):
                    return Edit(file, span, right)
    return None


def _list_mirrors(statements: list[str]) -> Iterator[tuple[tuple[str, str], ...]]:
    """The pairs of words by which one statement becomes another one of these: the sides first, then their ends."""
    for side in _SIDES:
        for pairs in (*((side, end) for end in _ENDS), (side,)):
            if any(_mirror(each, pairs) != each and _mirror(each, pairs) in statements for each in statements):
                yield pairs


def _mirror(statement: str, pairs: tuple[tuple[str, str], ...]) -> str:
    words = {one: other for pair in pairs for one, other in (pair, pair[::-1])}
    return re.sub(r"[A-Z]?[a-z]+", lambda word: _swap(word[0], words), statement)


def _swap(word: str, words: dict[str, str]) -> str:
    other = words.get(word.lower(), word)
    return other.capitalize() if word[0].isupper() else other


def _mixes(statement: str, side: tuple[str, str]) -> bool:
    """Whether what is written to is of one side, and what is written of the other."""
    into, _, value = statement.partition("=")
    there, here = ({word.lower() for word in re.findall(r"[A-Z]?[a-z]+", each)} & {*side} for each in (into, value))
    return len(there) == len(here) == 1 and there != here


def _root(statement: str) -> str:
    found = re.match(r"\w+", statement)
    return found[0] if found else ""
