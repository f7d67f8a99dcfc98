"""The example analyst: a small program for `ANALYST_COMMAND` that reads a request and the source, and nothing else.

    ANALYST_COMMAND=python -m bot.demo.analyst {request} {response} {worktree}

It knows no crash by name. It looks at the functions of the stack, and has one rule for each mistake that it can tell
from the text alone (`rules.py` lists them). Where no rule fits it says so, with what it looked at. It stands here to
show what an analyst has to do, and so that the demo heals itself; for a realm of your own take one that understands
code. It imports the standard library alone, so that it can be copied and begun from.
"""
