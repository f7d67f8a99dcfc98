"""The mistakes planted in the sample realm, and the fixes prepared for them, good and bad.

Paths are relative to the root of the realm's repository. `response` gives an analyst's answer as DESIGN.md,
"The analyst's file protocol", describes the shape of our own: `edits`, `crash_analysis`, `confidence`.
"""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import assert_never

REALM = Path(__file__).parent / "realm"


class FixKind(StrEnum):
    """What becomes of the server when this fix is applied."""

    GOOD = "good"
    """The bug no longer crashes it."""
    NO_COMPILE = "no_compile"
    """The build fails, at a missing semicolon."""
    CRASH_AT_START = "crash_at_start"
    """It cures the bug, and the server dies before ready."""
    CRASH_AFTER_READY = "crash_after_ready"
    """It cures the bug, and the server dies some 3 s after ready, somewhere else."""
    NOT_CURED = "not_cured"
    """Only a comment: the bug crashes the server as before."""
    OUTSIDE = "outside"
    """It writes to `../outside.txt`, and is to be refused."""


@dataclass(frozen=True)
class Edit:
    """One replacement; `search` occurs exactly once in the file."""

    path: str
    search: str
    replace: str


@dataclass(frozen=True)
class PlantedBug:
    name: str
    # for `bug <name>` on a console and `BUG <name>` of a player
    title: str
    # one line for a person
    function: str
    # the frame of interest in the crash, qualified as a debugger shows it
    crash_file: str
    # where that function is
    category: str
    severity: str
    summary: str
    # the root cause in one sentence, in the past tense of a commit message's body
    details: str
    fix: Edit
    # the good one

    @property
    def command(self) -> str:
        """What an operator types on a console of the server."""
        return f"bug {self.name}"

    @property
    def packet(self) -> str:
        """What a player sends to the world port after `HELLO name`."""
        return f"BUG {self.name}"

    @property
    def file(self) -> str:
        """Where the mistake is; not always where the server crashes."""
        return self.fix.path


SYSTEMS = "src/modules/Playerbot/Core/GameSystemsManager.cpp"

# Where the two regressions show, so that a test can tell their crashes from the bug's own.
CRASH_AT_START_FUNCTION = "EventDispatcher::Register"
CRASH_AFTER_READY_FUNCTION = "EventDispatcher::Publish"
REGRESSIONS = (CRASH_AT_START_FUNCTION, CRASH_AFTER_READY_FUNCTION)

_START_REGRESSION = Edit(
    SYSTEMS,
    """\
    _eventDispatcher = std::make_unique<EventDispatcher>();
    _questManager = std::make_unique<QuestManager>(this);
""",
    """\
    _questManager = std::make_unique<QuestManager>(this);
    _eventDispatcher = std::make_unique<EventDispatcher>();
""",
)
_SOAK_REGRESSION = Edit(
    SYSTEMS,
    """\
    _age += diff;
""",
    """\
    _age += diff;
    // A bot that has settled down needs no events any more.
    if (_age > 3000)
        _eventDispatcher.reset();
""",
)

