"""Real builds of a project of two files: what is kept of those that succeed, what is said of those that do not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace

import psutil
import pytest
from checkouts import snapshot
from small_disks import put_on_small
from tiny_project import CMAKE_LISTS, COMMIT, MAIN, OTHER, TinyProject

from pipeline.adapters import builder_configure, builder_machine, children
from pipeline.adapters.archive import Product, digest
from pipeline.adapters.builder_configure import OWN, STAMP
from pipeline.adapters.builder_like import parse_cache
from pipeline.adapters.builder_products import check_revision
from pipeline.adapters.children import end_marked
from pipeline.errors import Cancelled, DefiniteError, Obstructed, ToolMissing, TransientError, Unconfigured
from pipeline.keeper.protocol import BuildFile, Manifest
from pipeline.model import Diagnostic

NINJA: tuple[str, ...] = ()
TESTS = Path(__file__).parents[1]
MAKE = ("-G", "Unix Makefiles")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[TinyProject]:
    project = TinyProject(tmp_path / "realm")
    yield project
    leftover = project.living
    end_marked(project.state)
    assert leftover == [], "a build left processes behind"


def until_it_hangs(project: TinyProject) -> None:
    deadline = time.monotonic() + 60
    while not (project.tools / "hanging").exists():
        assert time.monotonic() < deadline, "the compiler never began"
        time.sleep(0.01)


def cache_of(folder: Path) -> dict[str, str]:
    return {name: entry.value for name, entry in parse_cache((folder / "CMakeCache.txt").read_text())}


@pytest.mark.parametrize("generator", [NINJA, MAKE], ids=["ninja", "make"])
def test_a_build_is_archived_with_its_revision_and_reports_how_far_it_is(
    project: TinyProject, generator: tuple[str, ...]
) -> None:
    project.write("sql/updates/1.sql", "select 1;")
    result = project.build(configure_args=generator)
    kept = project.state / "builds" / COMMIT
    program = kept / "files" / "worldserver"
    assert result.reason is None
    assert result.manifest == Manifest(
        COMMIT,
        (BuildFile("worldserver", "worldserver", digest(program), program.stat().st_size, executable=True),),
        revision=COMMIT[:12],
    )
    assert (kept / "sql" / "updates" / "1.sql").read_text() == "select 1;"
    assert project.progress[-1][0].percent == 100
    assert [what.split(":")[1] for _, _, what in project.started] == ["build", "build"]
    assert result.log.parent == project.state / "logs"
    assert project.builder().manifest(COMMIT) == result.manifest


@pytest.mark.parametrize("generator", [NINJA, MAKE], ids=["ninja", "make"])
def test_fault_a7_what_does_not_compile_comes_back_with_its_place(
    project: TinyProject, generator: tuple[str, ...]
) -> None:
    project.write("other.cpp", "#include <cstdio>\nint other() { return undeclared; }\n")
    result = project.build(configure_args=generator)
    assert result.manifest is None
    assert result.diagnostics == (Diagnostic("'undeclared' was not declared in this scope", "other.cpp", 2, 22),)
    assert "the compile failed" in str(result.reason)
    assert "undeclared" in result.log.read_text()
    assert project.builds == []


def kill_when_compiling(project: TinyProject, *, tool: bool) -> threading.Thread:
    """Ends cmake, or the Ninja or make below it, and nothing else of the build, in the midst of a compile."""

    def kill() -> None:
        until_it_hangs(project)
        cmake = psutil.Process(project.started[-1][0])
        (cmake.children()[0] if tool else cmake).kill()

    project.write("other.cpp", "int other() { return 1; }\n")
    (project.tools / "hang").touch()
    killer = threading.Thread(target=kill)
    killer.start()
    return killer


@pytest.mark.parametrize("generator", [NINJA, MAKE], ids=["ninja", "make"])
@pytest.mark.parametrize(("tool", "end"), [(False, "ended by signal 9"), (True, "exit code 1")], ids=["cmake", "below"])
def test_a_build_whose_cmake_ninja_or_make_somebody_kills_is_tried_again(
    project: TinyProject, generator: tuple[str, ...], *, tool: bool, end: str
) -> None:
    """It says nothing of the change: nobody is sent after it, and the run does not fail for it."""
    args = [project.launcher, *generator]
    assert project.build(configure_args=args).reason is None
    project.stamp(OTHER[:12])
    killer = kill_when_compiling(project, tool=tool)
    with pytest.raises(TransientError) as ended:
        project.build(OTHER, configure_args=args)
    killer.join()
    assert str(ended.value) == (
        f"the compile failed ({end}): a program of the build was ended from outside, and no error was printed"
    )
    assert project.living == []
    (project.tools / "hang").unlink()
    assert project.build(OTHER, configure_args=args).reason is None


def test_a_cmake_that_somebody_kills_while_it_configures_is_tried_again(project: TinyProject) -> None:
    project.write("CMakeLists.txt", CMAKE_LISTS + 'execute_process(COMMAND sh -c "kill -9 $PPID")\n')
    with pytest.raises(TransientError) as ended:
        project.build()
    assert str(ended.value) == (
        "cmake could not configure (ended by signal 9): a program of the build was ended from outside, and no error "
        "was printed"
    )
    project.write("CMakeLists.txt", CMAKE_LISTS)
    assert project.build().reason is None


def test_fault_a7_what_does_not_link_comes_back_by_name(project: TinyProject) -> None:
    project.write("other.cpp", "int missing();\nint other() { return missing(); }\n")
    result = project.build()
    assert [each.message for each in result.diagnostics] == ["undefined reference to `missing()'"]
    assert result.diagnostics[0].file == "other.cpp"


def test_what_cmake_refuses_is_the_machines_fault_and_said_with_its_place_and_cure(project: TinyProject) -> None:
    project.write("CMakeLists.txt", CMAKE_LISTS + 'message(FATAL_ERROR "no such luck")\n')
    for _ in range(2):
        with pytest.raises(Unconfigured) as refused:
            project.build()
    log = project.state / "logs" / "configure.log"
    assert str(refused.value) == (
        f"cmake could not configure: {Diagnostic('no such luck', 'CMakeLists.txt', 5)} (exit code 1; all it said is in "
        f"{log}). Cure: see that BUILD_CONFIGURE_ARGS, BUILD_LIKE and the compiler they name are right, and that what "
        "the source needs is installed"
    )
    assert "no such luck" in log.read_text()
    assert list(log.parent.glob("build-*")) == []
    project.write("CMakeLists.txt", CMAKE_LISTS)
    assert project.build().reason is None


@pytest.mark.parametrize("generator", [(), MAKE], ids=["default", "make"])
def test_what_cmake_refuses_in_the_midst_of_a_compile_is_the_machines_fault_too(
    project: TinyProject, generator: tuple[str, ...]
) -> None:
    project.write("../machine/package.cmake", "")
    project.write("CMakeLists.txt", CMAKE_LISTS + 'include("${CMAKE_SOURCE_DIR}/../machine/package.cmake")\n')
    assert project.build(configure_args=generator).reason is None
    project.write("../machine/package.cmake", 'message(FATAL_ERROR "the package is gone")\n')
    with pytest.raises(Unconfigured, match=r"cmake could not configure: .*the package is gone"):
        project.build(OTHER, configure_args=generator)
    assert [each.name for each in (project.state / "logs").glob("build-*")] == [f"build-{COMMIT}-1.log"]
    project.write("../machine/package.cmake", "")
    project.stamp(OTHER[:12])
    assert project.build(OTHER, configure_args=generator).reason is None


@pytest.mark.parametrize("generator", [(), MAKE], ids=["default", "make"])
@pytest.mark.parametrize("built", [False, True], ids=["at first", "in the midst of a compile"])
def test_a_fix_that_takes_away_what_cmake_is_told_to_compile_is_at_fault(
    project: TinyProject, generator: tuple[str, ...], built: bool
) -> None:
    if built:
        project.build(configure_args=generator)
        project.write("CMakeLists.txt", f"{CMAKE_LISTS}\n")
    (project.source / "other.cpp").unlink()
    result = project.build(OTHER, configure_args=generator)
    assert result.diagnostics[0].message == "Cannot find source file: other.cpp"
    assert result.manifest is None


def test_a_second_build_compiles_only_what_changed_and_nothing_is_configured_again(project: TinyProject) -> None:
    project.build()
    project.stamp(OTHER[:12])
    result = project.build(OTHER)
    assert result.manifest is not None
    log = result.log.read_text()
    assert "main.cpp" in log
    assert "other.cpp" not in log
    assert "compiler identification" not in log
    assert project.builds == [COMMIT, OTHER]


def test_a_commit_that_is_archived_is_not_compiled_again(project: TinyProject) -> None:
    first = project.build()
    project.started.clear()
    again = project.build()
    assert (again.manifest, again.seconds, again.log) == (first.manifest, 0.0, first.log)
    assert project.started == []


def test_an_archived_build_whose_checksum_does_not_hold_is_made_again(project: TinyProject) -> None:
    first = project.build()
    (project.state / "builds" / COMMIT / "files" / "worldserver").write_bytes(b"x" * 100)
    assert project.build().manifest == first.manifest
    assert project.builder().manifest(COMMIT) == first.manifest


def test_fault_a12_world_build_hangs_and_is_ended_with_what_left_its_session(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project.tools / "hang").touch()
    far = (project.tools / "hanging").exists
    clock = SimpleNamespace(monotonic=lambda: time.monotonic() + (1e6 if far() else 0), sleep=time.sleep)
    monkeypatch.setattr(children, "time", clock)
    result = project.build(configure_args=[project.launcher], timeout=500.0)
    assert result.reason == "the build took longer than 500 s and was ended (BUILD_TIMEOUT)"
    assert result.diagnostics == ()
    assert project.living == []


def test_the_warm_build_has_a_timeout_of_its_own(project: TinyProject) -> None:
    result = project.build(warm=True, timeout=0.0)
    assert result.manifest is not None
    assert "longer than 0 s" in str(project.build(OTHER, warm=True, warm_timeout=0.0).reason)


@pytest.mark.parametrize("generator", [NINJA, MAKE], ids=["ninja", "make"])
def test_fault_a12_a_build_that_is_taken_back_leaves_no_process(
    project: TinyProject, generator: tuple[str, ...]
) -> None:
    (project.tools / "hang").touch()

    def take_back() -> None:
        until_it_hangs(project)
        project.cancelled.set()

    thread = threading.Thread(target=take_back)
    thread.start()
    with pytest.raises(Cancelled):
        project.build(configure_args=[project.launcher, *generator])
    thread.join(60)
    assert project.living == []
    (project.tools / "hang").unlink()
    project.cancelled.clear()
    assert project.build(configure_args=[project.launcher, *generator]).reason is None


@pytest.mark.parametrize("recorded", [True, False], ids=["recorded", "by its mark"])
def test_fault_a12_what_a_killed_bot_left_compiling_is_ended_at_the_next_start(
    project: TinyProject, recorded: bool
) -> None:
    (project.tools / "hang").touch()
    script = """
