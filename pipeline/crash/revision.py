"""`TrinityCore rev. 6e01fc26da52+ 2025-11-04 07:00:00 +0100 (master branch) (Win64, RelWithDebInfo, Static)`."""

from __future__ import annotations

import re

from pipeline.model import Revision

# Forks change the product's name; the year 1970 and `unknown` stand for a build without git.
_FULL = re.compile(
    r"rev\. (?P<hash>[0-9a-fA-F]{7,40}|unknown|Archived?)(?P<dirty>\+?)"
    r"(?: (?P<date>\d{4}-\S{1,20} \S{1,20} [+-]\d{4}))?(?: \((?P<branch>[^()\n]{1,200}) branch\))?"
)


def find_revision(text: str) -> Revision | None:
    """The last full version in a text, None where there is none or the build did not know its commit."""
    found = next(iter([*_FULL.finditer(text)][-1:]), None)
    if found is None or not re.fullmatch(r"[0-9a-fA-F]{7,40}", found["hash"]):
        return None
    return Revision(found["hash"].lower(), bool(found["dirty"]), found["date"], found["branch"])
