"""The settings: frozen, validated once. The environment wins over `.env` in the working folder.

Names and meanings are the contract with the user; `.env.example` lists them all and a test holds the two together.
`load` answers with settings or raises `SettingsError`, one line per fault: the setting's name, the fault and the cure.
"""

from __future__ import annotations

import difflib
import os
import re
import shlex
import sys
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, time, timedelta, tzinfo
from pathlib import Path
from typing import Annotated, Any, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from dotenv import dotenv_values
from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict

from bot.faults import SettingsError, list_faults
from bot.places import QUEUE, Chosen, list_overlaps
from pipeline.model import Approval

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
LONGEST = timedelta(days=365)  # of a duration: beyond it no moment can be counted any more
SHORTEST = timedelta(seconds=10)  # of a limit whose end breaks off what it limits
MOST = 1 << 60  # bytes
_ENDLESS = "is longer than a year: write it as 90s, 2m or 1h30m"
_HUGE = "is larger than any disk: write it as 5G or 500M"
_DURATION = re.compile(r"(?:\d+(?:\.\d+)?[smhd])+")
_SIZES = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


def read_duration(text: Any) -> Any:
    """`90s`, `2m`, `1h30m`; a bare number is seconds."""
    if not isinstance(text, str):
        return text
    words = text.strip().lower().replace(" ", "")
    if re.fullmatch(r"\d+(\.\d+)?", words):
        words += "s"
    if not _DURATION.fullmatch(words):
        raise ValueError("is not a duration: write it as 90s, 2m or 1h30m")
    parts = re.findall(r"(\d+(?:\.\d+)?)([smhd])", words)
    try:
        return timedelta(seconds=sum(float(number) * UNITS[unit] for number, unit in parts))
    except OverflowError as fault:
        raise ValueError(_ENDLESS) from fault


def bound_duration(duration: timedelta) -> timedelta:
    if duration > LONGEST:
        raise ValueError(_ENDLESS)
    return duration


def bound_limit(duration: timedelta) -> timedelta:
    """Time that somebody is given: none of it ends a server in the midst of saving, or a build that is good."""
    if duration < SHORTEST:
        raise ValueError(
            f"is too short, whatever it limits would be broken off at once: give at least {SHORTEST.seconds}s"
        )
    return duration


def read_size(text: Any) -> Any:
    """`5G`, `500M`; a bare number is bytes."""
    if not isinstance(text, str):
        return text
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([kmgt]?)(?:i?b)?", text.strip().lower())
    if found is None:
        raise ValueError("is not a size: write it as 5G or 500M")
    bytes_ = float(found[1]) * _SIZES[found[2]]
    if bytes_ > MOST:
        raise ValueError(_HUGE)
    return int(bytes_)


def read_id(text: Any) -> Any:
    """Of a guild, a channel, a role or a person."""
    if isinstance(text, str) and not re.fullmatch(r"[0-9]{1,20}", text.strip()):
        raise ValueError("is no id of Discord: give the number alone, as docs/discord.md tells where to find it")
    return text


def split_words(text: Any, windows: bool = sys.platform == "win32") -> Any:
    """As a shell would; on Windows a backslash is part of a path."""
    if not isinstance(text, str):
        return text
    reader = shlex.shlex(text, posix=True, punctuation_chars=False)
    reader.whitespace_split = True
    reader.commenters = ""
    if windows:
        reader.escape = ""
    try:
        return tuple(reader)
    except ValueError as fault:
        raise ValueError(f"cannot be split into words ({fault}): look at its quotes") from fault