BUGS: tuple[PlantedBug, ...] = (
    PlantedBug(
        name="dispatcher",
        title="null dereference in a chain of destructors: a bot with a quest logs out",
        function="EventDispatcher::UnsubscribeAll",
        crash_file="src/modules/Playerbot/Core/EventDispatcher.cpp",
        category="null dereference",
        severity="CRITICAL",
        summary="The event dispatcher was gone before its subscribers.",
        details="GameSystemsManager destroyed the dispatcher first; the quest manager's destructor then unsubscribed "
        "from nothing. The managers have to end first.",
        fix=Edit(
            SYSTEMS,
            "    _eventDispatcher.reset();\n}",
            "    _questManager.reset();\n    _eventDispatcher.reset();\n}",
        ),
    ),
    PlantedBug(
        name="aura",
        title="use after free: an aura is updated after it ran out",
        function="Unit::UpdateAuras",
        crash_file="src/server/game/Entities/UnitAuras.cpp",
        category="use after free",
        severity="CRITICAL",
        summary="An aura that had run out was removed and then updated.",
        details="RemoveAura deletes the aura; the loop went on with the pointer.",
        fix=Edit(
            "src/server/game/Entities/UnitAuras.cpp",
            """\
        if (aura->IsExpired())
            RemoveAura(aura);
""",
            """\
        if (aura->IsExpired())
        {
            RemoveAura(aura);
            continue;
        }
""",
        ),
    ),
    PlantedBug(
        name="assert",
        title="failed assertion: a refreshed aura applies an effect twice",
        function="AuraApplication::_HandleEffect",
        crash_file="src/server/game/Spells/Auras/AuraApplication.cpp",
        category="assertion",
        severity="HIGH",
        summary="An effect that was in force already was applied again.",
        details="UpdateApplyEffectMask took every effect of the new mask instead of those that are not in force yet.",
        fix=Edit(
            "src/server/game/Spells/Auras/AuraApplication.cpp",
            "    uint8 const effectsToApply = newEffectMask;\n",
            "    uint8 const effectsToApply = newEffectMask & ~_effectMask;\n",
        ),
    ),
    PlantedBug(
        name="bih",
        title="uncaught exception: 'invalid node overlap' while a tree of models is built",
        function="BIH::subdivide",
        crash_file="src/common/Collision/BoundingIntervalHierarchy.cpp",
        category="uncaught exception",
        severity="HIGH",
        summary="The right half of a divided node was clipped with the left half's bound.",
        details="subdivide cut the right node's upper end at leftClip, which lies below the split, instead of raising "
        "its lower end to rightClip; the next level found a node outside of its grid and threw.",
        fix=Edit(
            "src/common/Collision/BoundingIntervalHierarchy.cpp",
            "    rightNode.hi[axis] = leftClip;\n",
            "    rightNode.lo[axis] = rightClip;\n",
        ),
    ),
    PlantedBug(
        name="freeze",
        title="endless loop: the map waits for a mover that has left",
        function="Map::Update",
        crash_file="src/server/game/Maps/Map.cpp",
        category="freeze",
        severity="CRITICAL",
        summary="The map's update never passed a mover that had left the map.",
        details="The loop skipped an empty guid without advancing the iterator.",
        fix=Edit(
            "src/server/game/Maps/Map.cpp",
            "        if (*itr == 0)\n            continue;\n",
            "        if (*itr == 0)\n        {\n            ++itr;\n            continue;\n        }\n",
        ),
    ),
    PlantedBug(
        name="recursion",
        title="stack overflow: two bots follow each other",
        function="DescribeFollowChain",
        crash_file="src/modules/Playerbot/Group/FollowChain.cpp",
        category="stack overflow",
        severity="HIGH",
        summary="Two bots that followed each other were described without end.",
        details="DescribeFollowChain called itself for each leader and had no bound for a circle; it now walks at most "
        "the size of a group.",
        fix=Edit(
            "src/modules/Playerbot/Group/FollowChain.cpp",
            """\
    if (!leader)
        return bot->GetName();
    return bot->GetName() + " > " + DescribeFollowChain(leader);
""",
            """\
    std::string chain = bot->GetName();
    for (int links = 0; leader && leader != bot && links < 5; ++links)
    {
        chain += " > " + leader->GetName();
        leader = leader->GetFollowTarget();
    }
    return chain;
""",
        ),
    ),
    PlantedBug(
        name="doublefree",
        title="double free: a pocket's loot is cleared and then dropped",
        function="Loot::~Loot",
        crash_file="src/server/game/Loot/Loot.cpp",
        category="double free",
        severity="HIGH",
        summary="Loot that had been cleared was freed again by its destructor.",
        details="Clear freed the items and kept the pointer to them.",
        fix=Edit(
            "src/server/game/Loot/Loot.cpp",
            "    delete[] _items;\n    _count = 0;\n",
            "    delete[] _items;\n    _items = nullptr;\n    _count = 0;\n",
        ),
    ),
    PlantedBug(
        name="late",
        title="crash some time after ready: the deferred login of a bot that is gone",
        function="DeferredLogin::Update",
        crash_file="src/modules/Playerbot/Lifecycle/DeferredLogin.cpp",
        category="null dereference",
        severity="CRITICAL",
        summary="A deferred login was finished for a bot that had logged out.",
        details="FindBot returned null and was not checked. What is deferred outlives a restart, so the server crashed "
        "again the same time after each start.",
        fix=Edit(
            "src/modules/Playerbot/Lifecycle/DeferredLogin.cpp",
            "    bot->SetOnline(true);\n",
            "    if (bot)\n        bot->SetOnline(true);\n",
        ),
    ),
)


