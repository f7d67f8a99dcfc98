"""What real git tells of the places of a crash: who changed them last, what is new, which fixes are in the build."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from checkouts import Bed, git, make_bed

from pipeline.adapters.git_places import find_file, list_bodies
from pipeline.errors import SourceUnusable
from pipeline.model import Commit, Patch, WholeFile
from pipeline.traces import Place, Touch, Trace

NOW = datetime.now(UTC).replace(microsecond=0)
LONG = 60.0  # seconds
MAP, SPELL, WORLD = "src/game/Map.cpp", "src/game/Spell.cpp", "src/game/World.cpp"
LINES = [f"    step{number}();" for number in range(1, 41)]


def days_ago(days: float) -> datetime:
    return NOW - timedelta(days=days)


def file(**changed: str) -> str:
    """Forty lines, `l7="x"` being another seventh one."""
    return "\n".join(changed.get(f"l{number}", line) for number, line in enumerate(LINES, 1)) + "\n"


@pytest.fixture
def bed(tmp_path: Path) -> Bed:
    """Three files that are a year old."""
    made = make_bed(tmp_path, {"README": "x\n"})
    made.checkout.commit({MAP: file(), SPELL: file(), WORLD: file()}, "the world", author="Old", at=days_ago(365))
    return made


def commit(bed: Bed, name: str, subject: str, author: str, days: float, **changed: str) -> str:
    return bed.checkout.commit({name: file(**changed)}, subject, author=author, at=days_ago(days))


def trace(bed: Bed, *places: Place, good: str | None = None, seconds: float = LONG) -> Trace:
    """Of the user's head."""
    bed.source.prepare()
    return bed.source.trace(bed.checkout.head(), good, places, seconds)


def named(bed: Bed, hash_: str) -> Commit:
    return bed.source.commit(hash_)


def test_the_last_to_change_a_line_is_named_with_the_line_the_time_and_the_words(bed: Bed) -> None:
    place = Place("Map::Update", MAP, 7)
    changed = commit(bed, MAP, "maps: step lightly", "Ann", 3, l7="    leap();")
    commit(bed, MAP, "maps: elsewhere", "Bob", 1, l7="    leap();", l30="    run();")
    (touch,) = trace(bed, place).touches
    assert touch == Touch(place, MAP, 7, named(bed, changed))
    by = touch.commit
    assert by is not None
    assert (by.author, by.subject, by.committed_at, by.run) == ("Ann", "maps: step lightly", days_ago(3), None)


def test_a_change_of_the_line_beside_it_counts_and_the_newest_is_named(bed: Bed) -> None:
    commit(bed, MAP, "the line itself", "Ann", 9, l7="    leap();")
    beside = commit(bed, MAP, "the line before", "Bob", 2, l7="    leap();", l6="    turn();")
    (touch,) = trace(bed, Place("Map::Update", MAP, 7)).touches
    assert (touch.line, touch.commit) == (6, named(bed, beside))


def test_white_space_is_nobodys_change(bed: Bed) -> None:
    changed = commit(bed, MAP, "maps: step lightly", "Ann", 3, l7="    leap();")
    commit(bed, MAP, "tabs", "Bob", 1, l7="\tleap();")
    (touch,) = trace(bed, Place("Map::Update", MAP, 7)).touches
    assert touch.commit == named(bed, changed)


def test_what_is_older_than_half_a_year_is_nobodys(bed: Bed) -> None:
    place = Place("Map::Update", MAP, 7)
    commit(bed, SPELL, "something else", "Ann", 1, l1="x")
    found = trace(bed, place)
    assert found.touches == (Touch(place, MAP, 7, None),)
    assert (found.near, found.notes) == ((), ())


