"""The server's process on this kind of system."""

from __future__ import annotations

import sys

if sys.platform == "win32":
    from pipeline.keeper.server_windows import Server, Spawner, is_child, raise_core_limit
else:
    from pipeline.keeper.server_posix import Server, Spawner, is_child, raise_core_limit

__all__ = ["Server", "Spawner", "is_child", "raise_core_limit"]