def split_commas(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return tuple(part for part in (each.strip() for each in text.split(",")) if part)


def read_pairs(text: Any) -> Any:
    """`NAME=value` words."""
    if not isinstance(text, str):
        return text
    pairs = [word.partition("=") for word in split_words(text)]
    wrong = [place for place, (name, equals, _) in enumerate(pairs, 1) if not equals or not name]
    if wrong:  # the word itself may be half of a secret
        raise ValueError(f"is not a list of NAME=value: look at word {wrong[0]}, and quote what holds a space")
    return {name: value for name, _, value in pairs}


def read_hours(text: Any) -> Any:
    """`18:00-23:30, 06:00-07:00`."""
    if not isinstance(text, str):
        return text
    try:
        spans = [tuple(time.fromisoformat(edge.strip()) for edge in part.split("-")) for part in split_commas(text)]
    except ValueError as fault:
        raise ValueError("is not a list of hours: write it as 18:00-23:30, 06:00-07:00") from fault
    if any(len(span) != 2 for span in spans):
        raise ValueError("is not a list of hours: write it as 18:00-23:30, 06:00-07:00")
    return tuple(tuple(refuse_zone(edge) for edge in span) for span in spans)


def refuse_zone(hour: time) -> time:
    """Hours are compared with each other, all in one zone."""
    if hour.tzinfo is not None:
        raise ValueError("names a time zone: write the hour alone, as 06:00, and set TIMEZONE")
    return hour


def read_pattern(text: str) -> str:
    try:
        re.compile(text)
    except re.error as fault:
        raise ValueError(f"is not a regular expression: {fault}") from fault
    return text


def read_artifacts(text: Any) -> Any:
    """`glob => folder in SERVER_DIR`, comma-separated; a glob alone goes beside the executable."""
    if not isinstance(text, str):
        return text
    parts = [part.split("=>") for part in split_commas(text)]
    if any(len(part) > 2 for part in parts):
        raise ValueError("is not a list of `glob => folder`")
    return tuple((part[0].strip(), part[1].strip() if len(part) == 2 else None) for part in parts)


def read_console(text: str) -> str:
    if text != "signal" and not re.fullmatch(r"(soap|ra)://[^/\s:]+:\d{1,5}/?", text):
        raise ValueError("is not a console: write it as soap://127.0.0.1:7878, ra://127.0.0.1:3443 or signal")
    return text


def read_folder(path: Path) -> Path:
    if not os.path.isdir(path):  # noqa: PTH112 (Path.is_dir raises for a name that is too long)
        raise ValueError(f"{path} is not a folder: give the path of one that exists")
    return path


def machine_zone(tell: Callable[[], object] = lambda: datetime.now(UTC).astimezone()) -> tzinfo | None:
    """None = the machine's own, which follows its clock changes. A variable TZ that no clock can follow is UTC."""
    try:
        tell()
    except (ValueError, OverflowError):
        return UTC
    return None


def read_zone(text: str | None) -> str | None:
    try:
        if text is not None:
            ZoneInfo(text)
        return text
    except (ZoneInfoNotFoundError, ValueError) as fault:
        raise ValueError("is not a time zone: write it as Europe/Berlin") from fault


def find_home(path: Path) -> Path:
    """`~` is the user's own folder, which no shell has read before us."""
    if "\0" in str(path):
        raise ValueError("holds a character that no path has: write it again")
    try:
        return path.expanduser()
    except RuntimeError as fault:
        raise ValueError("begins with ~, and nobody's home is known by that name: write the path in full") from fault


def find_home_of_words(words: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(str(find_home(Path(word))) if word.startswith("~") else word for word in words)


def read_address(address: SecretStr | None) -> SecretStr | None:
    """Whether such a database can be used at all; whether it answers is seen later, beside a server that runs."""
    if address is not None and not re.match(
        r"postgresql\+psycopg://.|sqlite:///(?!:memory:).", address.get_secret_value()
    ):
        raise ValueError("is no database that is known: begin it with postgresql+psycopg://, or leave it empty")
    if address is not None:
        from sqlalchemy import make_url  # the keeper needs none of it

        try:
            make_url(address.get_secret_value())
        except Exception as fault:
            raise ValueError(
                "is not the address of a database: write it as postgresql+psycopg://user:password@host/name"
            ) from fault
    return address


Address = Annotated[SecretStr | None, AfterValidator(read_address)]
AnyPath = Annotated[Path, AfterValidator(find_home)]
Folder = Annotated[AnyPath, AfterValidator(read_folder)]
Duration = Annotated[timedelta, NoDecode, BeforeValidator(read_duration), AfterValidator(bound_duration)]
Limit = Annotated[Duration, AfterValidator(bound_limit)]
Hour = Annotated[time, AfterValidator(refuse_zone)]
Size = Annotated[int, NoDecode, BeforeValidator(read_size)]
Words = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_words)]
Command = Annotated[Words, AfterValidator(find_home_of_words)]
Commas = Annotated[tuple[str, ...], NoDecode, BeforeValidator(split_commas)]
Id = Annotated[int, BeforeValidator(read_id)]
Ids = Annotated[tuple[Id, ...], NoDecode, BeforeValidator(split_commas)]
Paths = Annotated[tuple[AnyPath, ...], NoDecode, BeforeValidator(split_commas)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(read_pairs)]
Hours = Annotated[tuple[tuple[time, time], ...], NoDecode, BeforeValidator(read_hours)]
Artifacts = Annotated[tuple[tuple[str, str | None], ...], NoDecode, BeforeValidator(read_artifacts)]