def get_bug(name: str) -> PlantedBug:
    """The bug of this name; KeyError for any other."""
    for bug in BUGS:
        if bug.name == name:
            return bug
    raise KeyError(name)


def find_bug_of(functions: list[str]) -> PlantedBug | None:
    """The bug that these frames (innermost first, with or without parameters) are the crash of; None where a bad fix
    is what crashed."""
    names = [frame.split("(")[0].split("[")[0] for frame in functions]
    by_function = {bug.function: bug for bug in BUGS}
    first = next((name for name in names if name in by_function or name in REGRESSIONS), "")
    return by_function.get(first)


def list_edits(bug: PlantedBug, which: FixKind) -> tuple[Edit, ...]:
    """What this kind of fix changes."""
    match which:
        case FixKind.GOOD:
            return (bug.fix,)
        case FixKind.NO_COMPILE:
            return (_without_last_semicolon(bug.fix),)
        case FixKind.CRASH_AT_START:
            return (bug.fix, _START_REGRESSION)
        case FixKind.CRASH_AFTER_READY:
            return (bug.fix, _SOAK_REGRESSION)
        case FixKind.NOT_CURED:
            return (_only_a_comment(bug.fix),)
        case FixKind.OUTSIDE:
            return (Edit("../outside.txt", "", "written by a response\n"),)
        case _:
            assert_never(which)


def response(bug: PlantedBug, request_id: str, which: FixKind = FixKind.GOOD) -> dict[str, object]:
    """An analyst's complete answer to this request, ready to be written as `responses/response_<id>.json`."""
    return {
        "request_id": request_id,
        "timestamp": datetime.now(UTC).isoformat(),
        "status": "completed",
        "confidence": 0.95,
        "crash_analysis": {
            "category": bug.category,
            "severity": bug.severity,
            "crash_location": {
                "file": bug.crash_file,
                "line": _find_line(bug.crash_file, f"{bug.function}("),
                "function": bug.function,
            },
            "root_cause": {"summary": bug.summary, "technical_details": bug.details},
        },
        **_change(list_edits(bug, which)),
    }


def _change(edits: tuple[Edit, ...]) -> dict[str, object]:
    """A file that is not there has no place to search for: it is given whole (shape A of the protocol)."""
    if all(edit.search for edit in edits):
        return {"edits": [asdict(edit) for edit in edits]}
    return {"fix": {"files_modified": [{"path": edit.path, "new_code": edit.replace} for edit in edits]}}


def _without_last_semicolon(fix: Edit) -> Edit:
    before, _, after = fix.replace.rpartition(";")
    return Edit(fix.path, fix.search, before + after)


def _only_a_comment(fix: Edit) -> Edit:
    indent = fix.search[: len(fix.search) - len(fix.search.lstrip(" "))]
    return Edit(fix.path, fix.search, f"{indent}// Looked at, and found as it should be.\n{fix.search}")


def _find_line(path: str, text: str) -> int:
    """The line (from 1) of the first place of the text in a file of the realm as shipped."""
    before, _, _ = (REALM / path).read_text(encoding="utf-8").partition(text)
    return before.count("\n") + 1
