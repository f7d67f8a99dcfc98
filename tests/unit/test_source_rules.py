"""A patch makes the compiler read nothing but the source."""

import pytest

from pipeline import policy
from pipeline.errors import Refused
from pipeline.ports import FileChange, PatchLimits
from pipeline.source_rules import ASSEMBLER, find_reach

OLD = b'#include "Map.h"\n#include <vector>\nvoid f() {}\n'

REACHES = {
    "absolute": ('#include "/etc/shadow"\n', '"/etc/shadow"'),
    "angle": ("#include </etc/shadow>\n", "</etc/shadow>"),
    "drive": ('#include "C:\\secret.txt"\n', '"C:\\secret.txt"'),
    "drive-relative": ('#include "c:secret"\n', '"c:secret"'),
    "share": ('#include "\\\\host\\share\\x"\n', '"\\\\host\\share\\x"'),
    "up": ('#include "../../../etc/x"\n', '"../../../etc/x"'),
    "up-inside": ('#include "a/../../x"\n', '"a/../../x"'),
    "up-backslash": ('#include "..\\..\\x"\n', '"..\\..\\x"'),
    "macro": ("#include SECRET\n", "SECRET"),
    "spaced": ('  #  include   "/etc/x"\n', '"/etc/x"'),
    "commented": ('#/* a */include/* b\n */"/etc/x"\n', '"/etc/x"'),
    "eight-comments": ("#" + "/**/" * 8 + 'include "/etc/x"\n', '"/etc/x"'),
    "continued": ('#inc\\\nlude "/etc\\\n/x"\n', '"/etc/x"'),
    "trigraph": ('??=include "/etc/x"\n', '"/etc/x"'),
    "digraph": ('%:include "/etc/x"\n', '"/etc/x"'),
    "after-a-comment": ('/* x */ #include "/etc/x"\n', '"/etc/x"'),
    "behind-a-string": ('const char* a = "/*";\n#include "/etc/x"\n//*/\n', '"/etc/x"'),
    "next": ("#include_next </etc/x>\n", "</etc/x>"),
    "import": ('#import "/etc/x"\n', '"/etc/x"'),
    "unit": ('export import "/etc/x";\n', '"/etc/x";'),
    "embed": ('char a[] = {\n#embed "/etc/x"\n};\n', '"/etc/x"'),
    "nothing": ("#include\n", ""),
    "nine-comments": ("#" + "/**/" * 9 + 'include "/etc/x"\n', '/**/include "/etc/x"'),
    "comments-behind": ("#include" + "/**/" * 9 + '"/etc/x"\n', '/**/"/etc/x"'),
    "continued-behind-a-form-feed": ('#inc\\\f\nlude "/etc/x"\n', '"/etc/x"'),
    "continued-by-a-return": ('#inc\\\rlude "/etc/x"\n', '"/etc/x"'),
    "hard-space": ('#\u00a0include "/etc/x"\n', '"/etc/x"'),
    "mongolian-space": ('#\u180einclude "/etc/x"\n', '"/etc/x"'),
    "unit-behind-a-comment": ('/**/import/**/"/etc/x";\n', '"/etc/x";'),
    "line": ('#line 1 "/etc/x"\n', 'line 1 "/etc/x"'),
    "line-macro": ("%: line/**/1 F\n", "line/**/1 F"),
    "number": ('# 1 "/etc/x"\n', '1 "/etc/x"'),
    "number-macro": ("/* */ #/**/1/**/F\n", "1/**/F"),
    "number-raw": ('#1R"(/etc/x)"\n', '1R"(/etc/x)"'),
    "number-behind-a-return": ('int x;\r# 1 "/etc/x"\n', '1 "/etc/x"'),
    "asks": ('#if __has_include("/etc/x")\n#error yes\n#endif\n', '"/etc/x")'),
    "asks-by-macro": ("#if __has_include_next /**/ (F)\n#endif\n", "F)"),
    "alias": ('#pragma include_alias("Map.h", "C:\\secret.txt")\n', "include_alias"),
    "library": ('__pragma(comment( lib, "\\\\host\\share\\x.lib"))\n', "comment( lib"),
    "linker": ('#pragma comment(linker, "/DEFAULTLIB:x")\n', "comment(linker"),
    "asm-pasted": ("#define J(a, b) a##b\nJ(as,m)(X);\n", ASSEMBLER),
    "asm-pasted-long": ("J(__as , m__)(X);\n", ASSEMBLER),
    "asm-pasted-at-once": ("#define X a ## sm\n", ASSEMBLER),
    "told-in-parts": ('J(A, M)(".inc" "lude \\"/etc/x\\"");\n', ASSEMBLER),
    "told-in-raw-parts": ('J(A, M)(R"(.inc)" R"(lude "/etc/x")");\n', ASSEMBLER),
    "told-in-escapes": ('J(A, M)("\\x2einclud\\145 \\"/etc/x\\"");\n', ASSEMBLER),
    "told-by-macro": ('J(A, M)("nop\\n.macro x a b\\n.\\\\a\\\\b\\n.endm");\n', ASSEMBLER),
    "asm": ('asm(".inc" "bin \\"/etc/x\\"");\n', ASSEMBLER),
    "asm-underscored": ("__asm__ volatile (X);\n", ASSEMBLER),
    "incbin": ('#define X ".incbin"\n', ASSEMBLER),
}


