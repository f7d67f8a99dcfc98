"""Every setting against the world: what will not work, and how to mend it.

    check(settings)             list[Finding], in the order of CHECKS; waits for nothing longer than a minute
    render(findings)            the text for people

It only looks: nothing is written but a temporary file in the state folder, and nothing of the user's is run but git,
cmake and compilers' `--version`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor

from bot.doctor import (
    analysts,
    builds,
    channel,
    configuration,
    database,
    folders,
    machine,
    ports,
    scripts,
    servers,
    sources,
)
from bot.doctor.finding import Finding, Level, fail
from bot.settings import Settings
from pipeline.redact import Redactor

__all__ = ["Finding", "Level", "check", "render"]

Check = Callable[[Settings], Iterable[Finding]]

# In the order in which an operator would mend them: what the start needs, then what a fix needs, then what people see.
CHECKS: tuple[Check, ...] = (
    folders.check_state,
    folders.check_server_dir,
    folders.check_disk,
    folders.check_room,
    database.check_database,
    servers.check_program,
    scripts.check_script,
    servers.check_logs,
    servers.check_revision,
    configuration.check_configuration,
    ports.check_world_port,
    servers.check_console,
    machine.check_supervisors,
    machine.check_cores,
    machine.check_debugger,
    sources.check_source,
    builds.check_tools,
    builds.check_folders,
    builds.check_target,
    analysts.check_analyst,
)
WITH_DISCORD: tuple[Check, ...] = (channel.check_channel,)
WITH_SANDBOX: tuple[Check, ...] = (ports.check_sandbox_port,)
_AT_ONCE = 6


def check(settings: Settings, *, sandbox: bool = False) -> list[Finding]:
    """Everything that was found; no secret is in it."""
    checks = (*CHECKS, *(WITH_SANDBOX if sandbox else WITH_DISCORD))
    with ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="doctor") as pool:
        found = [finding for part in pool.map(lambda each: _run(each, settings), checks) for finding in part]
    redact = Redactor(settings.secrets())
    return [dataclasses.replace(each, what=redact(each.what), cure=redact(each.cure)) for each in found]


def _run(each: Check, settings: Settings) -> list[Finding]:
    """A check that breaks hides no other one."""
    try:
        return list(each(settings))
    except Exception as fault:
        name = each.__name__.removeprefix("check_").replace("_", " ")
        words = f"could not be checked ({type(fault).__name__}: {fault})"
        return [fail(name, words, "this is a fault of spirit-healer: please report it")]


_MARKS = {Level.OK: "  ok  ", Level.WARN: " warn ", Level.FAIL: " FAIL "}


def render(findings: list[Finding]) -> str:
    """One line for each, its cure below it; the sum at the end."""
    lines: list[str] = []
    for each in findings:
        lines.append(f"[{_MARKS[each.level]}] {each.name}: {each.what}")
        if each.cure:
            lines.append(f"         -> {each.cure}")
    return "\n".join([*lines, "", _sum_up(findings)])


def _sum_up(findings: list[Finding]) -> str:
    fails = sum(each.level is Level.FAIL for each in findings)
    warns = sum(each.level is Level.WARN for each in findings)
    if not fails and not warns:
        return "All is well."
    return f"{fails} to mend before the start, {warns} to look at."
