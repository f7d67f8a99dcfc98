"""Bytes of attachments: in memory, and beside the store where there is one. Named by id, never by what a request
calls them."""

from pathlib import Path


class Files:
    def __init__(self, folder: Path | None) -> None:
        self._folder = folder
        self._unsaved: dict[str, bytes] = {}

    def add(self, attachment_id: str, content: bytes) -> None:
        self._unsaved[attachment_id] = content

    def find(self, attachment_id: str) -> bytes | None:
        """None if there never was one or its message was forgotten."""
        unsaved = self._unsaved.get(attachment_id)
        if unsaved is not None or self._folder is None:
            return unsaved
        path = self._folder / attachment_id
        return path.read_bytes() if attachment_id.isdigit() and path.is_file() else None

    def list_unsaved(self) -> dict[str, bytes]:
        """A copy, for the thread that writes."""
        return dict(self._unsaved)

    def forget(self, attachment_ids: list[str]) -> None:
        """Of what memory holds: a message is gone, or the folder has it now."""
        for attachment_id in attachment_ids:
            self._unsaved.pop(attachment_id, None)


def write_files(folder: Path, unsaved: dict[str, bytes], wanted: frozenset[str]) -> None:
    """Adds what is new and removes what no message names any more."""
    folder.mkdir(parents=True, exist_ok=True)
    for attachment_id, content in unsaved.items():
        (folder / attachment_id).write_bytes(content)
    for path in folder.iterdir():
        if path.name not in wanted:
            path.unlink(missing_ok=True)
