"""Traps of worldserver.conf. Keys and meanings: TrinityCore's worldserver.conf.dist; AzerothCore's are the same.

A key may be overridden from the environment (`TC_CONSOLE_ENABLE` for `Console.Enable`): SERVER_ENV is looked at too.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from urllib.parse import urlsplit

from bot import realm
from bot.doctor.finding import Finding, fail, ok, warn
from bot.settings import Settings

_LINE = re.compile(r'^\s*([A-Za-z][\w.]*)\s*=\s*(?:"([^"]*)"|([^#"]*?))\s*(?:#.*)?$')
_PREFIXES = ("TC_", "AC_")
# Switch, address, and the address where the file names none.
_BINDINGS = (("Ra.Enable", "Ra.IP", "0.0.0.0"), ("SOAP.Enabled", "SOAP.IP", "127.0.0.1"))  # noqa: S104 - theirs
_LOOPBACK = re.compile(r"127\.\d+\.\d+\.\d+|::1|localhost")


@dataclass(frozen=True)
class Configuration:
    """What a server is configured to do, as far as the file and SERVER_ENV tell."""

    values: Mapping[str, str]
    environment: Mapping[str, str] = field(default_factory=dict)

    def get(self, key: str, default: str) -> str:
        names = (f"{prefix}{name_variable(key)}" for prefix in _PREFIXES)
        overriding = next((self.environment[name] for name in names if name in self.environment), None)
        return self.values.get(key, default) if overriding is None else overriding

    def is_on(self, key: str) -> bool:
        return self.get(key, "0").strip().lower() in ("1", "true", "yes")


def name_variable(key: str) -> str:
    """`Console.Enable` is CONSOLE_ENABLE, `WorldServerPort` WORLD_SERVER_PORT, `SOAP.IP` SOAP_IP."""
    parted = re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", key)
    return re.sub(r"\W+", "_", parted).upper()


def parse(text: str) -> dict[str, str]:
    found = (_LINE.match(line) for line in text.splitlines())
    return {hit[1]: (hit[2] if hit[2] is not None else hit[3]).strip() for hit in found if hit}


def find_file(settings: Settings) -> Path | None:
    """The file that SERVER_COMMAND names, else where the server would look itself."""
    words = settings.server_command
    named = [after for word, after in pairwise(words) if word in ("-c", "--config")]
    named += [word.removeprefix("--config=") for word in words if word.startswith("--config=")]
    usual = ["worldserver.conf", "../etc/worldserver.conf", "etc/worldserver.conf"]
    places = (settings.server_dir / each for each in (*named, *usual))
    return next((each for each in places if each.is_file()), None)


def check_configuration(settings: Settings) -> Iterator[Finding]:
    file = find_file(settings)
    if file is None:
        yield ok("worldserver.conf", "not found: its traps were not looked for")
        return
    try:
        text = file.read_text(encoding="utf-8", errors="replace")
    except OSError as fault:
        yield warn("worldserver.conf", f"{file} cannot be read ({fault.strerror})", "let this user read it")
        return
    found = list(examine(Configuration(parse(text), settings.server_env), settings))
    yield from found or [ok("worldserver.conf", f"{file} has no trap that we know of")]


def logs_folder(settings: Settings) -> Path:
    """Where the server writes its logs, by its own configuration."""
    file = find_file(settings)
    values = parse(file.read_text(encoding="utf-8", errors="replace")) if file is not None else {}
    named = Configuration(values, settings.server_env).get("LogsDir", "").strip()
    return (settings.server_dir / named).resolve()


def examine(configuration: Configuration, settings: Settings, platform: str = sys.platform) -> Iterator[Finding]:
    yield from _examine_input(configuration, platform)
    yield from _examine_port(configuration, settings)
    yield from _examine_consoles(configuration)
    yield from _examine_console_setting(configuration, settings)
    yield from _examine_logs(configuration, settings)
    if configuration.get("MaxCoreStuckTime", "60").strip() == "0":
        yield warn("MaxCoreStuckTime", "0: a server that hangs is never noticed", "set it to 60 in worldserver.conf")


def _examine_input(configuration: Configuration, platform: str) -> Iterator[Finding]:
    """On POSIX the keeper's pipe never ends, so that a console there is harmless."""
    if platform == "win32" and configuration.is_on("Console.Enable"):
        yield warn(
            "Console.Enable",
            "1: started without a window of its own, the server may spin on its console",
            "set it to 0 in worldserver.conf, and use SOAP or RA",
        )


def _examine_port(configuration: Configuration, settings: Settings) -> Iterator[Finding]:
    port = configuration.get("WorldServerPort", "").strip()
    if settings.server_port and port and port != str(settings.server_port):
        yield fail(
            "SERVER_PORT",
            f"is {settings.server_port}, but worldserver.conf says WorldServerPort = {port}: no start would count as "
            "ready",
            f"set SERVER_PORT={port}",
        )


def _examine_consoles(configuration: Configuration) -> Iterator[Finding]:
    for switch, address, default in _BINDINGS:
        bound = configuration.get(address, default).strip()
        if configuration.is_on(switch) and not _LOOPBACK.fullmatch(bound):
            yield warn(
                address,
                f"{bound}: passwords and commands cross the network in plain text",
                f'set {address} = "127.0.0.1" in worldserver.conf',
            )


def _examine_console_setting(configuration: Configuration, settings: Settings) -> Iterator[Finding]:
    address = urlsplit(settings.server_console)
    if address.scheme not in ("soap", "ra"):
        return
    switch, key, default = {
        "soap": ("SOAP.Enabled", "SOAP.Port", "7878"),
        "ra": ("Ra.Enable", "Ra.Port", "3443"),
    }[address.scheme]
    port = configuration.get(key, default).strip()
    if not configuration.is_on(switch):
        yield fail(
            "SERVER_CONSOLE",
            f"names {address.scheme}, but worldserver.conf says {switch} = 0",
            f"set {switch} = 1 there and restart the server",
        )
    elif address.port is not None and port != str(address.port):
        yield fail(
            "SERVER_CONSOLE",
            f"names port {address.port}, but worldserver.conf says {key} = {port}",
            f"set SERVER_CONSOLE={address.scheme}://{address.hostname}:{port}",
        )


def _examine_logs(configuration: Configuration, settings: Settings) -> Iterator[Finding]:
    named = configuration.get("LogsDir", "").strip()
    folder = (settings.server_dir / named).resolve()
    if named and not folder.is_dir():
        yield warn("LogsDir", f"{named} is not there, so the server writes no log at all", f"make the folder {folder}")
        return
    logs = realm.below(settings.server_dir.resolve(), settings.server_logs)
    if not any(each.resolve().parent == folder for each in logs):
        yield warn(
            "SERVER_LOGS", f"none of them lies in LogsDir ({folder})", f"set SERVER_LOGS={folder / 'Server.log'}"
        )
