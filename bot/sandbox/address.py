"""Where the page is, kept over a restart, so that an open tab finds its bot again with the token that it has."""

import json
import logging
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path

from pipeline.keeper.protocol import parse_json, replace_file

NAME = "address.json"  # beside the store; for our user alone
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Address:
    port: int = 0
    # 0: any free one
    token: str = ""
    # "": none was made by us


def make_token() -> str:
    return secrets.token_urlsafe(24)


def recall(store: Path | None) -> Address:
    """What was kept beside the store, nothing where that cannot be used."""
    if store is None:
        return Address()
    try:
        kept = parse_json(store.with_name(NAME).read_text(encoding="utf-8"))
        port, token = kept["port"], kept["token"]
    except (OSError, ValueError, KeyError, TypeError):
        return Address()
    usable = isinstance(port, int) and 0 < port < 65536 and isinstance(token, str)
    return Address(port, token) if usable else Address()


def remember(store: Path | None, address: Address) -> None:
    """Where the disk refuses it, which is logged, the page has another address after the next restart."""
    if store is None or recall(store) == address:
        return
    try:
        store.parent.mkdir(parents=True, exist_ok=True)
        replace_file(store.with_name(NAME), json.dumps(asdict(address)))
    except OSError as error:
        _log.warning("the address of the sandbox's page could not be kept: %s", error)