import json, pathlib, sys, tiny_project
project = tiny_project.TinyProject(pathlib.Path(sys.argv[1]))
project.started = type("Notes", (list,), {"append": lambda self, each: print(json.dumps(each), flush=True)})()
project.build(configure_args=[project.launcher])
"""
    with (project.folder / "recorded").open("wb") as notes:
        bot = subprocess.Popen(
            [sys.executable, "-c", script, str(project.folder)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(str(each) for each in (TESTS, TESTS.parent))},
            stdout=notes,
        )
    try:
        until_it_hangs(project)
    finally:
        bot.kill()
        bot.wait(60)
    assert len(project.living) >= 3
    started = [json.loads(line) for line in (project.folder / "recorded").read_text().splitlines()]
    (project.state / "builds" / ".new-half").mkdir(parents=True)
    project.builder().end_strays([(pid, create_time) for pid, create_time, _ in started] if recorded else [])
    assert project.living == []
    assert project.builds == []


def test_world_build_no_artifact_has_failed(project: TinyProject) -> None:
    remove = (
        "add_custom_command(TARGET worldserver POST_BUILD COMMAND ${CMAKE_COMMAND} -E rm $<TARGET_FILE:worldserver>)"
    )
    project.write("CMakeLists.txt", f"{CMAKE_LISTS}{remove}\n")
    result = project.build()
    assert result.manifest is None
    assert result.reason == (
        f"the compile ended without an error, but it made no {project.state / 'build' / 'worldserver'}"
    )
    assert project.builds == []


def test_a_target_that_the_source_does_not_have_is_named_with_those_it_has(project: TinyProject) -> None:
    result = project.build(target="gameserver")
    assert result.reason == "BUILD_TARGET: the source has no target gameserver; it has worldserver"


def test_a_program_of_another_revision_is_not_what_was_asked_for(project: TinyProject) -> None:
    result = project.build(OTHER)
    assert result.reason == f"the program says it was built from {COMMIT[:12]}, not from {OTHER[:12]}"
    assert project.builds == []


def test_a_program_of_a_tree_with_uncommitted_changes_is_refused(project: TinyProject) -> None:
    project.stamp(f"{COMMIT[:12]}+")
    assert "had changes that are in no commit" in str(project.build().reason)


@pytest.mark.parametrize("line", ["", 'std::puts("Tiny rev. unknown 1970-01-01");', "__builtin_abort();"])
def test_a_program_that_does_not_tell_its_revision_is_known_by_its_checksum(project: TinyProject, line: str) -> None:
    project.write("main.cpp", f"#include <cstdio>\nint main() {{ {line} return 1; }}\n")
    result = project.build()
    assert result.manifest is not None
    assert result.manifest.revision is None


def test_a_program_that_was_built_is_not_run_to_be_known(project: TinyProject) -> None:
    """A server of one's own may not know `--version` and come up although an operator has stopped it."""
    up = project.folder / "up"
    program = f'#include <fstream>\n#include "revision.h"\nint main() {{ std::ofstream("{up}") << TEXT; }}\n'
    project.write("main.cpp", program.replace("TEXT", '"Tiny rev. " REVISION " 2024-01-01"'))
    result = project.build()
    assert result.manifest is not None
    assert (result.manifest.revision, up.exists()) == (COMMIT[:12], False)
    subprocess.run([project.state / "builds" / COMMIT / "files" / "worldserver", "--version"], check=True, timeout=60)
    assert up.exists(), "it comes up for whoever runs it"


