"""One key for one bug: names, frames that count, and what a key is made of."""

import random
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.crash.names import bare_name, drop_parameters, normalise
from pipeline.crash.rules import get_rules, read_lists
from pipeline.crash.signatures import VERSION, find_interest, name_frame, sign_assertion, sign_stack, sign_text
from pipeline.crash.similar import rate_likeness
from pipeline.model import Assertion, Frame, Signature

SAME_FUNCTION = {
    "Game::Map::Update": (
        "Game::Map::Update(unsigned int)",
        "Game::Map::Update+1F",
        "Game::Map::Update+0x42",
        "[inline] Game::Map::Update",
        "Game::Map::Update(unsigned int) [clone .cold]",
        "Game::Map::Update(unsigned int) const",
        "Game::Map::Update.isra.0",
        "Game::Map::Update.constprop.0.cold",
        "Game::Map::Update@plt",
        "void Game::Map::Update<int>(std::vector<int, std::allocator<int> > const&)",
        "public: virtual void __cdecl Game::Map::Update(unsigned int)const __ptr64",
        "non-virtual thunk to Game::Map::Update(unsigned int)",
        "[thunk]:public: virtual void __cdecl Game::Map::Update`adjustor{16}' (unsigned int)",
        "(anonymous namespace)::Game::Map::Update(unsigned int)",
        "`anonymous namespace'::Game::Map::Update",
        "`anonymous namespace`::Game::Map::Update",
        "anonymous namespace::Game::Map::Update(unsigned int)",
        "Game::{anonymous}::Map::Update",
        "Game::Map::Update[abi:cxx11](int)",
        "_ZN4Game3Map6UpdateEj",
        "_ZNK4Game3Map6UpdateEv",
        "?Update@Map@Game@@QEAAXI@Z",
        # lambdas are named by the function they are written in
        "Game::Map::Update(unsigned int)::{lambda(int)#1}::operator()(int) const",
        "Game::Map::Update(unsigned int)::<lambda(int)>::operator()(int) const",
        "Game::Map::Update(unsigned int)::$_0::operator()(int) const",
        "Game::Map::Update(unsigned int)::'lambda'(int)::operator()(int) const",
        "Game::Map::Update::__l2::<lambda_1>::operator()",
        "`Game::Map::Update'::`2'::<lambda_1>::operator()",
        "`Game::Map::Update'::`1'::dtor$0",
    ),
    "Loot::~Loot": (
        "Loot::~Loot()",
        "Loot::`scalar deleting destructor'",
        "Loot::`vector deleting destructor'",
        "[thunk]:public: virtual void * __cdecl Loot::`scalar deleting destructor'`adjustor{16}' (unsigned int)",
        "_ZN4LootD0Ev",
        "??1Loot@@UEAA@XZ",
    ),
    "Foo::operator<": ("Foo::operator<(Foo const&) const", "Foo::operator< <int>(int)", "bool Foo::operator<"),
    "Foo::operator()": ("Foo::operator()(int) const", "void Foo::operator()<int>(int)"),
    "Foo::operator bool": ("Foo::operator bool() const",),
    "Foo::operator->": ("Foo::operator->() const", "Foo::operator->+1F"),
    "operator new[]": ("operator new[](unsigned long)", "operator new [](unsigned __int64)"),
    "free": ("__interceptor_free", "___interceptor_free", "free(void*)", "__GI_free"),
    "memcpy": ("memcpy@@GLIBC_2.14", "memcpy@plt"),
    "std::basic_string::append": ("std::__cxx11::basic_string<char, std::char_traits<char> >::append(char const*)",),
}


@pytest.mark.parametrize(
    ("spelling", "name"), [(spelling, name) for name, all_of_them in SAME_FUNCTION.items() for spelling in all_of_them]
)
def test_every_spelling_of_a_function_is_one_name(spelling: str, name: str) -> None:
    assert normalise(spelling) == name
    assert normalise(name) == name


@pytest.mark.parametrize(
    "nameless", ["??", "", "operator()", "<lambda_0123456789abcdef>::operator()", "{lambda()#1}", "  "]
)
def test_a_function_without_a_name_has_none(nameless: str) -> None:
    assert normalise(nameless) is None


def test_the_bare_name_is_what_gcc_calls_the_function() -> None:
    assert bare_name("AuraApplication::_HandleEffect") == "_HandleEffect"
    assert bare_name("Foo::operator bool") == "operator bool"


def test_parameters_go_and_template_arguments_stay_where_a_person_reads_the_frame() -> None:
    full = "void Waypoint<Creature>::Update<int>(Creature*, unsigned int) const"
    assert drop_parameters(full) == "Waypoint<Creature>::Update<int>"
    assert drop_parameters("main(int, char**)::<lambda()>::operator()") == "main::<lambda()>::operator()"
    assert drop_parameters("Chain[abi:cxx11](Player const*)") == "Chain"
    assert drop_parameters("(anonymous namespace)::Spin()") == "(anonymous namespace)::Spin"
    assert drop_parameters("int `anonymous namespace'::Spin(int)") == "`anonymous namespace'::Spin"
    assert drop_parameters("int anonymous namespace::Spin(int)") == "anonymous namespace::Spin"


