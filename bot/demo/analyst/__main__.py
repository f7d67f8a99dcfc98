"""`python -m bot.demo.analyst REQUEST RESPONSE WORKTREE`: reads the request and the source, writes the response."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bot.demo.analyst.answer import answer
from bot.demo.analyst.case import Case
from bot.demo.analyst.request import read_request
from bot.demo.analyst.tree import SourceTree


def main(arguments: list[str]) -> int:
    if len(arguments) != 3:
        sys.stderr.write(f"{__doc__}\n")
        return 2
    request, response, worktree = map(Path, arguments)
    case = Case(read_request(json.loads(request.read_text(encoding="utf-8"))), SourceTree(worktree))
    response.write_text(json.dumps(answer(case)), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
