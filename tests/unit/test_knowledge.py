"""What is known of crashes: the file of ours, and the files of a user's own."""

from dataclasses import replace
from pathlib import Path

import pytest
from artefacts import read_file
from world import World

from pipeline import knowledge
from pipeline.card_models import PostKind
from pipeline.crash.context import first_analysis, suggest
from pipeline.crash.known import LARGEST, find_entry, get_entries, parse_entries, read_own
from pipeline.model import Assertion, CrashReport, ExceptionInfo, Frame, ReportKind

OWN = """\
[[crash]]
name = "the tavern"
class = ["access violation"]
function = 'Tavern::\\w+'
called_by = 'Map::Update'
says = 'SIGSEGV'
cause = "The tavern burns."
cure = "Fetch water."
see = "our wiki"
"""


def crash(*functions: str, category: str = "access violation", says: str = "SIGSEGV") -> CrashReport:
    frames = tuple(map(Frame, functions))
    return CrashReport(ReportKind.CORE, category, ExceptionInfo(says), frames=frames, crashing_frame=0)


def name(report: CrashReport) -> str | None:
    found = find_entry(report)
    return None if found is None else found.name


def asserting(expression: str, function: str = "Unit::Do", message: str | None = None) -> CrashReport:
    said = Assertion("/src/Unit.cpp", 3, function, expression, message)
    return replace(crash("Trinity::Assert", function, category="assertion"), assertion=said, crashing_frame=1)


KNOWN = {
    "bounding hierarchy": crash("raise", category="uncaught exception", says="std::logic_error: invalid node overlap"),
    "bounding hierarchy ": crash("BIH::subdivide", "BIH::buildHierarchy", "DynamicMapTree::balance"),
    "teleport acknowledgement": crash("Spell::HandleMoveTeleportAck", "Player::ResurrectPlayer"),
    "remove list": crash("Map::AddObjectToRemoveList", "WorldSession::LogoutPlayer"),
    "spell modifier": crash("Unit::DealDamage", "Spell::DoAllEffectOnTarget"),
    "socket of a bot": crash("Socket<WorldSocket>::CloseSocket", "WorldSession::KickPlayer"),
    "recursive lock": crash("abort", category="uncaught exception", says="Resource deadlock avoided"),
    "recursive lock ": crash("__gthread_recursive_mutex_lock", "std::recursive_mutex::lock", "Bots::Login"),
    "doubled ghost aura": crash("Unit::_AddAura", "Unit::CastSpell", "Player::BuildPlayerRepop"),
    "event dispatcher": crash("EventDispatcher::UnsubscribeAll", "QuestManager::~QuestManager"),
    "bots on several map threads": crash("PlayerbotAI::UpdateAI", "Map::Update", "MapUpdater::WorkerThread"),
    "object without a map": asserting("m_currMap", "WorldObject::GetMap"),
    "put into a grid twice": asserting("!IsInGrid()", "AddToGrid"),
    "spawn without data": asserting("godata", "LoadHelper", "Tried to load gameobject with spawnId 7, but …"),
    "zone left in its own hook": crash("Map::UpdatePlayerZoneStats", "Player::UpdateZone"),
    "passenger of a vehicle": crash("Vehicle::RemovePassenger", "Unit::_ExitVehicle"),
    "path that runs backwards": asserting("minimal_diff >= 0", "Movement::MoveSpline::_updateState"),
    "movement map": crash("dtNavMeshQuery::findPath", "PathGenerator::BuildPolyPath", category="freeze"),
    "aura removed while it is applied": asserting("!aura->IsRemoved()", "Unit::_CreateAuraApplication"),
    "aura on what is leaving": asserting("!m_cleanupDone", "Unit::_AddAura"),
    "spells that set off each other": crash("Unit::ProcSkillsAndAuras", "Spell::cast", category="stack overflow"),
    "aura that comes back": crash("Unit::RemoveAllAuras", "Map::UnloadAll", category="freeze"),
    "fight that ends while it is walked through": crash("CombatManager::IsInCombatWith", "Map::Update"),
    "group changed by two threads": crash("std::_Rb_tree::find", "Group::GetInvited", "Player::SendUpdate"),
    "packet that is too short": crash("raise", category="uncaught exception", says="ByteBufferPositionException"),
    "prepared statement": asserting("m_mStmt", "MySQLConnection::_Query"),
    "field that is not there": asserting("index < m_valuesCount || PrintIndexError(index, true)"),
    "freeze": crash("World::Update", category="freeze"),
}


