"""Every shape of response that exists in the field becomes one value; whatever else comes is refused in words."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pipeline.adapters.responses import MOST_BYTES, parse_response
from pipeline.errors import ResponseRejected
from pipeline.model import Edit, Patch, WholeFile

NAME = "response_ab12.json"
SAMPLES = Path(__file__).parents[3] / "shared" / "samples" / "responses"
DIFF = "--- a/src/World.cpp\n+++ b/src/World.cpp\n@@ -1 +1 @@\n-int a;\n+int b;\n"
EDIT = {"path": "src/World.cpp", "search": "delete bot;", "replace": "bot->Forget();"}
BEFORE = "void Bus::Drop(Sink* sink)\n{\n    Log(sink->Name()); // ← CRASH HERE\n}"
AFTER = "void Bus::Drop(Sink* sink)\n{\n}"

SHAPE_A: dict[str, Any] = {
    "request_id": "ab12",
    "fix": {"files_modified": [{"path": "src/World.cpp", "new_code": "int main() {}\n"}]},
}
SHAPE_B: dict[str, Any] = {
    "request_id": "ab12",
    "crash_analysis": {
        "severity": "MEDIUM",
        "category": "NULL_POINTER_DEREFERENCE",
        "crash_location": {"file": "src/modules/Bus.cpp", "line": 110, "function": "Bus::Drop", "offset": "+0x70"},
        "root_cause": {"summary": "a sink is asked\nfor its name while it dies", "technical_details": "long story"},
    },
    "fix": {
        "files_modified": [{"path": "src/modules/Bus.cpp", "change_type": "BUGFIX", "lines_modified": "78-105"}],
        "code_changes": {"before": BEFORE, "after": AFTER, "diff_summary": "-1 line"},
    },
    "quality_standards": {"no_shortcuts": "✅ complete"},
    "final_assessment": {"confidence": "HIGH"},
}
SHAPE_C: dict[str, Any] = {
    "request_id": "ab12",
    "fix_strategy": {"approach": "module_only", "rationale": "Defer the acknowledgement by 100 ms."},
    "fix_content": "// FILE: src/modules/Life.cpp\nvoid Release();\n",
    "validation": {"confidence": "High"},
}


def parse(plain: Any, name: str = NAME) -> Any:
    return parse_response(json.dumps(plain).encode(), name)


def changed(plain: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**plain, **more}


# --- shapes ----------------------------------------------------------------------------------------------------------


def test_shape_a_gives_whole_files() -> None:
    response = parse(SHAPE_A)
    assert (response.shape, response.patch) == ("A", Patch(files=(WholeFile("src/World.cpp", "int main() {}\n"),)))


def test_shape_a_carries_the_checksum_of_the_file_it_was_made_for() -> None:
    entry = {"path": "src/World.cpp", "new_code": "x", "base_sha256": "A" * 64}
    response = parse(changed(SHAPE_A, fix={"files_modified": [entry]}))
    assert response.patch.files[0].base_sha256 == "a" * 64


def test_fault_a4_shape_b_gives_one_replacement_in_the_file_it_names() -> None:
    response = parse(SHAPE_B)
    path = "src/modules/Bus.cpp"
    assert (response.shape, response.patch) == ("B", Patch(edits=(Edit(path, BEFORE, AFTER, (path,)),)))


def test_shape_b_with_several_files_leaves_open_which_one_it_is_in() -> None:
    fix = {**SHAPE_B["fix"], "files_modified": [{"path": "src\\a.cpp"}, "src/b.cpp", {"path": "src/a.cpp"}]}
    edit = parse(changed(SHAPE_B, fix=fix)).patch.edits[0]
    assert (edit.path, edit.candidates) == (None, ("src/a.cpp", "src/b.cpp"))


def test_shape_b_without_a_list_of_files_looks_where_the_crash_was() -> None:
    fix = {"code_changes": {"before": BEFORE, "after": AFTER}}
    assert parse(changed(SHAPE_B, fix=fix)).patch.edits[0].path == "src/modules/Bus.cpp"


def test_shape_c_is_prose_for_a_person_and_never_a_patch() -> None:
    response = parse(SHAPE_C)
    prose = "Defer the acknowledgement by 100 ms.\n\n// FILE: src/modules/Life.cpp\nvoid Release();"
    assert (response.shape, response.patch, response.prose) == ("C", None, prose)


def test_our_own_shape_takes_a_unified_diff() -> None:
    response = parse({"request_id": "ab12", "patch": DIFF})
    assert (response.shape, response.patch) == ("ours", Patch(diff=DIFF))


def test_a_diff_in_a_code_fence_is_taken_out_of_it() -> None:
    assert parse({"patch": f"```diff\n{DIFF}```\n"}).patch.diff == DIFF


def test_our_own_shape_takes_edits() -> None:
    response = parse({"request_id": "ab12", "edits": [EDIT, {**EDIT, "replace": ""}]})
    assert response.patch == Patch(
        edits=(
            Edit("src/World.cpp", "delete bot;", "bot->Forget();"),
            Edit("src/World.cpp", "delete bot;", ""),
        )
    )


@pytest.mark.parametrize(
    ("more", "shape", "filled"),
    [
        ({"patch": DIFF, "edits": [EDIT]}, "ours", "diff"),
        ({"edits": [EDIT]}, "ours", "edits"),
        ({"patch": " \n", "edits": []}, "A", "files"),
    ],
)
def test_of_several_shapes_the_most_exact_one_counts(more: dict[str, Any], shape: str, filled: str) -> None:
    fix = {**SHAPE_B["fix"], **SHAPE_A["fix"]}
    response = parse({**SHAPE_C, "fix": fix, **more})
    assert (response.shape, bool(getattr(response.patch, filled))) == (shape, True)


def test_an_analysis_without_a_change_is_something_to_read() -> None:
    response = parse({"analysis": {"summary": "the map files are corrupt: extract them again"}})
    assert (response.patch, response.prose) == (None, "the map files are corrupt: extract them again")


OWN_SAMPLES = [(NAME, json.dumps(SHAPE_B).encode()), (NAME, json.dumps(SHAPE_C).encode())]
RECORDED = [(path.name, path.read_bytes()) for path in sorted(SAMPLES.glob("response_*.json"))]


@pytest.mark.parametrize(("name", "raw"), [*OWN_SAMPLES, *RECORDED])
def test_recorded_responses_say_what_went_wrong_and_what_to_do(name: str, raw: bytes) -> None:
    response = parse_response(raw, name)
    assert response.shape in {"B", "C"}
    assert (response.patch is None) == (response.shape == "C")
    assert (response.prose is None) == (response.shape == "B")
    assert response.analysis.summary
    assert response.analysis.confidence


# --- analyses --------------------------------------------------------------------------------------------------------


def test_an_analysis_is_read_from_the_crash_analysis() -> None:
    analysis = parse(SHAPE_B).analysis
    assert (analysis.category, analysis.severity, analysis.confidence) == ("NULL_POINTER_DEREFERENCE", "MEDIUM", "HIGH")
    assert (analysis.file, analysis.line, analysis.function) == ("src/modules/Bus.cpp", 110, "Bus::Drop")
    assert analysis.summary == "a sink is asked for its name while it dies"
    assert analysis.details == "long story"


@pytest.mark.parametrize(
    ("plain", "summary"),
    [
        ({"root_cause": "a race"}, "a race"),
        ({"analysis": "a race"}, "a race"),
        ({"summary": "a race"}, "a race"),
        ({"analysis": {"root_cause": {"summary": "a race"}}}, "a race"),
        ({"crash_analysis": {"root_cause": "a race"}}, "a race"),
        ({"crash_analysis": []}, None),
        ({"crash_analysis": {"root_cause": 7}}, "7"),
    ],
)
def test_a_summary_is_found_wherever_it_stands(plain: dict[str, Any], summary: str | None) -> None:
    assert parse({**plain, "patch": DIFF}).analysis.summary == summary


def test_a_crash_location_may_be_a_text() -> None:
    analysis = parse({"patch": DIFF, "crash_analysis": {"crash_location": "Spell.cpp:603"}}).analysis
    assert (analysis.file, analysis.line) == ("Spell.cpp", 603)


@pytest.mark.parametrize("odd", [None, [], {}, True, float("nan"), float("inf"), 10**400, "\x07", "\ud800", -1])
def test_odd_values_in_an_analysis_spoil_nothing(odd: object) -> None:
    analysis = {"category": odd, "severity": odd, "root_cause": odd, "crash_location": {"file": odd, "line": odd}}
    response = parse({"patch": DIFF, "crash_analysis": analysis, "confidence": odd})
    assert (response.patch.diff, response.analysis.line) == (DIFF, None)


def test_a_long_summary_is_cut() -> None:
    summary = parse({"patch": DIFF, "summary": "word " * 100_000}).analysis.summary
    assert len(summary) <= 2_000
    assert summary.endswith("…")


# --- what writers do to files ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_marks_of_the_encoding_are_read_over(encoding: str) -> None:
    raw = json.dumps({"patch": DIFF, "summary": "✅ größer"}, ensure_ascii=False).encode(encoding)
    assert parse_response(raw, NAME).analysis.summary == "✅ größer"


def test_without_an_id_inside_the_name_of_the_file_counts() -> None:
    assert parse({"patch": DIFF}).request_id == "ab12"


# --- hostile and broken ----------------------------------------------------------------------------------------------


def plain_fix(**fix: Any) -> bytes:
    return json.dumps({"request_id": "ab12", "fix": fix}).encode()


def ours(**more: Any) -> bytes:
    return json.dumps({"request_id": "ab12", **more}).encode()


REFUSED = {
    "empty": (b"", "not valid JSON"),
    "invalid_json": (b'{"request_id": "ab12", "patch": ', "not valid JSON"),
    "trailing_garbage": (ours(patch=DIFF) + b"}", "not valid JSON"),
    "a_list": (b"[1, 2]", "must be a JSON object, not a list"),
    "a_number": (b"7", "must be a JSON object, not a number"),
    "nothing": (b"null", "must be a JSON object, not nothing"),
    "invalid_utf8": (b'{"patch": "\xff\xfe\xfd"}', "not valid UTF-8 (byte 11)"),
    "half_of_utf16": (b"\xff\xfe{", "not valid UTF-8"),
    "raw_nul": (b'{"patch": "a\x00b"}', "not valid JSON"),
    "only_nul": (b"\x00" * 4096, "not valid JSON"),
    "nul_in_patch": (ours(patch=DIFF + "\x00"), "no source file can hold"),
    "nul_in_path": (ours(edits=[{**EDIT, "path": "src/a\x00.cpp"}]), "no source file can hold"),
    "half_surrogate": (ours(patch=DIFF + "\ud800"), "no source file can hold"),
    "too_large": (b" " * (MOST_BYTES + 1), "too large: 5.0 MB, at most 5 MB"),
    "deep_lists": (b"[" * 1_000_000, "nested too deeply"),
    "deep_objects": (b'{"a":' * 500_000 + b"1" + b"}" * 500_000, "nested too deeply"),
    "huge_number": (b'{"line": ' + b"9" * 100_000 + b"}", "not valid JSON"),
    "no_change_and_no_word": (ours(status="complete"), "neither a change nor an explanation"),
    "empty_patch_only": (ours(patch="\n"), "neither a change nor an explanation"),
    "patch_is_a_number": (ours(patch=7), "`patch` must be a text, not a number"),
    "patch_is_an_object": (ours(patch={"a": 1}), "`patch` must be a text, not an object"),
    "patch_is_true": (ours(patch=True), "`patch` must be a text, not true or false"),
    "edits_is_an_object": (ours(edits=EDIT), "`edits` must be a list, not an object"),
    "edits_of_texts": (ours(edits=["x"]), "each of `edits` must be an object, not a text"),
    "edit_without_path": (ours(edits=[{"search": "a", "replace": "b"}]), "`path` must be a text, not nothing"),
    "edit_without_search": (ours(edits=[{"path": "a", "replace": "b"}]), "`search` must be a text, not nothing"),
    "edit_with_empty_search": (ours(edits=[{**EDIT, "search": " \n"}]), "an empty `search` has no place to go"),
    "edit_without_replace": (ours(edits=[{"path": "a", "search": "b"}]), "`replace` must be a text, not nothing"),
    "edit_that_changes_nothing": (ours(edits=[{**EDIT, "replace": EDIT["search"]}]), "its edits change nothing"),
    "files_is_a_text": (plain_fix(files_modified="src/a.cpp"), "`files_modified` must be a list, not a text"),
    "file_without_path": (plain_fix(files_modified=[{"new_code": "x"}]), "`path` must be a text, not nothing"),
    "file_with_blank_path": (plain_fix(files_modified=[{"path": " ", "new_code": "x"}]), "`path` is empty"),
    "code_is_a_list": (plain_fix(files_modified=[{"path": "a", "new_code": []}]), "`new_code` must be a text"),
    "odd_base": (
        plain_fix(files_modified=[{"path": "a", "new_code": "x", "base_sha256": "12"}]),
        "`base_sha256` must be 64 hexadecimal digits",
    ),
    "two_contents_for_one_file": (
        plain_fix(files_modified=[{"path": "src/a", "new_code": "x"}, {"path": "src\\a", "new_code": "y"}]),
        "two contents for one file",
    ),
    "code_for_some_files_only": (
        plain_fix(files_modified=[{"path": "a", "new_code": "x"}, {"path": "b"}]),
        "it has code for a but none for b",
    ),
    "replacement_without_after": (plain_fix(code_changes={"before": "x"}, files_modified=["a"]), "`after` must be"),
    "replacement_without_file": (plain_fix(code_changes={"before": "x", "after": "y"}), "names no file"),
    "replacement_of_nothing": (plain_fix(code_changes={"before": "x", "after": "x"}), "it changes nothing"),
    "id_is_a_number": (ours(patch=DIFF).replace(b'"ab12"', b"12"), "`request_id` must be a text, not a number"),
    "id_of_another": (ours(patch=DIFF).replace(b"ab12", b"ab13"), "`request_id` is `ab13`, its file is named for"),
    "id_with_slash": (ours(patch=DIFF).replace(b"ab12", b"../ab12"), "`request_id` may hold only"),
    "id_with_backslash": (ours(patch=DIFF).replace(b"ab12", b"..\\\\ab12"), "`request_id` may hold only"),
    "id_with_line_break": (ours(patch=DIFF).replace(b"ab12", b"ab12\\nx"), "`request_id` may hold only"),
    "id_for_a_shell": (ours(patch=DIFF).replace(b"ab12", b"$(id);ab12"), "`request_id` may hold only"),
    "id_with_an_option": (ours(patch=DIFF).replace(b"ab12", b"--ab12"), "`request_id` may hold only"),
    "id_of_great_length": (ours(patch=DIFF).replace(b"ab12", b"a" * 10_000), "`request_id` may hold only"),
}


@pytest.mark.parametrize(("raw", "reason"), REFUSED.values(), ids=REFUSED.keys())
def test_hostile_response_is_refused_with_its_reason(raw: bytes, reason: str) -> None:
    with pytest.raises(ResponseRejected) as refused:
        parse_response(raw, NAME)
    assert reason in str(refused.value)


@pytest.mark.parametrize(
    "name", ["response_.json", "response_a b.json", "response_..\\x.json", "x.json", "response_a\n.json"]
)
def test_hostile_name_of_a_response_is_refused(name: str) -> None:
    with pytest.raises(ResponseRejected, match="its name must be"):
        parse_response(ours(patch=DIFF), name)


HOSTILE_TEXTS = {
    "mention": "@everyone <@&1>",
    "code_block": "```\n@here\n```",
    "shell": "$(touch /tmp/x); `id` | rm -rf ~ && %PATH%",
    "trailer": "harmless\n\nRun: 1234\nCo-authored-by: somebody",
    "option": "--upload-pack=evil",
}


@pytest.mark.parametrize("text", HOSTILE_TEXTS.values(), ids=HOSTILE_TEXTS.keys())
def test_hostile_text_is_plain_data_on_one_line(text: str) -> None:
    response = parse({"patch": DIFF, "crash_analysis": {"category": text, "root_cause": {"summary": text}}})
    assert response.analysis.summary == response.analysis.category == " ".join(text.split())
    assert response.patch == Patch(diff=DIFF)


# --- whatever comes --------------------------------------------------------------------------------------------------

NAMES = (
    "request_id patch edits path search replace fix files_modified new_code base_sha256 code_changes before after "
    "fix_content fix_strategy rationale crash_analysis analysis root_cause summary crash_location file line "
    "function category severity confidence validation origin"
)
KEYS = st.sampled_from(NAMES.split())
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20) | st.just("ab12"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=20,
)


@settings(deadline=None, max_examples=200, suppress_health_check=[HealthCheck.too_slow])
@given(plain=st.dictionaries(KEYS, VALUES, max_size=6))
def test_any_object_is_read_or_refused(plain: dict[str, Any]) -> None:
    try:
        response = parse(plain)
    except ResponseRejected as refused:
        assert str(refused)
    else:
        assert response.request_id == "ab12"
        assert (response.patch is None) == bool(response.prose)


@settings(deadline=None, max_examples=200)
@given(raw=st.binary(max_size=200))
def test_any_bytes_are_read_or_refused(raw: bytes) -> None:
    try:
        assert parse_response(raw, NAME).request_id == "ab12"
    except ResponseRejected as refused:
        assert str(refused)
