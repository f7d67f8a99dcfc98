"""The words for kinds of crashes: one word for one thing, whatever system or tool reports it.

Sources: winnt.h and ntstatus.h (codes), signal(7), sanitizer_common's report names, glibc's malloc.c.
"""

from __future__ import annotations

import re
import signal

from pipeline.model import ExceptionInfo

ACCESS_VIOLATION = "access violation"
ABORT = "abort"
ASSERTION = "assertion"
STACK_OVERFLOW = "stack overflow"
USE_AFTER_FREE = "use after free"
DOUBLE_FREE = "double free"
INVALID_FREE = "invalid free"
HEAP_CORRUPTION = "heap corruption"
STACK_CORRUPTION = "stack corruption"
UNCAUGHT_EXCEPTION = "uncaught exception"
PURE_VIRTUAL = "pure virtual call"
FREEZE = "freeze"
DIVIDE_BY_ZERO = "divide by zero"
ILLEGAL_INSTRUCTION = "illegal instruction"
BUS_ERROR = "bus error"
BREAKPOINT = "breakpoint"
FAST_FAIL = "fast fail"
KILLED = "killed"
OUT_OF_MEMORY = "out of memory"
UNDEFINED_BEHAVIOUR = "undefined behaviour"
ABNORMAL_EXIT = "abnormal exit"
ENVIRONMENT = "environment"
UNREADABLE = "unreadable"  # no class of crash: an artefact that says nothing

# They only say how a process died; whatever says why wins: every assertion of TrinityCore dies by a write to address 0.
HOW = frozenset({ACCESS_VIOLATION, ABORT, BUS_ERROR})
# What a sanitizer sees and a bare machine does not: in a key it is the word of what the machine would have said.
UNSEEN = {USE_AFTER_FREE: ACCESS_VIOLATION}

TRINITY_CODE = 0xC0000420  # ASSERT, ABORT and the freeze detector on Windows
CPP_CODE = 0xE06D7363
GCC_CODE = 0x20474343  # what a program of MinGW throws

WINDOWS: dict[int, tuple[str, str]] = {
    0x40010005: ("CONTROL_C", KILLED),
    0x80000002: ("DATATYPE_MISALIGNMENT", BUS_ERROR),
    0x80000003: ("BREAKPOINT", BREAKPOINT),
    0x80000004: ("SINGLE_STEP", BREAKPOINT),
    0xC0000005: ("ACCESS_VIOLATION", ACCESS_VIOLATION),
    0xC0000006: ("IN_PAGE_ERROR", BUS_ERROR),
    0xC0000017: ("NO_MEMORY", OUT_OF_MEMORY),
    0xC000001D: ("ILLEGAL_INSTRUCTION", ILLEGAL_INSTRUCTION),
    0xC0000025: ("NONCONTINUABLE_EXCEPTION", ABORT),
    0xC000008C: ("ARRAY_BOUNDS_EXCEEDED", ACCESS_VIOLATION),
    0xC000008E: ("FLT_DIVIDE_BY_ZERO", DIVIDE_BY_ZERO),
    0xC0000094: ("INT_DIVIDE_BY_ZERO", DIVIDE_BY_ZERO),
    0xC0000095: ("INT_OVERFLOW", DIVIDE_BY_ZERO),
    0xC0000096: ("PRIV_INSTRUCTION", ILLEGAL_INSTRUCTION),
    0xC00000FD: ("STACK_OVERFLOW", STACK_OVERFLOW),
    0xC0000135: ("DLL_NOT_FOUND", ENVIRONMENT),
    0xC0000139: ("ENTRYPOINT_NOT_FOUND", ENVIRONMENT),
    0xC000013A: ("CONTROL_C_EXIT", KILLED),
    0xC0000142: ("DLL_INIT_FAILED", ENVIRONMENT),
    0xC0000374: ("HEAP_CORRUPTION", HEAP_CORRUPTION),
    0xC0000409: ("STACK_BUFFER_OVERRUN", FAST_FAIL),
    TRINITY_CODE: ("ASSERTION_FAILURE", ASSERTION),
    CPP_CODE: ("Unhandled C++ exception", UNCAUGHT_EXCEPTION),
    GCC_CODE: ("Unhandled C++ exception", UNCAUGHT_EXCEPTION),
}