def frames(*functions: str) -> tuple[Frame, ...]:
    return tuple(Frame(function) for function in functions)


def sign(word: str, *functions: str) -> Signature:
    stack = frames(*functions)
    return sign_stack(word, stack, find_interest(stack, get_rules()))


def test_a_key_names_the_class_and_the_programs_own_functions() -> None:
    signature = sign("access violation", "Spell::Cast", "std::for_each<int>", "Player::Update", "Map::Update", "main")
    assert signature == Signature(
        "access violation | Spell::Cast", "access violation | Spell::Cast | Player::Update | Map::Update", VERSION
    )


def test_what_dying_adds_to_a_stack_is_not_what_crashed() -> None:
    on_linux = sign(
        "uncaught exception",
        *("Trinity::AbortHandler", "<signal handler called>", "__pthread_kill_implementation", "raise", "abort"),
        *("__gnu_cxx::__verbose_terminate_handler", "std::terminate", "__cxa_throw", "std::__throw_logic_error"),
        *("BIH::subdivide", "BIH::build", "main"),
    )
    on_windows = sign(
        "uncaught exception",
        *("RaiseException+69", "_CxxThrowException+AD", "std::_Xlogic_error+10", "BIH::subdivide+1A", "BIH::build+20"),
        *("main+5", "invoke_main+22", "BaseThreadInitThunk+14", "RtlUserThreadStart+21"),
    )
    assert on_linux == on_windows
    assert on_linux.exact == "uncaught exception | BIH::subdivide | BIH::build | main"


@pytest.mark.parametrize(
    "foreign",
    [
        Frame("memcpy", module="/lib/x86_64-linux-gnu/libc.so.6"),
        Frame("do_something", "./nptl/pthread_create.c", 442),
        Frame("strlen"),
        Frame("__memmove_avx_unaligned_erms"),
        Frame("_int_malloc"),
        Frame("std::_Rb_tree_insert_and_rebalance"),
        Frame("operator delete", "../../../../src/libsanitizer/asan/asan_new_delete.cpp", 160),
        Frame("__interceptor_memcpy"),
        Frame("NtWaitForSingleObject+14"),
        Frame("RtlFreeHeap"),
        Frame(None, module="C:\\Windows\\System32\\ntdll.dll", offset="9f23"),
        Frame(None, module="libmysql.dll", offset="1f"),
        Frame("boost::asio::detail::win_iocp_io_context::do_one"),
        Frame("_M_run", "/usr/include/c++/12/bits/std_thread.h", 210),
        Frame("??"),
        Frame(None),
    ],
)
def test_frames_of_libraries_and_systems_are_not_the_programs_own(foreign: Frame) -> None:
    assert not get_rules().is_own(foreign)


@pytest.mark.parametrize(
    "own",
    [
        Frame("Map::Update"),
        Frame("KillPlayer"),
        Frame("Game::Map::Update", "/usr/include/c++/12/bits/unique_ptr.h", 191),  # an inlined header's line
        Frame("RunTest", "C:\\src\\Test.cpp", 3),
        Frame(None, module="C:\\Srv\\worldserver.exe", offset="6d062a"),
        Frame("main"),
    ],
)
def test_frames_of_the_program_are_its_own(own: Frame) -> None:
    assert get_rules().is_own(own)


def test_a_crash_inside_a_library_alone_is_named_by_the_library() -> None:
    assert sign("access violation", "std::_Rb_tree_insert_and_rebalance").family == (
        "access violation | std::_Rb_tree_insert_and_rebalance"
    )


def test_recursion_counts_once() -> None:
    once = sign("access violation", "Apply", "Cast", "Map::Update")
    assert sign("access violation", "Apply", "Cast", "Cast", "Cast", "Map::Update") == once


def test_a_stack_overflow_is_the_circle_wherever_the_stack_ran_out() -> None:
    circle = ["Follow", "Describe", "Name"]
    keys = {sign("stack overflow", *(circle[start:] + circle * 5)).exact for start in range(3)}
    keys.add(sign("stack overflow", "Leaf", *(circle * 5)).exact)
    assert keys == {"stack overflow | Describe | Name | Follow"}


def test_plumbing_does_not_name_a_crash() -> None:
    signature = sign("access violation", "LinkedListElement::delink", "Unit::RemoveAura", "Unit::Update", "Map::Update")
    assert signature.family == "access violation | Unit::RemoveAura"
    assert signature.exact == (
        "access violation | LinkedListElement::delink | Unit::RemoveAura | Unit::Update | Map::Update"
    )