def state_folder(environment: Mapping[str, str] = os.environ, platform: str = sys.platform) -> Path:
    """The user's own state folder."""
    if platform == "win32":
        base = environment.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
    else:
        base = environment.get("XDG_STATE_HOME") or str(Path.home() / ".local" / "state")
    return Path(base) / "spirit-healer"


class Given(BaseSettings):
    """Where settings come from, and which values are none."""

    model_config = SettingsConfigDict(
        env_file=".env", env_file_encoding="utf-8-sig", extra="ignore", frozen=True, env_ignore_empty=True
    )

    @model_validator(mode="before")
    @classmethod
    def _leave_out(cls, values: dict[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in values.items() if not is_left_out(value)}


def is_left_out(value: Any) -> bool:
    """Spaces alone, and the dots of an example line, are as nothing at all."""
    return isinstance(value, str) and value.strip() in ("", "...")


class Settings(Given):
    """Every setting, under its own name in lower case."""

    # Realm
    realm_name: str = "realm"
    state_dir: AnyPath = Field(default_factory=state_folder)
    database_url: Address = None
    min_free_disk: Size = 5 << 30
    # Discord
    discord_token: SecretStr | None = None
    discord_guild_id: Id | None = None
    discord_channel_id: Id | None = None
    discord_operator_role_ids: Ids = ()
    discord_operator_user_ids: Ids = ()
    discord_ping_role_id: Id | None = None
    # Source
    source_dir: Folder
    source_remote: str = "origin"
    source_base_branch: str | None = None
    source_allowed_paths: Commas = ("src/**",)
    source_denied_paths: Commas = ()
    source_author: str = "Spirit Healer"
    source_commit_url: str | None = None
    # Build
    build_dir: AnyPath | None = None
    build_like: AnyPath | None = None
    build_configure_args: Words = ()
    build_target: str = "worldserver"
    build_config: str = "RelWithDebInfo"
    build_jobs: int | None = Field(default=None, ge=1)
    build_timeout: Limit = timedelta(minutes=30)
    build_artifacts: Artifacts = ()
    build_env: Pairs = Field(default_factory=dict)
    # Server
    server_dir: Folder
    server_command: Command
    server_commit: str | None = None
    server_logs: Paths = (Path("Server.log"), Path("Playerbot.log"))
    server_crash_dirs: Paths = (Path("Crashes"),)
    server_ready_pattern: Annotated[str, AfterValidator(read_pattern)] = r"\(worldserver-daemon\) ready\.\.\."
    server_port: int = Field(default=8085, ge=0, le=65535)
    server_ready_timeout: Limit = timedelta(minutes=15)
    server_console: Annotated[str, AfterValidator(read_console)] = "signal"
    server_console_user: str | None = None
    server_console_password: SecretStr | None = None
    server_stop_notice: Duration = timedelta(seconds=30)
    server_stop_timeout: Limit = timedelta(minutes=10)
    server_soak: Duration = timedelta(minutes=2)
    server_env: Pairs = Field(default_factory=dict)
    keep_cores: int = Field(default=3, ge=0)
    # Analyst
    analyst_queue_dir: AnyPath | None = None
    analyst_command: Command = ()
    analyst_env: Commas = ()
    analyst_timeout: Limit = timedelta(minutes=10)
    analyst_nightly_limit: int = Field(default=50, ge=0)
    # Policy
    approval: Approval = Approval.NONE
    max_files: int = Field(default=10, ge=1)
    max_changed_lines: int = Field(default=400, ge=1)
    no_restart_hours: Hours = ()
    deploy_at_latest: Hour = time(6)
    max_players_for_restart: int | None = Field(default=None, ge=0)
    keep_builds: int = Field(default=5, ge=2)
    # Summary
    summary_time: Hour = time(8)
    timezone: Annotated[str | None, AfterValidator(read_zone)] = None
    # Sandbox
    sandbox_port: int = Field(default=0, ge=0, le=65535)
    sandbox_token: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, dotenv_settings

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bytes(cls, given: Any) -> Any:
        """A byte that is no text comes as half of a character, which no file of the keeper's can hold."""
        if isinstance(given, str) and not given.isascii() and any("\ud800" <= each <= "\udfff" for each in given):
            raise ValueError("holds a byte that is no UTF-8: write it in UTF-8, and rename what it names if need be")
        return given

    @model_validator(mode="after")
    def _hold_together(self) -> Self:
        if not self.server_command or not self.server_command[0].strip():
            raise ValueError("SERVER_COMMAND: is empty: give the server's program and its arguments")
        if os.path.isdir(self.server_dir / self.server_command[0]):  # noqa: PTH112 (as above)
            raise ValueError("SERVER_COMMAND: names a folder: give the server's program and its arguments")
        overlaps = list_overlaps(self._chosen())
        if overlaps:
            raise ValueError("\n".join(overlaps))
        return self

    def _chosen(self) -> Chosen:
        return Chosen(
            source=self.source_dir,
            server=self.server_dir,
            like=self.build_like,
            state=self.state_dir,
            queue=self.analyst_queue_dir,
            build=self.build_dir,
            artifacts=[folder for _, folder in self.build_artifacts],
        )

    @property
    def zone(self) -> tzinfo | None:
        return ZoneInfo(self.timezone) if self.timezone else machine_zone()

    @property
    def queue_dir(self) -> Path:
        return self.analyst_queue_dir or self.state_dir / QUEUE

    @property
    def database(self) -> str:
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite:///{self.state_dir / 'spirit-healer.sqlite'}"

    def secrets(self) -> tuple[str, ...]:
        """Values that must never be written anywhere."""
        given = [self.discord_token, self.server_console_password, self.sandbox_token, self.database_url]
        named = [os.environ.get(name, "") for name in self.analyst_env]
        return tuple(value for value in (*(each.get_secret_value() for each in given if each), *named) if value)


NAMES = tuple(name.upper() for name in Settings.model_fields)
DISCORD = ("discord_token", "discord_guild_id", "discord_channel_id")


def load(*, sandbox: bool = False, **given: Any) -> Settings:
    """The settings of the environment and `.env`. Raises SettingsError."""
    check_file(Path(".env"))
    faults = _misspelt(Path(".env"))
    try:
        settings = Settings(**given)
    except ValidationError as fault:
        faults += list_faults(fault)
        settings = None
    if not sandbox:
        faults += [f"{name.upper()}: is missing: docs/discord.md tells where to find it" for name in _lacking(settings)]
    if faults or settings is None:
        raise SettingsError(faults)
    return settings


def check_file(file: Path) -> None:
    """A `.env` that would hang or break whoever reads it. Raises SettingsError."""
    if file.exists() and not file.is_file() and not file.is_dir():
        raise SettingsError([f"{file}: is no regular file: put one there, or remove it"])
    try:
        _values_in(file)
    except UnicodeDecodeError as fault:
        raise SettingsError([f"{file}: is not written in UTF-8 (byte {fault.start}): save it as UTF-8"]) from fault
    except OSError as fault:
        raise SettingsError([f"{file}: cannot be read ({fault.strerror}): let this user read it"]) from fault


def _lacking(settings: Settings | None) -> list[str]:
    """What only Discord needs and nobody gave; without settings, as far as their sources tell."""
    if settings is not None:
        return [name for name in DISCORD if getattr(settings, name) is None]
    sources: tuple[Mapping[str, str | None], ...] = (_values_in(Path(".env")), os.environ)
    there = {name.lower() for each in sources for name, value in each.items() if not is_left_out(value or "")}
    return [name for name in DISCORD if name not in there]


def _values_in(file: Path) -> dict[str, str | None]:
    """What a `.env` sets."""
    return dotenv_values(file, encoding="utf-8-sig") if file.is_file() else {}


def _misspelt(file: Path) -> list[str]:
    """Names that are no setting and nearly one: what they were meant to say would be passed over in silence."""
    unknown = [name for name in _values_in(file) if name.upper() not in NAMES]
    near = [(name, difflib.get_close_matches(name.upper(), NAMES, 1, 0.9)) for name in unknown]
    return [f"{name}: is no setting: was {found[0]} meant? It stands in .env" for name, found in near if found]