@pytest.mark.parametrize(("expected", "report"), KNOWN.items(), ids=KNOWN)
def test_each_crash_that_is_known_is_recognised(expected: str, report: CrashReport) -> None:
    assert name(report) == expected.strip()


def test_every_entry_of_ours_is_recognised_by_one_of_these() -> None:
    assert {entry.name for entry in get_entries()} == {each.strip() for each in KNOWN}
    assert {find_entry(each) for each in KNOWN.values()} == set(get_entries())


@pytest.mark.parametrize(
    "report",
    [
        crash("Tavern::Serve", "Map::Update"),
        crash("PlayerbotAI::UpdateAI", "Map::Update", "WorldUpdateLoop"),  # on the world's own thread
        crash("Spell::cast", "Map::Update"),  # no stack overflow
        replace(crash("BIH::subdivide"), environment=True),
        crash(*("Item::Use",) * 9, "Unit::DealDamage"),  # far out in the stack
        asserting("m_currMapId == mapId"),
        CrashReport(ReportKind.UNKNOWN),
    ],
)
def test_what_only_looks_like_a_known_crash_is_none(report: CrashReport) -> None:
    assert name(report) is None


def test_the_hang_of_trinitycore_is_read_and_known(tmp_path: Path) -> None:
    text = "\n/src/World.cpp:9 in Handler ABORTED:\nWorld Thread hangs for 61000 ms, forcing a crash!\n"
    (tmp_path / "stderr.txt").write_text(text, encoding="utf-8")
    assert name(read_file(tmp_path / "stderr.txt")) == "freeze"


# --- a user's own ----------------------------------------------------------------------------------------------------


def own(folder: Path, **texts: str) -> Path:
    folder.mkdir(exist_ok=True)
    for each, text in texts.items():
        (folder / f"{each}.toml").write_text(text, encoding="utf-8")
    return folder


def test_an_entry_of_a_users_own_is_asked_before_ours(tmp_path: Path) -> None:
    entries, faults = read_own(own(tmp_path / "knowledge", a=OWN.replace("Tavern::", "EventDispatcher::")))
    report = crash("EventDispatcher::UnsubscribeAll", "Map::Update")
    assert faults == ()
    found = find_entry(report, (*entries, *get_entries()))
    assert found is not None
    assert (found.name, found.see) == ("the tavern", "our wiki")
    assert first_analysis(report, entries).summary == (
        "Memory that is not there was read or written in EventDispatcher::UnsubscribeAll: a null or dangling pointer. "
        "The tavern burns."
    )
    assert suggest(report, entries) == ["Fetch water."]


@pytest.mark.parametrize(
    "report",
    [
        crash("Inn::Burn", "Map::Update"),
        crash("Tavern::Burn", "World::Update"),
        crash("Tavern::Burn", "Map::Update", category="abort"),
        crash("Tavern::Burn", "Map::Update", says="SIGBUS"),
    ],
    ids=["function", "called_by", "class", "says"],
)
def test_all_conditions_of_an_entry_must_hold(tmp_path: Path, report: CrashReport) -> None:
    entries = parse_entries(OWN, "a.toml")
    assert find_entry(crash("Tavern::Burn", "Map::Update"), entries) == entries[0]
    assert find_entry(report, entries) is None


