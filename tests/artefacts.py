"""What one file of a crash says by itself, with no debugger at hand."""

from pathlib import Path

from pipeline.crash.conclude import conclude
from pipeline.crash.read import read_report
from pipeline.model import CrashReport


def read_file(path: Path) -> CrashReport:
    return conclude(read_report(path))