SIGNALS: dict[str, str] = {
    "SIGSEGV": ACCESS_VIOLATION,
    "SIGBUS": BUS_ERROR,
    "SIGABRT": ABORT,
    "SIGIOT": ABORT,
    "SIGFPE": DIVIDE_BY_ZERO,
    "SIGILL": ILLEGAL_INSTRUCTION,
    "SIGTRAP": BREAKPOINT,
    "SIGSYS": ILLEGAL_INSTRUCTION,
    "SIGKILL": KILLED,
    "SIGXCPU": KILLED,
    "SIGXFSZ": KILLED,
}
# A debugger also stops at these; the program did not crash.
NOT_A_CRASH = frozenset(
    {"SIGCONT", "SIGTERM", "SIGINT", "SIGSTOP", "SIGTSTP", "SIGHUP", "SIGPIPE", "SIGUSR1", "SIGUSR2", "SIGCHLD"}
    | {"SIGWINCH", "SIGALRM", "SIGTTIN", "SIGTTOU", "SIGQUIT"}
)
# Linux's numbers: what `Caught signal {n}` and exit statuses mean, also when read on another system.
LINUX_SIGNALS: dict[int, str] = {
    1: "SIGHUP", 2: "SIGINT", 3: "SIGQUIT", 4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE",
    9: "SIGKILL", 10: "SIGUSR1", 11: "SIGSEGV", 12: "SIGUSR2", 13: "SIGPIPE", 14: "SIGALRM", 15: "SIGTERM",
    24: "SIGXCPU", 25: "SIGXFSZ", 31: "SIGSYS",
}  # fmt: skip

SANITIZER: dict[str, str] = {
    "heap-use-after-free": USE_AFTER_FREE,
    "stack-use-after-return": USE_AFTER_FREE,
    "stack-use-after-scope": USE_AFTER_FREE,
    "attempting double-free": DOUBLE_FREE,
    "double-free": DOUBLE_FREE,
    "attempting free on address which was not malloc()-ed": INVALID_FREE,
    "bad-free": INVALID_FREE,
    "alloc-dealloc-mismatch": INVALID_FREE,
    "SEGV": ACCESS_VIOLATION,
    "access-violation": ACCESS_VIOLATION,
    "BUS": BUS_ERROR,
    "FPE": DIVIDE_BY_ZERO,
    "ILL": ILLEGAL_INSTRUCTION,
    "ABRT": ABORT,
    "stack-overflow": STACK_OVERFLOW,
    "out-of-memory": OUT_OF_MEMORY,
    "allocation-size-too-big": OUT_OF_MEMORY,
    "requested allocation size": OUT_OF_MEMORY,
}

# First match decides.
GLIBC: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), word)
    for pattern, word in (
        (r"double free", DOUBLE_FREE),
        (r"invalid pointer|invalid size \(fast\)|misaligned chunk", INVALID_FREE),
        (r"stack smashing|buffer overflow detected", STACK_CORRUPTION),
        (r"corrupt|invalid|malloc\(\)|realloc\(\)|free\(\)|munmap_chunk|sysmalloc|unaligned", HEAP_CORRUPTION),
    )
)


def classify_glibc(message: str) -> str:
    return next((word for pattern, word in GLIBC if pattern.search(message)), ABORT)


def classify_sanitizer(name: str) -> str:
    """`heap-buffer-overflow` is a word of its own, with spaces."""
    return SANITIZER.get(name) or name.replace("-", " ").lower()


def name_signal(number: int) -> str:
    if number in LINUX_SIGNALS:
        return LINUX_SIGNALS[number]
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def classify_windows(code: int) -> tuple[ExceptionInfo, str]:
    """The code as a report writes it (8 hexadecimal digits), its name, and the class."""
    name, word = WINDOWS.get(code, (None, ABNORMAL_EXIT))
    return ExceptionInfo(f"{code:08X}", name), word
