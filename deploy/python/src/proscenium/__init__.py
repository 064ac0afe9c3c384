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
    from proscenium._client import Client

__all__ = ["Client", "Frame", "Mode", "Server", "Table", "binary_path", "connect", "read", "serve", "table_names"]


def connect(url: str) -> Client:
    """The published Perspective client on a WebSocket of its own (`pip install 'proscenium[client]'`).

    `url` is `http://HOST:PORT`, or the `ws://…/websocket` of the server.
    """
    from proscenium._client import connect

    return connect(url)


def __getattr__(name: str) -> object:
    # Only who uses the client needs the packages that it is made of.
    if name == "Client":
        from proscenium._client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