def test_what_the_last_good_build_lacks_is_new_and_counted_and_what_touches_these_files_is_listed(bed: Bed) -> None:
    commit(bed, MAP, "maps: before", "Ann", 9, l7="    leap();")
    good = commit(bed, SPELL, "good", "Ann", 8, l7="    leap();")
    new = commit(bed, SPELL, "spells: after", "Bob", 2, l7="    leap();", l20="    cast();")
    commit(bed, WORLD, "world: nothing to do with it", "Cid", 1, l2="    turn();")
    found = trace(bed, Place("Spell::Cast", SPELL, 20), Place("Map::Update", MAP, 7), good=good)
    assert [(each.file, each.commit and each.commit.subject, each.is_new) for each in found.touches] == [
        (SPELL, "spells: after", True), (MAP, "maps: before", False),
    ]  # fmt: skip
    assert (found.since, found.changed, found.near, found.fixes) == (good, 2, (named(bed, new),), ())


def test_commits_since_the_last_good_build_are_named_whatever_they_touch_where_they_are_few(bed: Bed) -> None:
    good = bed.checkout.head()
    new = [commit(bed, WORLD, f"world {number}", "Ann", 9 - number, l2=f"    turn({number});") for number in range(3)]
    place = Place("Map::Update", MAP, 7)
    found = trace(bed, place, good=good)
    assert (found.near, found.new) == ((), tuple(named(bed, each) for each in reversed(new)))
    commit(bed, WORLD, "a fourth", "Ann", 1, l2="    turn(4);")
    assert (trace(bed, place, good=good).new, trace(bed, place).new) == ((), ())


def test_what_is_new_in_files_further_up_the_stack_is_listed(bed: Bed) -> None:
    good = commit(bed, WORLD, "world: before", "Ann", 9, l2="    turn();")
    new = commit(bed, WORLD, "world: after", "Bob", 2, l30="    run();")
    up = [Place(f"f{number}", MAP, number) for number in (3, 9, 15)]
    assert trace(bed, *up, Place("World::Update", WORLD, 7), good=good).near == (named(bed, new),)
    assert trace(bed, *up, Place("World::Update", WORLD, 7)).near == (), "of all that ever was, the innermost alone"


def test_the_newest_three_of_many_commits_are_listed(bed: Bed) -> None:
    good = bed.checkout.head()
    for number in range(6):
        commit(bed, MAP, f"change {number}", "Ann", 6 - number, l9=f"    step({number});")
    found = trace(bed, Place("Map::Update", MAP, 9), good=good)
    assert ([each.subject for each in found.near], found.changed) == (["change 5", "change 4", "change 3"], 6)


def test_no_more_than_three_places_are_asked_about(bed: Bed) -> None:
    commit(bed, MAP, "all", "Ann", 1, **{f"l{number}": "x();" for number in range(1, 41)})
    found = trace(bed, *(Place(f"f{number}", MAP, number) for number in (3, 9, 15, 21)))
    assert [each.place.function for each in found.touches] == ["f3", "f9", "f15"]


# --- fixes of ours ---------------------------------------------------------------------------------------------------


def heal(bed: Bed, name: str, run: str) -> Commit:
    return bed.apply(Patch(files=(WholeFile(name, file(l7=f"    {run}();")),)), run)


def test_a_fix_of_ours_in_the_crashed_build_is_known_until_it_is_undone(bed: Bed) -> None:
    bed.source.prepare()
    bed.source.begin("overnight-20260201", bed.checkout.head())
    bed.source.restore("overnight-20260201", bed.checkout.head())
    bed = replace(bed, base=bed.checkout.head())
    first, second = heal(bed, MAP, "one"), heal(bed, SPELL, "two")
    place = Place("Spell::Cast", SPELL, 7)
    found = bed.source.trace(second.hash, None, [place], LONG)
    assert found.fixes == (second, first)
    assert found.touches == (Touch(place, SPELL, 7, second),)
    gone = bed.apply(Patch(reverts=(second.hash,)), "three")
    assert bed.source.trace(gone.hash, None, [place], LONG).fixes == (first,)
    assert bed.source.trace(bed.base, None, [place], LONG).fixes == ()


# --- a function of which no line is known ----------------------------------------------------------------------------