def test_without_symbols_the_key_is_module_and_offset() -> None:
    assert name_frame(Frame(None, module="C:\\Srv\\worldserver.exe", offset="00000000006D062A")) == "worldserver+6d062a"
    stack = (
        Frame(None, module="worldserver.exe", offset="6d062a"),
        Frame(None, module="worldserver.exe", offset="7ce0e1"),
    )
    other = (Frame(None, module="worldserver.exe", offset="6d062b"), stack[1])
    rules = get_rules()
    signature = sign_stack("access violation", stack, find_interest(stack, rules))
    assert signature.exact == "access violation | worldserver+6d062a | worldserver+7ce0e1"
    assert signature != sign_stack("access violation", other, find_interest(other, rules))


def test_an_assertion_is_its_function_and_expression() -> None:
    assertion = Assertion("/src/A.cpp", 168, "_HandleEffect", "HasEffect(effIndex) ==   (!apply)", None)
    assert sign_assertion(assertion, "AuraApplication::_HandleEffect").exact == (
        "assertion | AuraApplication::_HandleEffect | HasEffect(effIndex) == (!apply)"
    )
    moved = Assertion(
        "C:\\other\\A.cpp", 170, "AuraApplication::_HandleEffect", "HasEffect(effIndex) == (!apply)", None
    )
    assert sign_assertion(moved, None) == sign_assertion(assertion, "AuraApplication::_HandleEffect")


def test_a_text_without_a_stack_is_a_key_without_its_numbers() -> None:
    one = sign_text("uncaught exception", "std::runtime_error | no map 5310 at 0x7ffe12")
    assert one == sign_text("uncaught exception", "std::runtime_error | no map 5299 at 0x55aa00")


def test_the_frame_that_an_assertion_names_is_the_frame_of_interest() -> None:
    stack = (
        Frame("SomeWrapper", "/src/Wrapper.cpp", 3),
        Frame("Aura::Check", "/src/Aura.cpp", 9),
        Frame("Map::Update", "/src/Map.cpp", 1),
    )
    assertion = Assertion("/build/src/Aura.cpp", 9, "Check", "x", None)
    assert find_interest(stack, get_rules(), assertion=assertion).frame == 1


def test_lists_of_a_user_are_added_to_ours(tmp_path: Path) -> None:
    (tmp_path / "irrelevant.txt").write_text("# ours\nMyLogger::.*\n", encoding="utf-8")
    extended = get_rules(read_lists(tmp_path))
    assert get_rules().is_own(Frame("MyLogger::Write"))
    assert not extended.is_own(Frame("MyLogger::Write"))
    assert not extended.is_own(Frame("memcpy"))


@given(st.text(max_size=400) | st.text(alphabet="<>(){}[]:~`'operatlmbd_$&* ,0", max_size=400))
def test_no_name_raises(name: str) -> None:
    once = normalise(name)
    drop_parameters(name)
    assert once is None or isinstance(once, str)


def test_names_of_any_length_are_read_in_linear_time() -> None:
    chance = random.Random(7)
    for alphabet in ("<", "(", "::operator<", ".cold", "`", "[clone ", "a::", "<lambda", "thunk to "):
        name = alphabet * 20_000
        assert len(normalise(name) or "") <= 300
    assert len(normalise("".join(chance.choice("<>():ab ") for _ in range(100_000))) or "") <= 300


def _likeness(one: str, other: str, version: int = 1) -> int:
    signatures = [Signature(" | ".join(each.split(" | ")[:2]), each, version) for each in (one, other)]
    return rate_likeness(signatures[0], replace(signatures[1], version=1), lambda name: name == "World::Update")


DIED = "access violation | Spell::Cast | Unit::Hit | Map::Visit"


def test_a_crash_is_like_one_that_died_in_the_same_function_or_came_the_same_way() -> None:
    assert _likeness(DIED, "assertion | Spell::Cast | caster") == 11
    assert _likeness(DIED, "double free | Spell::Cast | Unit::Hit") == 12
    assert _likeness(DIED, "access violation | Pet::Die | Unit::Hit | Map::Visit") == 2
    assert _likeness("assertion | Pet::Die | owner", "assertion | Pet::Die | caster") == 11


def test_what_every_crash_has_in_common_is_no_likeness_nor_is_a_crash_like_itself() -> None:
    assert _likeness(DIED, "access violation | Pet::Die | Unit::Hit") == 0
    assert _likeness("freeze | World::Update", "abort | World::Update | main") == 0
    assert _likeness("abort | A | World::Update | main", "abort | B | World::Update | main") == 0
    assert _likeness("assertion | A | owner", "assertion | B | owner") == 0
    assert _likeness(DIED, DIED) == 0
    assert _likeness(DIED, "abort | Spell::Cast | Unit::Hit", version=2) == 0
    assert _likeness("abort", "freeze") == 0