FAULTS = {
    "name = ": "is no TOML: Invalid value (at end of document)",
    "crash = 1": ": it holds entries that begin with `[[crash]]`, and nothing else",
    "[[bug]]": ": it holds entries that begin with `[[crash]]`, and nothing else",
    "crash = [1]": ": entry 1 is no table: it begins with `[[crash]]`",
    "[[crash]]\ncolour = 'red'": (
        ": entry 1: `colour` is none of `name`, `cause`, `cure`, `see`, `class`, `function`, `called_by`, `says`"
    ),
    "[[crash]]\nname = 'x'\ncure = 'z'": ": entry 1 has no `cause`",
    "[[crash]]\nname = 3": ": entry 1: `name` is a text in quotation marks",
    "[[crash]]\nname = ' '": ": entry 1: `name` is a text in quotation marks",
    "[[crash]]\nname = 'x'\ncause = 'y'\ncure = 'z'": (
        ": entry 1 (`x`) fits every crash: it needs `class`, `function`, `called_by` or `says`"
    ),
    "[[crash]]\nname = 'x'\ncause = 'y'\ncure = 'z'\nsays = '('": (
        ": entry 1 (`x`): `says` is no regular expression: missing ), unterminated subpattern at position 0"
    ),
    "[[crash]]\nname = 'x'\ncause = 'y'\ncure = 'z'\nclass = 'abort'": (
        ': entry 1 (`x`): `class` is a list of words, such as ["access violation", "abort"]'
    ),
}


@pytest.mark.parametrize(("text", "words"), FAULTS.items(), ids=range(len(FAULTS)))
def test_a_file_with_a_fault_is_left_out_and_named_and_the_others_hold(tmp_path: Path, text: str, words: str) -> None:
    folder = own(tmp_path / "knowledge", a=text, b=OWN)
    entries, faults = read_own(folder)
    assert [each.name for each in entries] == ["the tavern"]
    gap = " " if words.startswith("is no TOML") else ""
    assert faults == (f"{folder / 'a.toml'}{gap}{words}",)


def test_a_file_without_end_is_not_read_into_memory(tmp_path: Path) -> None:
    folder = own(tmp_path / "knowledge", a="#" * (LARGEST + 1))
    assert read_own(folder) == ((), (f"{folder / 'a.toml'} is larger than 1 MiB",))


def test_a_file_that_windows_wrote_is_read(tmp_path: Path) -> None:
    folder = own(tmp_path / "knowledge")
    (folder / "a.toml").write_bytes(b"\xef\xbb\xbf" + OWN.replace("\n", "\r\n").encode())
    assert read_own(folder)[0] == parse_entries(OWN, "a.toml")


@pytest.mark.parametrize("other", ["a.txt", "a.toml.bak"])
def test_other_files_and_a_folder_that_is_not_there_are_nothing(tmp_path: Path, other: str) -> None:
    assert read_own(tmp_path / "knowledge") == ((), ())
    (own(tmp_path / "knowledge") / other).write_text(OWN, encoding="utf-8")
    (tmp_path / "knowledge" / "b.toml").mkdir()
    assert read_own(tmp_path / "knowledge") == ((), ())


# --- while the bot runs ----------------------------------------------------------------------------------------------

MAP = """\
[[crash]]
name = "our map"
function = 'Map::Update'
cause = "It is hunter2."
cure = "Ask Ann."
"""


async def test_what_a_user_knows_is_told_of_the_next_crash_and_to_the_analyst_without_secrets(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    own(tmp_path / "knowledge", ours=MAP)
    run = await world.crash("Map::Update")
    (post,) = [each for each in world.posts() if each.kind is PostKind.BACKTRACE]
    said = "Memory that is not there was read or written in Map::Update at src/Map.cpp:132: a null or dangling pointer."
    assert post.data["hypothesis"] == f"{said} It is ***."
    request = world.analyst.requests[run.request_id or ""]
    crashed = request["crash"]
    assert (crashed["root_cause_hypothesis"], crashed["fix_suggestions"]) == (f"{said} It is ***.", ["Ask Ann."])
    world.engine.dispose()


async def test_a_file_that_cannot_be_used_is_said_until_it_is_mended(tmp_path: Path) -> None:
    world = await World(tmp_path).start()
    folder = own(tmp_path / "knowledge", ours="[[crash]]\n")
    await world.crash("Map::Update")
    assert world.tools.degraded == {
        "knowledge": f"what you know of crashes cannot all be used: {folder / 'ours.toml'}: entry 1 has no `name`"
    }
    own(folder, ours=MAP)
    assert knowledge.list_entries(world.tools)[0].name == "our map"
    assert world.tools.degraded == {}
    world.engine.dispose()
