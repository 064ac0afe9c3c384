"""Proscenium: a live table server, for notebooks and programs.

* `serve` starts a server of this process, with frames as tables.
* `connect` returns the published Perspective client on a WebSocket of its own.
* `Table.load` and `read` move Arrow tables over Flight.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from proscenium._binary import binary_path
from proscenium._flight import Mode, Table, read, table_names
from proscenium._frames import Frame
from proscenium._server import Server, serve

if TYPE_CHECKING:
    from proscenium._client import Client, connect, connect_async

__all__ = [
    "Client",
    "Frame",
    "Mode",
    "Server",
    "Table",
    "binary_path",
    "connect",
    "connect_async",
    "read",
    "serve",
    "table_names",
]


def __getattr__(name: str) -> object:
    # Only who uses the client needs the packages that it is made of (`pip install 'proscenium[client]'`).
    if name in ("Client", "connect", "connect_async"):
        from proscenium import _client

        return getattr(_client, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
