"""Folders that lie in each other: what one part wipes (`git clean`, a fresh build folder, old builds) was another's."""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bot import places, wiring
from bot.places import Chosen, list_overlaps
from pipeline.adapters import build_log, builder_configure, git, toolchain
from pipeline.keeper.folders import Folders
from pipeline.keeper.protocol import BUILDS

ELSEWHERE = "choose another folder"
OWN = "choose a folder in which nothing else is, or leave it out"


@pytest.fixture
def usual(tmp_path: Path) -> Chosen:
    """Three folders side by side, all else as it is without a setting."""
    return Chosen(tmp_path / "checkout", tmp_path / "realm", None, tmp_path / "state", None, None)


def test_the_defaults_lie_well(usual: Chosen) -> None:
    assert list_overlaps(usual) == []


@pytest.mark.parametrize(
    ("name", "folder"),
    [
        ("build", "state/build"),  # as the default, spelt out
        ("queue", "state/queue"),
        ("build", "state/fast"),
        ("build", "realm/healer-build"),
        ("queue", "realm/healer-queue"),
        ("state", "realm/healer"),
        ("server", "state/realm"),
        ("source", "state/checkout"),
        ("server", "checkout/build/bin"),  # its owner's affair
        ("like", "checkout/build"),
    ],
)
def test_folders_that_do_each_other_no_harm_are_accepted(usual: Chosen, name: str, folder: str, tmp_path: Path) -> None:
    changed: dict[str, Any] = {name: tmp_path / folder}
    assert list_overlaps(replace(usual, **changed)) == []


@pytest.mark.parametrize("part", ["", *(f"/{name}" for name in (*places.OURS, "queue", "builds/deeper"))])
def test_a_build_folder_in_what_the_state_folder_keeps_is_refused(usual: Chosen, part: str) -> None:
    (line,) = list_overlaps(replace(usual, build=Path(f"{usual.state}{part}")))
    verb = "lies inside" if "deeper" in part else "is"
    assert line == f"BUILD_DIR: {verb} STATE_DIR{part.removesuffix('/deeper')}: {OWN}"


@pytest.mark.parametrize(
    ("folder", "fault"),
    [
        ("checkout", "is SOURCE_DIR, which is never written"),
        ("checkout/build", "lies inside SOURCE_DIR, which is never written"),
        ("realm", "is SERVER_DIR"),
        ("realm/.spirit-healer", "is SERVER_DIR/.spirit-healer"),
        ("realm/.spirit-healer/build", "lies inside SERVER_DIR/.spirit-healer"),
        ("realm/lib", "is SERVER_DIR/lib"),
        ("like", "is BUILD_LIKE, which is only read"),
        ("queue", "is ANALYST_QUEUE_DIR"),
        ("queue/requests", "lies inside ANALYST_QUEUE_DIR"),
    ],
)
def test_a_build_folder_in_what_is_anothers_is_refused(usual: Chosen, folder: str, fault: str, tmp_path: Path) -> None:
    full = replace(usual, like=tmp_path / "like", queue=tmp_path / "queue", artifacts=("lib", None, "."))
    assert list_overlaps(full) == []
    assert list_overlaps(replace(full, build=tmp_path / folder)) == [f"BUILD_DIR: {fault}: {OWN}"]


def test_a_build_folder_that_contains_them_all_is_refused_with_a_line_for_each(usual: Chosen, tmp_path: Path) -> None:
    assert list_overlaps(replace(usual, build=tmp_path)) == [
        f"BUILD_DIR: contains SOURCE_DIR: {OWN}",
        f"BUILD_DIR: contains SERVER_DIR: {OWN}",
        f"BUILD_DIR: contains STATE_DIR: {OWN}",
    ]


@pytest.mark.parametrize(
    ("folder", "fault"),
    [
        ("state", "is STATE_DIR"),
        ("state/source", "is STATE_DIR/source"),  # where `git clean` wiped an open request
        ("state/source/queue", "lies inside STATE_DIR/source"),
        ("state/build/queue", "lies inside STATE_DIR/build"),
        ("realm", "is SERVER_DIR"),
        ("checkout/queue", "lies inside SOURCE_DIR, which is never written"),
    ],
)
def test_a_queue_where_it_would_be_wiped_is_refused(usual: Chosen, folder: str, fault: str, tmp_path: Path) -> None:
    assert list_overlaps(replace(usual, queue=tmp_path / folder)) == [f"ANALYST_QUEUE_DIR: {fault}: {OWN}"]


@pytest.mark.parametrize(
    ("name", "folder", "fault"),
    [
        ("state", "checkout/state", "lies inside SOURCE_DIR, which is never written"),
        ("state", "realm", "is SERVER_DIR"),
        ("state", "realm/.spirit-healer/state", "lies inside SERVER_DIR/.spirit-healer"),
        ("state", "realm/lib/state", "lies inside SERVER_DIR/lib"),
        ("source", "state/source", "contains SOURCE_DIR in STATE_DIR/source, which is ours"),
        ("server", "state/server", "contains SERVER_DIR in STATE_DIR/server, which is ours"),
        ("server", "state/builds/realm", "contains SERVER_DIR in STATE_DIR/builds, which is ours"),
        ("like", "state/build", "contains BUILD_LIKE in STATE_DIR/build, which is ours"),
    ],
)
def test_a_state_folder_among_others_is_refused(
    usual: Chosen, name: str, folder: str, fault: str, tmp_path: Path
) -> None:
    changed: dict[str, Any] = {name: tmp_path / folder}
    assert list_overlaps(replace(usual, artifacts=("lib",), **changed)) == [f"STATE_DIR: {fault}: {ELSEWHERE}"]


def test_the_folders_of_ours_are_those_that_the_code_makes(tmp_path: Path) -> None:
    made = {git.CLONE, BUILDS, build_log.LOGS, wiring.SCRATCH, toolchain.FOLDER, Folders(tmp_path, tmp_path).lives.name}
    assert made < set(places.OURS)
    assert builder_configure.BUILD == places.BUILD


if sys.platform != "win32":  # there a symlink takes a privilege

    def test_a_folder_behind_a_symlink_is_known_by_where_it_lies(usual: Chosen, tmp_path: Path) -> None:
        (usual.state / "source").mkdir(parents=True)
        (tmp_path / "innocent").symlink_to(usual.state / "source", target_is_directory=True)
        chosen = replace(usual, build=tmp_path / "innocent")
        assert list_overlaps(chosen) == [f"BUILD_DIR: is STATE_DIR/source: {OWN}"]

    def test_a_default_folder_that_leads_into_another_one_is_refused(usual: Chosen, tmp_path: Path) -> None:
        usual.state.mkdir()
        (usual.state / "build").symlink_to(usual.server / ".spirit-healer", target_is_directory=True)
        assert list_overlaps(usual) == [
            f"STATE_DIR: STATE_DIR/build and SERVER_DIR/.spirit-healer lie in each other: {ELSEWHERE}"
        ]
