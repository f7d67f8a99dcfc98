"""The archive of builds on a real file system."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest

from pipeline.adapters.archive import Archive, Product, list_programs, list_symbols
from pipeline.keeper.protocol import BuildFile, Manifest

COMMIT = "a" * 40


@pytest.fixture
def archive(tmp_path: Path) -> Archive:
    return Archive(tmp_path / "state")


def make_file(path: Path, content: bytes = b"program") -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def add(archive: Archive, build: str, age: int = 0, content: bytes = b"program") -> Manifest:
    source = make_file(archive.folder.parent / "made", content)
    manifest = archive.add(build, [Product("bin/worldserver", source, executable=True)], None, None)
    os.utime(archive.folder / build / "manifest.json", (1_000_000 - age, 1_000_000 - age))
    return manifest


def test_a_build_is_kept_with_size_and_checksum_of_each_file(archive: Archive) -> None:
    manifest = add(archive, COMMIT)
    checksum = hashlib.sha256(b"program").hexdigest()
    assert manifest == Manifest(
        COMMIT, (BuildFile("bin/worldserver", "bin/worldserver", checksum, 7, True),), revision=None
    )
    kept = archive.folder / COMMIT / "files" / "bin" / "worldserver"
    assert kept.read_bytes() == b"program"
    assert os.access(kept, os.X_OK)
    assert archive.manifest(COMMIT) == archive.verified(COMMIT) == manifest


def test_programs_of_a_name_come_from_the_manifests_of_whole_builds_the_newest_first(archive: Archive) -> None:
    for age, build in enumerate(("newest", "pruned", "torn", "oldest")):
        add(archive, build, age)
    (archive.folder / "pruned" / "manifest.json").unlink()
    (archive.folder / "torn" / "files" / "bin" / "worldserver").write_bytes(b"prog")
    make_file(archive.folder / "oldest" / "files" / "worldserver")  # none of the build's own
    found = list_programs(archive.folder.parent, "WorldServer")
    assert found == [archive.folder / build / "files" / "bin" / "worldserver" for build in ("newest", "oldest")]
    assert list_programs(archive.folder.parent, "authserver") == []


def test_a_build_without_its_manifest_is_no_build(archive: Archive) -> None:
    add(archive, COMMIT)
    (archive.folder / COMMIT / "manifest.json").unlink()
    assert archive.manifest(COMMIT) is None


def test_a_build_with_a_missing_or_shorter_file_is_no_build(archive: Archive) -> None:
    add(archive, COMMIT)
    kept = archive.folder / COMMIT / "files" / "bin" / "worldserver"
    kept.write_bytes(b"prog")
    assert archive.manifest(COMMIT) is None
    kept.unlink()
    assert archive.manifest(COMMIT) is None


def test_a_changed_file_is_noticed_where_checksums_are_read(archive: Archive) -> None:
    add(archive, COMMIT)
    (archive.folder / COMMIT / "files" / "bin" / "worldserver").write_bytes(b"PROGRAM")
    assert archive.verified(COMMIT) is None
    add(archive, COMMIT)
    assert archive.verified(COMMIT) is not None


@pytest.mark.parametrize("name", ["", ".", "..", "../x", "a/b", "/etc", ".new-x", "a\\b", "a\n"])
def test_a_name_that_is_a_path_is_no_build(archive: Archive, name: str) -> None:
    add(archive, "a")
    assert archive.manifest(name) is None


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "a/../../b"])
def test_nothing_is_kept_outside_of_the_build(archive: Archive, path: str) -> None:
    source = make_file(archive.folder.parent / "made")
    with pytest.raises(OSError, match="below SERVER_DIR"):
        archive.add(COMMIT, [Product(path, source)], None, None)
    assert list(archive.folder.iterdir()) == []


def test_a_build_that_cannot_be_copied_leaves_nothing_and_keeps_the_old_one(archive: Archive) -> None:
    before = add(archive, COMMIT)
    with pytest.raises(OSError):
        archive.add(COMMIT, [Product("w", archive.folder / "not there")], None, None)
    assert archive.verified(COMMIT) == before
    assert [each.name for each in archive.folder.iterdir()] == [COMMIT]


def test_the_database_updates_of_the_source_are_kept_with_the_build(archive: Archive, tmp_path: Path) -> None:
    made, sql = make_file(tmp_path / "made"), tmp_path / "clone" / "sql"
    make_file(sql / "updates" / "1.sql", b"select 1")
    make_file(sql / ".git" / "config", b"x")
    (sql / "link.sql").symlink_to("/etc/passwd")
    archive.add("one", [Product("w", made)], None, sql)
    kept = archive.folder / "one" / "sql"
    assert [str(each.relative_to(kept)) for each in kept.rglob("*") if each.is_file()] == ["updates/1.sql"]


def test_updates_that_stay_the_same_take_no_more_room_and_changed_ones_are_their_own(
    archive: Archive, tmp_path: Path
) -> None:
    made, sql = make_file(tmp_path / "made"), tmp_path / "sql"
    same, changed = make_file(sql / "same.sql", b"same"), make_file(sql / "changed.sql", b"old!")
    archive.add("one", [Product("w", made)], None, sql)
    changed.write_bytes(b"new!")
    os.utime(changed, (1, 1))
    archive.add("two", [Product("w", made)], None, sql)
    one, two = archive.folder / "one" / "sql", archive.folder / "two" / "sql"
    assert (one / "same.sql").samefile(two / "same.sql")
    assert not (two / "same.sql").samefile(same)
    assert (one / "changed.sql").read_bytes() == b"old!"
    assert (two / "changed.sql").read_bytes() == b"new!"


def test_fault_b18_old_builds_go_and_protected_ones_never(archive: Archive) -> None:
    for age, name in enumerate(["newest", "second", "third", "healthy", "fifth", "found-0123456789abcdef"]):
        add(archive, name, age=age)
    assert archive.prune(2, {"healthy", "found-0123456789abcdef"}) == ["third", "fifth"]
    assert sorted(each.name for each in archive.folder.iterdir()) == [
        "found-0123456789abcdef",
        "healthy",
        "newest",
        "second",
    ]


def test_fault_b18_nothing_to_prune_is_no_fault(archive: Archive) -> None:
    assert archive.prune(5, ()) == []


def test_what_a_killed_bot_left_half_made_is_swept(archive: Archive) -> None:
    add(archive, COMMIT)
    make_file(archive.folder / ".new-x-1" / "files" / "w")
    make_file(archive.folder / ".gone-y-1" / "manifest.json")
    archive.sweep()
    assert [each.name for each in archive.folder.iterdir()] == [COMMIT]


def test_separate_symbols_are_found_beside_an_executable(tmp_path: Path) -> None:
    program = make_file(tmp_path / "worldserver.exe")
    for name in ("worldserver.pdb", "worldserver.exe.debug", "authserver.pdb"):
        make_file(tmp_path / name)
    assert [each.name for each in list_symbols(program)] == ["worldserver.exe.debug", "worldserver.pdb"]
