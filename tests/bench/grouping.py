"""How well crashes are grouped: pairs of recorded crashes, same bug or not, beside raw text and the top frame alone.

    python tests/bench/grouping.py [--pairs]      # --pairs lists every wrong pair of groups with its reason

Plays `tests/data/crashes/recorded.json.xz` (made by `python tests/record_crashes.py`): each crash is read as a whole
(output, status, core), and where there is a core also as the log that gdb prints of it. A pair is right where both are
the same bug and have one key, or are not and have two. Goal: precision and recall of at least 0.99 each for the bugs of
the realm, by family and by exact key. The bugs of `MoreBugs.cpp` are there to find the limits; `--pairs` lists what is
wrong then, each with the reason that the recorded stacks show (`recorded.explain`):

- GCC's libsanitizer prints the bare name of a function of an anonymous namespace (`Visit`, `operator()`), without its
  class: nothing in its report has the rest;
- a log of gdb alone does not say what an optimised assertion was called with;
- an optimiser leaves a function out of the stack;
- a caller was renamed.

Whether a name is another function or the same one under another name is in no report, and no fewer callers in the key
would be a cure (with one instead of two the double free is still told apart, and with none it is the family). The
source tells: a realm counts a crash to the known one where the names that differ came and went with the two commits
(`pipeline.renamed_crashes`). So "as counted" plays it with both sources of the recorded builds; "from the report alone"
is what is left where there is no source: such a crash is told of as similar to the known one, with its fix, and for how
many the right bug is named first is printed.
"""

import argparse
import json
import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[2])]

from recorded import KEYS, REALM, Sample, count_in_order, list_renamed, list_wrong, measure, read_samples
from recorded_source import list_sources


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--pairs", action="store_true")
    wanted = options.parse_args()
    samples = read_samples()
    exits = [each for each in samples if not each.log]
    counted = count_in_order(exits, *list_sources())
    sets = {
        "the realm's bugs, as counted": _of_realm(counted),
        "the realm's bugs, from the report alone": _of_realm(exits),
        "all bugs, as counted": counted,
        "all bugs, from the report alone": exits,
        "all bugs, gdb logs too": samples,
    }
    figures = {f"{name}, {which}": measure(chosen, key) for which, chosen in sets.items() for name, key in KEYS.items()}
    print(f"{len(samples)} readings of {len({each.bug for each in samples})} bugs")
    for name, each in figures.items():
        print(f"{name:56} precision {each.precision:.4f}  recall {each.recall:.4f}  {each.groups:4} groups")
    renamed = list_renamed(exits)
    found = sum(each.named == each.bug for each in renamed)
    print(
        f"a caller in the exact key was renamed: {len(renamed)} crashes, the right bug named first as similar: {found}"
    )
    for name in ("family", "exact") if wanted.pairs else ():
        wrong = list_wrong(samples, KEYS[name])
        print(f"\nwrong by {name}: {len(wrong)}", *wrong, sep="\n   ")
    print(json.dumps({name: vars(each) for name, each in figures.items()}))


def _of_realm(samples: list[Sample]) -> list[Sample]:
    return [each for each in samples if each.bug in REALM]


if __name__ == "__main__":
    main()
