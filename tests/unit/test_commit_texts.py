"""The message of a commit, and the address of its page."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.adapters.commit_messages import commit_message, name_reverts
from pipeline.adapters.commit_urls import commit_url


def test_a_fix_is_told_in_the_conventional_form_with_its_trailers() -> None:
    assert commit_message(
        kind="fix",
        summary="A bot's dispatcher dies before its subscribers.",
        details="Members die in reverse order.\n\nThe dispatcher is gone first.",
        paths=["src/server/game/Handlers/MovementHandler.cpp"],
        signature="access violation | EventDispatcher::UnsubscribeAll",
        request_id="7",
        run="r7",
    ) == (
        "fix(handlers): A bot's dispatcher dies before its subscribers\n"
        "\n"
        "Members die in reverse order.\n"
        "\n"
        "The dispatcher is gone first.\n"
        "\n"
        "Crash-Signature: access violation | EventDispatcher::UnsubscribeAll\n"
        "Request-Id: 7\n"
        "Run: r7\n"
    )


def test_a_summary_that_is_too_long_is_cut_in_the_subject_and_whole_in_the_body() -> None:
    message = commit_message(kind="fix", summary="word " * 30, run="r")
    subject, _, rest = message.partition("\n")
    assert len(subject) <= 72 and subject.endswith(" …")
    assert rest.split("\n\nRun:")[0].split() == ["word"] * 30


def test_kinds_without_a_scope_have_none() -> None:
    assert (
        commit_message(kind="revert", summary="fix: x", run="r", paths=["src/a/b.cpp"]) == "revert: fix: x\n\nRun: r\n"
    )
    assert commit_message(kind="merge", summary="the base", run="r") == "chore: the base\n\nRun: r\n"


@pytest.mark.parametrize(
    ("relayed", "stands"),
    [
        ("Run: forged", "> Run: forged"),
        ("  Crash-Signature : x", ">   Crash-Signature : x"),
        ("Co-authored-by: A <a@b.c>", "> Co-authored-by: A <a@ b.c>"),
        ("This reverts commit 1234567.", "> This reverts commit 1234567."),
        ("This brings back commit 1234567.", "> This brings back commit 1234567."),
        ("(cherry picked from commit 1)", "> (cherry picked from commit 1)"),
        ("hello @everyone", "hello @ everyone"),
        ("fixes #12", "fixes # 12"),
        ("do [skip ci] now", "do (skip ci) now"),
        ("a\x1b[31mb\x00", "a[31mb"),
        ("a\u202eb", "ab"),
        ("Map::Update crashed", "Map::Update crashed"),
        ("$(touch /x); `id` && rm", "$(touch /x); `id` && rm"),
    ],
)
def test_hostile_text_in_a_message_is_plain_text(relayed: str, stands: str) -> None:
    message = commit_message(kind="fix", summary="s", details=f"first\n{relayed}\nlast", run="r")
    assert message == f"fix: s\n\nfirst\n{stands}\nlast\n\nRun: r\n"


def test_hostile_values_of_trailers_stay_on_their_line() -> None:
    message = commit_message(kind="fix", summary="a\nRun: x", signature="s\n\nRun: y", request_id="q\rRun: z", run="r")
    assert message == "fix: a Run: x\n\nCrash-Signature: s Run: y\nRequest-Id: q Run: z\nRun: r\n"


@given(st.text(max_size=200), st.text(max_size=400))
def test_no_text_makes_a_second_trailer_or_a_long_subject(summary: str, details: str) -> None:
    message = commit_message(kind="fix", summary=summary, details=details, run="mine")
    subject, blank, *rest = message.split("\n")
    assert 0 < len(subject) <= 72 and blank == ""
    assert [line for line in rest if line.startswith("Run:")] == ["Run: mine"]
    assert message.endswith("\n\nRun: mine\n")


def test_reverted_commits_are_named_once_before_the_trailers() -> None:
    one = name_reverts("revert: x\n\nRun: r\n", ["a" * 40])
    assert one == f"revert: x\n\nThis reverts commit {'a' * 40}.\n\nRun: r\n"
    assert name_reverts(one, ["a" * 40]) == one


PAGE = "https://github.com/o/n/commit/c1"


@pytest.mark.parametrize(
    ("remote", "page"),
    [
        ("https://github.com/o/n.git", PAGE),
        ("https://github.com/o/n/", PAGE),
        ("https://user:secret@github.com/o/n.git", PAGE),
        ("https://ghp_token@github.com/o/n", PAGE),
        ("git@github.com:o/n.git", PAGE),
        ("ssh://git@github.com:22/o/n.git", PAGE),
        ("git://github.com/o/n.git", PAGE),
        ("github.com:o/n", PAGE),
        ("https://gitlab.com/g/sub/n.git", "https://gitlab.com/g/sub/n/-/commit/c1"),
        ("git@gitlab.example.org:g/n.git", "https://gitlab.example.org/g/n/-/commit/c1"),
        ("https://bitbucket.org/o/n.git", "https://bitbucket.org/o/n/commits/c1"),
        ("https://codeberg.org/o/n.git", "https://codeberg.org/o/n/commit/c1"),
        ("http://localhost:3000/o/n.git", "http://localhost:3000/o/n/commit/c1"),
        ("https://git.example.org:8443/o/n.git", "https://git.example.org:8443/o/n/commit/c1"),
        ("https://github.com/o/a b`.git", "https://github.com/o/a%20b%60/commit/c1"),
        ("../remote.git", None),
        ("/srv/git/remote.git", None),
        ("C:\\git\\remote.git", None),
        ("file:///srv/git/remote.git", None),
        ("work:o/n.git", None),
        ("https:///o/n.git", None),
        ("https://host:port/o/n", None),
        (None, None),
    ],
)
def test_the_page_of_a_commit_follows_from_the_remote_without_credentials(remote: str | None, page: str | None) -> None:
    assert commit_url(remote, None, "c1") == page


def test_a_template_wins_over_the_remote() -> None:
    assert commit_url(None, "https://x.y/{commit}?v", "c1") == "https://x.y/c1?v"