BODIES = """\
void Tavern::Close() { _open = false; }

void Tavern::Update(uint32 diff)
{
    Cellar::Update(diff);
    if (_open)
        _guests.erase(_guests.begin());
}

void Tavern::Open() {}
"""


def test_a_function_without_a_line_is_looked_for_and_all_of_it_is_asked_about(bed: Bed) -> None:
    """As where a debugger names the header of a library that was inlined into it."""
    bed.checkout.commit({SPELL: BODIES.replace("begin", "end")}, "tavern", author="Ann", at=days_ago(9))
    good = bed.checkout.commit({MAP: file(l7="    Tavern::Update(diff);")}, "called", author="Ann", at=days_ago(8))
    new = bed.checkout.commit({SPELL: BODIES}, "tavern: the first goes", author="Bob", at=days_ago(2))
    place = Place("Realm::Tavern::Update", None, None)
    found = trace(bed, place, good=good)
    assert found.touches == (Touch(place, SPELL, 7, named(bed, new), True),)
    assert found.near == (named(bed, new),)


def test_a_function_that_is_defined_nowhere_or_twice_is_said(bed: Bed) -> None:
    bed.checkout.commit({SPELL: BODIES, WORLD: BODIES}, "tavern", author="Ann", at=days_ago(9))
    for name in ("Tavern::Update", "Tavern::Burn", "std::sort"):
        found = trace(bed, Place(name, None, None))
        assert (found.touches, found.notes) == (
            (), (f"`{name}` is defined in no file of this commit, or in several",)
        )  # fmt: skip


def test_of_a_function_with_several_bodies_the_file_alone_is_told(bed: Bed) -> None:
    twice = BODIES.replace("::Open()", "::Update()")
    new = bed.checkout.commit({SPELL: twice}, "tavern", author="Ann", at=days_ago(1))
    found = trace(bed, Place("Tavern::Update", None, None))
    assert (found.touches, found.near, found.notes) == ((), (named(bed, new),), ())


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ("void A::F(int x)\n{\n    if (x)\n    {\n    }\n}\n", [(1, 6)]),
        ("    void A::F() const\n    {\n    }\n}\n", [(1, 3)]),
        ("A::F(int x) :\n    _x{x}\n{\n}\n", [(1, 4)]),
        ("TC_NOINLINE void A::F() {}\n", [(1, 1)]),
        ("    A::F();\n", []),
        ("    return A::F([] {\n    });\n", []),
        ("    x = A::F({1});\n", []),
        ("    G(A::F({1}));\n", []),
        ("// like A::F() {\n", []),
        ("void A::F();\nvoid G() {}\n", []),
        ("void A::F(\n", []),
    ],
)
def test_a_body_is_told_from_a_call_and_a_declaration(text: str, bodies: list[tuple[int, int]]) -> None:
    assert list_bodies(text.splitlines(), "A::F(") == bodies


# --- what cannot be told ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("compiled", "found"),
    [
        ("src/game/Map.cpp", "src/game/Map.cpp"),
        ("/home/realm/core/src/game/Map.cpp", "src/game/Map.cpp"),
        ("C:\\TC\\src\\game\\Map.cpp", "src/game/Map.cpp"),
        ("c:\\tc\\src\\game\\map.cpp", "src/game/Map.cpp"),
        ("./src/game/Map.cpp", "src/game/Map.cpp"),
        ("game/Map.cpp", "src/game/Map.cpp"),
        ("Map.cpp", "Map.cpp"),
        ("Spell.cpp", "src/game/Spell.cpp"),
        ("/usr/include/c++/12/bits/stl_vector.h", None),
        ("Main.cpp", None),  # two are called so
        ("/build/src/auth/Main.cpp", "src/auth/Main.cpp"),
        ("xMap.cpp", None),
        ("", None),
        ("/", None),
        ("..", None),
    ],
)
def test_a_path_of_any_machine_means_a_file_of_the_repository_or_none(compiled: str, found: str | None) -> None:
    files = ["README", "src/auth/Main.cpp", "src/game/Map.cpp", "src/game/Spell.cpp", "src/world/Main.cpp", "Map.cpp"]
    assert find_file(files, compiled) == found


