"""The stacks of the sample realm's planted bugs, as gdb gives them, and the requests about them.

Lines are found by what stands in them, so that they are right wherever it moves to.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

CORE, GAME, BOTS = "src/modules/Playerbot/Core", "src/server/game", "src/modules/Playerbot"
CHAIN = (f"{BOTS}/Group/FollowChain.cpp", "DescribeFollowChain", "DescribeFollowChain(leader)")
SUBDIVIDE = "src/common/Collision/BoundingIntervalHierarchy.cpp"
ERRORS = "src/common/Debugging/Errors.cpp"
ABORTED = (
    (ERRORS, "Trinity::AbortHandler", "Tell(text);"),
    "<signal handler called>",
    "__GI_raise at ../sysdeps/posix/raise.c:26",
    "__GI_abort at ./stdlib/abort.c:79",
)
UPDATED = (
    (f"{BOTS}/Debug/PlantedBugs.cpp", "PlantedBugs::Update", "pending.Trigger();"),
    (f"{GAME}/World/World.cpp", "World::Update", "sPlantedBugs->Update(diff);"),
)
MAIN = ("src/server/worldserver/Main.cpp", "(anonymous namespace)::WorldUpdateLoop", "sWorld->Update(")

Frame = tuple[str, str, str] | str  # file, function, what stands in the line; or one of somebody else's

# category, what the exception says, the stack
CRASHES: dict[str, tuple[str, str, tuple[Frame, ...]]] = {
    "dispatcher": (
        "ACCESS_VIOLATION",
        "SIGSEGV",
        (
            (f"{CORE}/EventDispatcher.cpp", "EventDispatcher::UnsubscribeAll", "_subscribers.erase("),
            (f"{CORE}/QuestManager.cpp", "QuestManager::~QuestManager", "UnsubscribeAll(this)"),
            "std::default_delete<QuestManager>::operator() at /usr/include/c++/12/bits/unique_ptr.h:89",
            (f"{CORE}/GameSystemsManager.cpp", "GameSystemsManager::~GameSystemsManager", "_eventDispatcher.reset();"),
            (f"{BOTS}/PlayerbotMgr.cpp", "BotAI::~BotAI", "_player.SetOnline(false);"),
            (f"{BOTS}/PlayerbotMgr.cpp", "PlayerbotMgr::LogoutBot", "std::remove_if("),
        ),
    ),
    "aura": (
        "ACCESS_VIOLATION",
        "SIGSEGV",
        (
            (f"{GAME}/Entities/UnitAuras.cpp", "Unit::UpdateAuras", "aura->Update(this, diff);"),
            (f"{BOTS}/PlayerbotMgr.cpp", "BotAI::Update", "_player.UpdateAuras(diff);"),
        ),
    ),
    "assert": (
        "ASSERTION",
        "ASSERTION FAILED: HasEffect(effIndex) == (!apply)",
        (
            (ERRORS, "Trinity::Assert", "Crash(text);"),
            (f"{GAME}/Spells/Auras/AuraApplication.cpp", "AuraApplication::_HandleEffect", "HasEffect(effIndex) =="),
            (f"{GAME}/Spells/Auras/AuraApplication.cpp", "AuraApplication::UpdateApplyEffectMask", "_HandleEffect(i,"),
        ),
    ),
    "bih": (
        "UNCAUGHT_EXCEPTION",
        "std::logic_error: invalid node overlap",
        (
            *ABORTED,
            "__cxa_throw",
            (SUBDIVIDE, "BIH::subdivide", "throw std::logic_error"),
            (SUBDIVIDE, "BIH::subdivide", "subdivide(middle, right, rightGrid"),
            (f"{GAME}/Maps/MapLoading.cpp", "Map::InsertGameObjectModels", "_tree.build(_models);"),
        ),
    ),
    "freeze": (
        "FREEZE",
        "freeze: World Thread hangs for 5043 ms, forcing a crash!",
        ((f"{GAME}/Maps/Map.cpp", "Map::Update", "++_visited;"),),
    ),
    "recursion": ("STACK_OVERFLOW", "SIGSEGV", (CHAIN,) * 40),
    "doublefree": (
        "DOUBLE_FREE",
        "free(): double free detected in tcache 2",
        (
            *ABORTED,
            "_int_free at ./malloc/malloc.c:4469",
            (f"{GAME}/Loot/Loot.cpp", "Loot::~Loot", "delete[] _items;"),
        ),
    ),
    "late": (
        "ACCESS_VIOLATION",
        "SIGSEGV",
        (
            (f"{GAME}/Entities/Unit.h", "Player::SetOnline", "void SetOnline("),
            (f"{BOTS}/Lifecycle/DeferredLogin.cpp", "DeferredLogin::Update", "bot->SetOnline(true);"),
        ),
    ),
}


def ask(name: str, root: Path) -> dict[str, Any]:
    """The request about a planted bug's crash, of the realm in that folder."""
    category, said, stack = CRASHES[name]
    return compose(category, [spell(frame, root) for frame in (*stack, *UPDATED, MAIN)], said)


def compose(category: str, stack: list[str], said: str = "SIGSEGV") -> dict[str, Any]:
    """A request with what an analyst needs of it; DESIGN.md's file protocol has the rest."""
    crash = {"crash_category": category, "error_message": said, "call_stack": stack}
    return {"request_id": "9f3c", "crash": crash}


def spell(frame: Frame, root: Path) -> str:
    if isinstance(frame, str):
        return frame
    file, function, what = frame
    lines = (root / file).read_text(encoding="utf-8").splitlines()
    return f"{function} at {file}:{next(i for i, line in enumerate(lines, 1) if what in line)}"
