"""Fault points: nothing when off, what was asked for when armed, once where a marker says so."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pipeline
from pipeline import points

TRY = (
    "import sys, time, pipeline.points as p\n"
    "time.sleep = lambda seconds: print('slept', seconds, end=' ')\n"
    "for name in sys.argv[1:]:\n"
    "    try: p.point(name)\n"
    "    except Exception as fault: print(type(fault).__name__, end=' ')\n"
    "    print(name)\n"
)


def reach(
    *names: str, cwd: Path, armed: str = "", seen: str = "", program: str = TRY
) -> subprocess.CompletedProcess[str]:
    root = str(Path(pipeline.__file__ or "").parents[1])
    environment = {"PYTHONPATH": root, points.VARIABLE: armed, points.SEEN: seen}
    return subprocess.run(
        [sys.executable, "-c", program, *names], cwd=cwd, env=environment, capture_output=True, text=True, timeout=60
    )


def test_a_point_does_nothing_unless_it_was_armed(tmp_path: Path) -> None:
    assert reach("a", cwd=tmp_path).stdout == "a\n"
    assert reach("a", cwd=tmp_path, armed="b:kill").stdout == "a\n"
    assert reach("a", cwd=tmp_path, armed="a:off").stdout == "a\n"


def test_a_point_looks_at_nothing_where_none_was_armed(tmp_path: Path) -> None:
    forbidden = TRY.replace("\nfor ", "\np._reach = None\nfor ", 1)
    assert reach("a", "b", cwd=tmp_path, program=forbidden).stdout == "a\nb\n"
    assert reach("a", cwd=tmp_path, armed="b:kill", program=forbidden).stdout == "TypeError a\n", "so it would be seen"


def test_an_armed_point_does_what_was_asked_for(tmp_path: Path) -> None:
    assert reach("a", cwd=tmp_path, armed="a:raise").stdout == "FaultPoint a\n"
    assert reach("a", cwd=tmp_path, armed="a:full").stdout == "OSError a\n"
    assert reach("a", cwd=tmp_path, armed="a:sleep").stdout == f"slept {points.SLEEP} a\n"
    assert reach("a", cwd=tmp_path, armed="a:exit").returncode == points.EXIT_CODE
    assert reach("a", cwd=tmp_path, armed="a:kill").returncode != 0


def test_several_points_are_armed_at_once(tmp_path: Path) -> None:
    assert reach("a", "b", cwd=tmp_path, armed="a:raise,b:full").stdout == "FaultPoint a\nOSError b\n"


def test_with_a_marker_a_point_fires_once_for_all_lives(tmp_path: Path) -> None:
    armed = f"a:raise:{tmp_path / 'marker'}"
    assert reach("a", "a", cwd=tmp_path, armed=armed).stdout == "FaultPoint a\na\n"
    assert reach("a", cwd=tmp_path, armed=armed).stdout == "a\n"


def test_a_pause_ends_when_it_is_told_to(tmp_path: Path) -> None:
    (tmp_path / "marker.go").touch()
    assert reach("a", cwd=tmp_path, armed=f"a:pause:{tmp_path / 'marker'}").stdout == "a\n"
    assert (tmp_path / "marker").exists()


def test_each_life_writes_down_once_what_it_reached(tmp_path: Path) -> None:
    book = tmp_path / "seen.txt"
    for _ in range(2):
        reach("a", "b", "a", cwd=tmp_path, seen=str(book))
    assert book.read_text().split() == ["a", "b", "a", "b"]