def test_a_path_without_a_name_means_no_file_even_where_there_is_but_one() -> None:
    assert [find_file(["README"], each) for each in ("", "/", "README", "x/README")] == [None, None, "README", "README"]


def test_a_file_that_is_none_of_the_repositorys_is_said(bed: Bed) -> None:
    found = trace(bed, Place("std::vector::at", "/usr/include/bits/stl_vector.h", 7))
    assert found == Trace(fixes=(), notes=("`stl_vector.h` is no file of this commit, or several are called so",))


@pytest.mark.parametrize(("line", "touched"), [(40, 40), (41, 40)])
def test_the_last_line_has_none_behind_it(bed: Bed, line: int, touched: int) -> None:
    commit(bed, MAP, "the end", "Ann", 1, l40="    stop();")
    (touch,) = trace(bed, Place("Map::Update", MAP, line)).touches
    assert (touch.line, touch.commit and touch.commit.subject) == (touched, "the end")


@pytest.mark.parametrize("line", [400, 1 << 40])
def test_a_line_that_the_file_does_not_have_is_said(bed: Bed, line: int) -> None:
    found = trace(bed, Place("Map::Update", MAP, line))
    assert found.touches == ()
    (note,) = found.notes
    assert note.startswith(f"git could not tell who changed `{MAP}` last: git blame failed: fatal: file")


def test_where_no_time_is_left_notes_say_what_is_missing_and_nothing_is_raised(bed: Bed) -> None:
    good = bed.checkout.head()
    commit(bed, MAP, "new", "Ann", 1, l7="    leap();")
    found = trace(bed, Place("Map::Update", MAP, 7), good=good, seconds=0.0)
    assert found == Trace(
        since=good,
        notes=tuple(
            f"git took too long to tell {what}"
            for what in ("which files there are", "what changed", "which fixes are in it")
        ),
    )


def test_a_commit_that_is_not_in_our_clone_is_refused(bed: Bed) -> None:
    with pytest.raises(SourceUnusable, match="is not in our clone"):
        bed.source.trace("f" * 40, None, [], LONG)


def test_a_good_build_that_is_not_in_our_clone_is_none(bed: Bed) -> None:
    commit(bed, MAP, "new", "Ann", 1, l7="    leap();")
    found = trace(bed, Place("Map::Update", MAP, 7), good="f" * 40)
    assert (found.since, found.changed, [each.is_new for each in found.touches]) == (None, None, [None])


def test_what_the_user_configured_for_blame_changes_nothing(
    bed: Bed, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    changed = commit(bed, MAP, "maps: step lightly", "Ann", 3, l7="    leap();")
    settings = tmp_path / "gitconfig"
    settings.write_text("[blame]\n\tignoreRevsFile = /nowhere\n\tcoloring = repeatedLines\n[log]\n\tdate = relative\n")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(settings))
    (touch,) = trace(bed, Place("Map::Update", MAP, 7)).touches
    assert touch.commit == named(bed, changed)


def test_an_author_may_be_called_anything(bed: Bed) -> None:
    commit(bed, MAP, "x", "@everyone `rm` \x1f <t:0:R>", 3, l7="    leap();")
    (touch,) = trace(bed, Place("Map::Update", MAP, 7)).touches
    assert touch.commit is not None
    assert (touch.commit.author, touch.commit.hash) == ("@everyone `rm` ", bed.checkout.head())


def test_nothing_of_the_clone_or_the_checkout_is_changed(bed: Bed) -> None:
    commit(bed, MAP, "x", "Ann", 3, l7="    leap();")
    bed.source.prepare()
    before = bed.picture()
    bed.source.trace(bed.checkout.head(), None, [Place("Map::Update", MAP, 7)], LONG)
    assert bed.picture() == before
    assert git(bed.clone, "status", "--porcelain") == ""
