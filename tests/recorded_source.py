"""The source that the recorded crashes were built from: the sample realm with more bugs, as shipped, and moved with its
callers renamed."""

import re
import shutil
import tempfile
from pathlib import Path

from recorded import RECORDED

from bot.demo.bugs import REALM as SOURCE

MORE = {
    "lambda": "CountMissing", "template": "VisitNobody", "exception": "LookBehindTheEnd", "divide": "ShareNothing",
    "virtual": "EndHalfBuilt", "operator": "ReadCooldown", "assert-totem": "SummonTotem", "assert-pet": "SummonPet",
    "abort": "StopWorld", "list-of-a-guild": "LeaveGuild", "list-of-an-arena": "LeaveArena",
}  # fmt: skip
TRIGGERS = ("LogoutWithQuest", "ApplyExpiredAura", "RefreshAura", "SpawnModels", "LeaveMap", "FollowEachOther",
            "ClearLoot", "DeferLogin")  # fmt: skip
RENAMED = (*TRIGGERS, "LogoutBot", "UpdateApplyEffectMask", "InsertGameObjectModels", "LogActions")


def prepare(source: Path, *, moved: bool) -> None:
    """The realm with more bugs; moved: seven lines further down, its callers under other names."""
    shutil.copytree(SOURCE, source, ignore=shutil.ignore_patterns("build*"))
    debug = source / "src/modules/Playerbot/Debug"
    for name in ("MoreBugs.h", "MoreBugs.cpp"):
        shutil.copy2(RECORDED.parent / name, debug / name)
    planted = debug / "PlantedBugs.cpp"
    entries = "".join(f'        {{ "{name}", {function} }},\n' for name, function in MORE.items())
    text = planted.read_text("utf-8").replace(
        "    constexpr Entry Entries[] = {\n", "    constexpr Entry Entries[] = {\n" + entries
    )
    planted.write_text('#include "Debug/MoreBugs.h"\n' + text, "utf-8")
    if moved:
        for file in _list_files(source):
            file.write_text("// Moved.\n" * 7 + rename(file.read_text("utf-8")), "utf-8")


def rename(text: str) -> str:
    return re.sub(rf"\b({'|'.join(RENAMED)})\b", r"Now\1", text)


def list_sources() -> tuple[frozenset[str], frozenset[str]]:
    """Every identifier of the shipped source, and of the moved one."""
    return _list_words(moved=False), _list_words(moved=True)


def _list_words(*, moved: bool) -> frozenset[str]:
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "realm"
        prepare(source, moved=moved)
        return frozenset(re.findall(r"\w+", "\n".join(file.read_text("utf-8") for file in _list_files(source))))


def _list_files(source: Path) -> list[Path]:
    return [*source.glob("src/**/*.cpp"), *source.glob("src/**/*.h")]