@pytest.mark.parametrize("before", [(1 << 20) - 20, (1 << 20) - 5, 1 << 20, 3])
def test_a_revision_is_found_wherever_in_a_program_it_lies(tmp_path: Path, before: int) -> None:
    program = tmp_path / "worldserver"
    program.write_bytes(b"\0" * before + b"rev. unknown 1970-01-01 rev. 7777777 of what is linked in\0")
    product = Product("worldserver", program, executable=True)
    assert check_revision([product], COMMIT) is None
    program.write_bytes(b"\0" * before + f"TrinityCore rev. {COMMIT[:12]} 2024-01-01 07:00:00 +0100".encode())
    assert check_revision([Product("data", tmp_path / "none"), product], COMMIT) == COMMIT[:12]


def test_world_build_prints_more_than_it_may_and_is_ended(project: TinyProject) -> None:
    project.write(
        "CMakeLists.txt",
        'cmake_minimum_required(VERSION 3.16)\nproject(x NONE)\nwhile(TRUE)\n  message("'
        + "x" * 1000
        + '")\nendwhile()\n',
    )
    result = project.build(most_output=1 << 20)
    assert result.reason == "it printed more than 1 MiB and was ended"
    assert result.log.stat().st_size == 1 << 20


def test_world_build_prints_without_end_and_hears_no_signal(project: TinyProject) -> None:
    (project.tools / "flood").touch()
    result = project.build(configure_args=[project.launcher, *MAKE], most_output=1 << 20)
    assert result.reason == "it printed more than 1 MiB and was ended"
    assert result.log.stat().st_size == 1 << 20
    assert project.living == []