@pytest.mark.parametrize("name", REACHES)
def test_hostile_patch_that_makes_the_compiler_read_another_file_is_refused(name: str) -> None:
    added, reach = REACHES[name]
    new = OLD + added.encode()
    assert find_reach(new, OLD) == reach
    with pytest.raises(Refused, match=r"^`src/Map\.cpp` would (make the compiler read|hold an assembler)"):
        policy.check_changes([change(OLD, new)], PatchLimits())


FINE = b"""int asm1;
// See #4711 and # 12 for what it was; `#lines` are none.
#if __has_include(<filesystem>) // and #1 "is" said here
#endif
 * #1234 crash
#if 1 && defined X
#ifdef __has_include
#endif
#define NAMES(a, b) a##b
#error 1 "no"
#pragma GCC diagnostic push
comment(library); visit(as, me); plasma(a, small); a, m; f("x" "y.include"); config.include(x); s->incbin2;
import(x); "import this"; f("50 %: 1"); v = arr[0].macro; LOG("# {} items", 1);
"""


def test_what_the_source_has_may_be_included_by_name() -> None:
    new = OLD + b'#include "Maps/Grid.h"\n  # include <optional> // for it\n#pragma once\n#define N "a..b"\n' + FINE
    assert find_reach(new, OLD) is None
    policy.check_changes([change(OLD, new)], PatchLimits())


def test_what_stood_there_before_is_nobodys_fault_and_a_second_one_is() -> None:
    old = OLD + b'#include "../Old.h"\n'
    assert find_reach(old.replace(b"void f", b"void g"), old) is None
    assert find_reach(old + b'#include "../Old.h"\n', old) == '"../Old.h"'


def test_the_refusal_says_what_it_would_read_and_what_may_be() -> None:
    with pytest.raises(Refused) as refusal:
        policy.check_changes([change(OLD, OLD + b'#include "/etc/shadow"\n')], PatchLimits())
    assert str(refusal.value) == (
        '`src/Map.cpp` would make the compiler read `"/etc/shadow"`: a fix may include what the source has, by a name '
        "without `..` and without a macro"
    )


@pytest.mark.parametrize("text", ["#/*", "%:/*#*/", "#include <x>", "# 1", '"\\x2e"'])
def test_hostile_text_costs_no_more_than_its_length(text: str) -> None:
    """What looks from each sign to the end of the file is ended by the time a test may take."""
    assert find_reach(text.encode() * (2_000_000 // len(text)), b"") is None


def change(old: bytes, new: bytes) -> FileChange:
    return FileChange("src/Map.cpp", "100644", "100644", old, new, 1, 0)
