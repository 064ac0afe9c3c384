"""A server of this process."""

from __future__ import annotations

import collections
import os
import subprocess
import threading
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import IO, TYPE_CHECKING

from proscenium._binary import binary_path
from proscenium._flight import Table, table_names
from proscenium._frames import Frame

if TYPE_CHECKING:
    from proscenium._client import Client

#: Lines of the server's log that are kept for the error of a server that does not start.
_LOG_LINES = 40
_STOP_SECONDS = 20


class Server:
    """A running server. `serve` starts it; it stops with `stop`, at the end of a `with` block, or with this process.

    The server's standard input is a pipe of this process, which the system closes however the process ends.
    """

    #: Address of the page, such as `http://127.0.0.1:43210`.
    url: str
    #: Address for Perspective's clients.
    websocket: str
    #: Address of Arrow Flight.
    flight: str

    def __init__(self, arguments: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            [str(binary_path()), "serve", "--stop-on-eof", *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # An interrupt in the terminal or the notebook is for this process.
            start_new_session=os.name == "posix",
        )
        self._log: collections.deque[str] = collections.deque(maxlen=_LOG_LINES)
        assert self._process.stdout is not None and self._process.stderr is not None
        self._logger = _drain(self._process.stderr, self._log)
        try:
            self._wait_until_ready(self._process.stdout)
        except BaseException:
            self.stop()
            raise
        # A full pipe would stop the server.
        _drain(self._process.stdout, collections.deque(maxlen=1))

    def _wait_until_ready(self, lines: IO[str]) -> None:
        found = {}
        for line in lines:
            word, _, address = line.strip().partition(" ")
            if word == "listening":
                found[address.partition("://")[0]] = address
            elif word == "ready":
                self.url, self.flight = found["http"], found["grpc"]
                self.websocket = f"{self.url.replace('http', 'ws', 1)}/websocket"
                return
        self._process.wait()
        self._logger.join(_STOP_SECONDS)
        raise RuntimeError(f"the server did not start: {''.join(self._log).strip()}")

    @property
    def pid(self) -> int:
        """The number of the server's process."""
        return self._process.pid

    def table(self, name: str) -> Table:
        """A table of this server, which need not exist."""
        return Table(self.flight, name)

    def table_names(self) -> list[str]:
        """The names of the server's tables."""
        return table_names(self.flight)

    def connect(self) -> Client:
        """The published client on a connection of its own; see `proscenium.connect`. It ends with the server."""
        from proscenium._client import connect

        return connect(self.websocket, patience=0)

    def stop(self) -> None:
        """Stops the server and waits for its end. Stopping again does nothing."""
        if self._process.stdin is not None:
            self._process.stdin.close()
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<proscenium.Server {self.url} {'running' if self._process.poll() is None else 'stopped'}>"

    def _repr_html_(self) -> str:
        """What a notebook shows: a link to the page."""
        return f'<a href="{self.url}" target="_blank">{self.url}</a>'


def serve(
    tables: Mapping[str, Frame] | None = None,
    *,
    index: Mapping[str, str] | None = None,
    listen: str = "127.0.0.1:0",
    flight: str = "127.0.0.1:0",
    arguments: Sequence[str] = (),
    progress: bool | None = None,
) -> Server:
    """Starts a server with these frames as tables, and returns it once they are loaded.

    `index` names the key column of a table. Ports are free ones by default. `arguments` are further arguments of
    `proscenium serve`, such as `["--table", "prices=prices.parquet"]`. `progress` is that of `Table.load`.

    >>> with serve({"trades": {"id": [1, 2, 3], "price": [1.5, 2.5, 3.5]}}, index={"trades": "id"}) as server:
    ...     server.table_names()
    ...     server.table("trades").read().num_rows
    ['trades']
    3

    Raises `RuntimeError` with the server's log if it does not start.
    """
    tables, index = tables or {}, index or {}
    if unknown := set(index) - set(tables):
        raise ValueError(f"index names tables that are not served: {', '.join(sorted(unknown))}")
    server = Server(["--listen", listen, "--flight", flight, *arguments])
    try:
        for name, frame in tables.items():
            server.table(name).load(frame, mode="create", index=index.get(name), progress=progress)
    except BaseException:
        server.stop()
        raise
    return server


def _drain(lines: IO[str], kept: collections.deque[str]) -> threading.Thread:
    thread = threading.Thread(target=lambda: kept.extend(lines), name="proscenium output", daemon=True)
    thread.start()
    return thread