def test_world_build_forks_away_and_what_stays_behind_is_ended_though_all_went_well(project: TinyProject) -> None:
    (project.tools / "stay").touch()
    result = project.build(configure_args=[project.launcher])
    assert result.reason is None
    assert project.living == []


FILL = """
import json, pathlib, sys, tiny_project
project = tiny_project.TinyProject(pathlib.Path(sys.argv[1]))
grow = 'add_custom_command(TARGET worldserver POST_BUILD COMMAND head -c 64M /dev/zero > huge)'
project.write("CMakeLists.txt", tiny_project.CMAKE_LISTS + grow)
said = []
for _ in range(2):
    try:
        project.build(min_free_disk=8 << 20)
    except Exception as fault:
        said.append([type(fault).__name__, str(fault).partition(" in ")[0]])
print(json.dumps([said, project.builds, len(project.living)]))
"""


def test_world_build_fills_disk_and_waits_with_the_cure(project: TinyProject) -> None:
    done = subprocess.run(
        put_on_small("16m", project.state / "build", [sys.executable, "-c", FILL, str(project.folder)]),
        env={**os.environ, "PYTHONPATH": os.pathsep.join(str(each) for each in (TESTS, TESTS.parent))},
        capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    said, builds, living = json.loads(done.stdout)
    assert said[0] == ["TransientError", "the compile failed (exit code 1): the disk is full: make room"]
    assert said[1] == ["Obstructed", "only 0 MiB are free"], "it is not filled again"
    assert (builds, living) == ([], 0)


def test_world_disk_full_build_folder_is_at_fault_for_what_the_compiler_says(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    """cmake cuts a generated header short without a word, and by the time it is compiled there may be room again."""
    project.write("other.cpp", "int other() { return undeclared; }\n")
    room = shutil.disk_usage(project.folder)
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room._replace(free=0))
    with pytest.raises(TransientError, match=r"the compile failed .*: the disk is full: make room"):
        project.build()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: room)
    assert "undeclared" in str(project.build().diagnostics)


def test_world_disk_full_build_folder_is_said_before_anything_is_started(project: TinyProject) -> None:
    with pytest.raises(Obstructed, match="lower MIN_FREE_DISK"):
        project.build(min_free_disk=1 << 60)
    assert project.started == []
    assert list(project.state.rglob("*.log")) == []


def test_a_missing_cmake_is_said_with_its_cure(project: TinyProject, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipeline.adapters.toolchain.find_tool", lambda name, environment=None: None)
    with pytest.raises(ToolMissing, match=r"pip install 'spirit-healer\[demo\]'"):
        project.build()


def test_a_compiler_sees_no_setting_of_ours_and_gives_way_to_the_server(
    project: TinyProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISCORD_TOKEN", "secret")
    monkeypatch.setenv("LC_ALL", "de_DE.UTF-8")
    project.build(configure_args=[project.launcher], withhold=["DISCORD_TOKEN"], build_env={"CCACHE_DIR": "/cache"})
    environment = project.seen["environment"]
    assert "DISCORD_TOKEN" not in environment
    assert (environment["LC_ALL"], environment["CCACHE_DIR"]) == ("C", "/cache")
    assert environment["SPIRIT_HEALER_CHILD"].startswith(children.mark_for(project.state, "build"))
    assert project.seen["nice"] == 10


def test_artifacts_go_where_they_are_told_and_the_program_where_the_server_looks_for_it(project: TinyProject) -> None:
    project.write("CMakeLists.txt", CMAKE_LISTS + "set_target_properties(worldserver PROPERTIES OUTPUT_NAME world)\n")
    project.build()
    (project.state / "build" / "scripts").mkdir()
    for name in ("a.so", "b.so"):
        (project.state / "build" / "scripts" / name).write_text(name)
    (project.state / "build" / "world.debug").write_text("symbols")
    project.stamp(OTHER[:12])
    result = project.build(
        OTHER,
        program=str(project.server / "bin" / "worldserver"),
        artifacts=[("scripts/*.so", "bin/scripts"), ("scripts/a.so", None)],
    )
    assert result.manifest is not None
    assert [(each.path, each.executable) for each in result.manifest.files] == [
        ("bin/worldserver", True),
        ("bin/world.debug", False),
        ("bin/scripts/a.so", False),
        ("bin/scripts/b.so", False),
        ("bin/a.so", False),
    ]


def test_an_artifact_named_as_the_servers_program_is_the_program(project: TinyProject) -> None:
    project.write("CMakeLists.txt", CMAKE_LISTS + "add_executable(other other.cpp main.cpp)\n")
    result = project.build(target="worldserver", program="other", artifacts=[("worldserver", None), ("oth*", None)])
    assert "nothing matches oth*" in str(result.reason)
    result = project.build(target="all", program="worldserver", artifacts=[("worldserver", None)])
    assert result.reason == "BUILD_TARGET: the source has no target all; it has other, worldserver"


def test_an_artifact_may_not_leave_the_servers_folder(project: TinyProject) -> None:
    result = project.build(artifacts=[("CMakeCache.txt", "../outside")])
    assert "does not lie below SERVER_DIR" in str(result.reason)
    assert project.builds == []


def test_a_program_outside_of_the_servers_folder_cannot_be_swapped(project: TinyProject) -> None:
    assert "does not lie in SERVER_DIR" in str(project.build(program="/usr/bin/python3").reason)


def test_a_build_folder_that_the_user_has_says_how_to_build(project: TinyProject) -> None:
    theirs, like = project.folder / "checkout", project.folder / "their build"
    theirs.mkdir()
    for folder in (theirs, project.source):
        (folder / "CMakeLists.txt").write_text(CMAKE_LISTS)
        (folder / "main.cpp").write_text(MAIN)
        (folder / "other.cpp").write_text("int other() { return 0; }\n")
        (folder / "toolchain.cmake").write_text('set(CMAKE_CXX_FLAGS_INIT "-DFROM_TOOLCHAIN")\n')
    (theirs / "revision.h").write_text('#define REVISION "unknown"\n')
    (theirs / "ignored by git").mkdir()
    configure = [
        *("cmake", "-S", str(theirs), "-B", str(like), "-G", "Unix Makefiles", "-DCMAKE_BUILD_TYPE=Debug"),
        *("-DWITH_GREETING=ON", "-DCMAKE_INSTALL_PREFIX=/opt/realm", project.launcher, "-DSTRANGE=a]=]b;$c\\d"),
        *(f"-DCMAKE_TOOLCHAIN_FILE={theirs / 'toolchain.cmake'}", f"-DOF_BUILD:PATH={like / 'made'}"),
        *(f"-DIGNORED:PATH={theirs / 'ignored by git'}", f"-DGONE:PATH={theirs / 'gone'}", "-DLIB=LIB-NOTFOUND"),
    ]
    subprocess.run(configure, check=True, capture_output=True, timeout=100)
    result = project.build(build_like=like, configure_args=["-DWITH_GREETING=OFF"])
    assert result.reason is None
    ours = cache_of(project.state / "build")
    assert ours["CMAKE_GENERATOR"] == "Unix Makefiles"
    assert ours["CMAKE_BUILD_TYPE"] == "Debug"
    assert ours["CMAKE_INSTALL_PREFIX"] == "/opt/realm"
    assert ours["CMAKE_CXX_COMPILER_LAUNCHER"] == project.launcher.partition("=")[2]
    assert ours["CMAKE_TOOLCHAIN_FILE"] == str(project.source / "toolchain.cmake")
    assert ours["STRANGE"] == "a]=]b;$c\\d"
    assert ours["IGNORED"] == str(theirs / "ignored by git")
    assert ours["WITH_GREETING"] == "OFF"
    assert ours.keys().isdisjoint({"OF_BUILD", "GONE", "LIB"})
    assert project.seen["nice"] == 10
    assert sorted(each.name for each in theirs.iterdir()) == sorted(
        ["CMakeLists.txt", "ignored by git", "main.cpp", "other.cpp", "revision.h", "toolchain.cmake"]
    )


def test_a_folder_that_was_never_configured_is_no_likeness(project: TinyProject) -> None:
    result = project.build(build_like=project.server)
    assert "BUILD_LIKE" in str(result.reason)
    assert "give a folder that cmake configured" in str(result.reason)


def test_a_changed_option_configures_again_and_is_forgotten_when_it_goes(project: TinyProject) -> None:
    project.build(configure_args=["-DWITH_GREETING=ON"])
    assert cache_of(project.state / "build")["WITH_GREETING"] == "ON"
    result = project.build(OTHER, configure_args=[])
    assert cache_of(project.state / "build")["WITH_GREETING"] == "OFF"
    assert "other.cpp" not in result.log.read_text(), "a changed option must not compile everything again"


def test_a_lost_answer_of_cmake_is_asked_for_again(project: TinyProject) -> None:
    project.build()
    for target in (project.state / "build" / ".cmake" / "api" / "v1" / "reply").glob("target-*.json"):
        target.unlink()
    project.stamp(OTHER[:12])
    assert project.build(OTHER).reason is None


def test_another_generator_begins_in_an_empty_folder(project: TinyProject) -> None:
    project.build()
    project.stamp(OTHER[:12])
    assert project.build(OTHER, configure_args=MAKE).reason is None
    assert cache_of(project.state / "build")["CMAKE_GENERATOR"] == "Unix Makefiles"


def test_what_a_user_keeps_in_build_dir_survives_every_build(project: TinyProject) -> None:
    theirs = project.folder / "fast"
    for name in ("family-photos/a.jpg", "characters-backup.sql", "CMakeCache.txt", "build/x.o"):
        (theirs / name).parent.mkdir(parents=True, exist_ok=True)
        (theirs / name).write_text("theirs")
    before = snapshot(theirs)
    assert project.build(build_dir=theirs).reason is None
    project.stamp(OTHER[:12])
    assert project.build(OTHER, build_dir=theirs, configure_args=MAKE).reason is None
    assert cache_of(theirs / OWN)["CMAKE_GENERATOR"] == "Unix Makefiles"
    assert {name: each for name, each in snapshot(theirs).items() if not name.startswith(OWN)} == before


def test_a_build_folder_that_is_not_ours_is_left_alone_and_said(project: TinyProject) -> None:
    theirs = project.folder / "fast" / OWN
    theirs.mkdir(parents=True)
    (theirs / "CMakeCache.txt").write_text("theirs")
    before = snapshot(theirs)
    with pytest.raises(Obstructed) as refused:
        project.build(build_dir=theirs.parent)
    assert str(refused.value) == (
        f"BUILD_DIR: {theirs} is where we build, and holds `CMakeCache.txt`, which is not ours: nothing in it was "
        "touched. Cure: move what lies there away, or give another BUILD_DIR"
    )
    assert snapshot(theirs) == before


@pytest.mark.parametrize("half", [f".{STAMP}.4711.tmp", STAMP], ids=["first written", "half emptied"])
def test_a_build_folder_in_whose_making_we_were_killed_is_still_ours(project: TinyProject, half: str) -> None:
    build = project.state / "build"
    build.mkdir(parents=True)
    (build / half).write_text("")
    assert project.build().reason is None


def test_what_lies_in_the_servers_folder_is_archived_with_its_symbols_once(project: TinyProject) -> None:
    program = project.server / "bin" / "worldserver"
    program.parent.mkdir()
    program.write_bytes(b"the first server")
    program.with_suffix(".pdb").write_bytes(b"its symbols")
    builder = project.builder(program="bin/worldserver")
    manifest = builder.archive_found()
    assert manifest.build == f"found-{digest(program)[:16]}"
    assert [(each.path, each.executable) for each in manifest.files] == [
        ("bin/worldserver", True),
        ("bin/worldserver.pdb", False),
    ]
    assert builder.archive_found() == manifest == builder.manifest(manifest.build)
    assert project.builds == [manifest.build]


def test_an_empty_servers_folder_is_said(project: TinyProject) -> None:
    with pytest.raises(DefiniteError, match="there is no program"):
        project.builder().archive_found()


def test_fault_b18_old_builds_are_pruned_and_never_a_protected_one(project: TinyProject) -> None:
    builder = project.builder()
    (project.server / "worldserver").write_bytes(b"found")
    found = builder.archive_found().build
    project.build()
    project.stamp(OTHER[:12])
    project.build(OTHER)
    assert builder.prune(1, {found}) == [COMMIT]
    assert project.builds == sorted([OTHER, found])


def test_jobs_leave_a_core_to_the_server_and_fit_into_memory() -> None:
    gib = 1 << 30
    assert builder_machine.choose_jobs(16, 64 * gib) == 15
    assert builder_machine.choose_jobs(16, 8 * gib) == 4
    assert builder_machine.choose_jobs(1, 64 * gib) == builder_machine.choose_jobs(8, gib) == 1


def test_visual_studio_is_told_how_many_compilers_run_in_one_project() -> None:
    assert builder_configure.native_options("Visual Studio 17 2022", 3) == ["--", "/p:CL_MPCount=3"]
    assert builder_configure.native_options("Ninja", 3) == []


def test_names_of_variables_are_compared_as_the_platform_does() -> None:
    base = {"Discord_Token": "secret", "Path": "p", "MAKEFLAGS": "-j"}
    assert "Discord_Token" not in builder_machine.make_environment(base, ["DISCORD_TOKEN"], {}, "win32")
    linux = builder_machine.make_environment(base, ["DISCORD_TOKEN"], {"LC_ALL": "de"}, "linux")
    assert linux["Discord_Token"] == "secret"
    assert linux["LC_ALL"] == "de"
    assert "MAKEFLAGS" not in linux
