"""The published client on a WebSocket."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from concurrent.futures import CancelledError

try:
    import perspective

    from proscenium._connection import Connection, State, Token
except ImportError as missing:
    raise ImportError(
        f"proscenium.connect needs the published client and websockets: pip install 'proscenium[client]' ({missing})"
    ) from missing


class Client(perspective.Client):  # type: ignore[misc]
    """The published `perspective.Client`, with its connection. `connect` makes it."""

    connection: Connection

    def close(self) -> None:
        """Closes the connection; the server deletes its views."""
        self.connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(
    url: str,
    *,
    token: Token = None,
    patience: float = 300.0,
    on_state: Callable[[State], object] | None = None,
) -> Client:
    """Connects to a server: `http://HOST:PORT`, or the `ws://…/websocket` of it. Each client has a socket of its own.

    A break of the connection costs nothing: what was missed follows, and after a restart of the server views and
    subscriptions are opened again. `patience` is how many seconds a connection may be away before everything that waits
    fails. `token` authenticates, or is a function that returns what does, called for each connection.

    >>> import proscenium
    >>> server = proscenium.serve({"trades": {"symbol": ["a", "b", "a"], "price": [1.0, 2.0, 3.0]}})
    >>> with proscenium.connect(server.url) as client:
    ...     table = client.open_table("trades")
    ...     view = table.view(group_by=["symbol"], columns=["price"])
    ...     view.to_columns()["price"]
    [6.0, 4.0, 2.0]
    >>> server.stop()
    """
    connection = Connection(websocket_address(url), token, patience, on_state)
    client = Client(connection.request, connection.close)
    client.connection = connection

    def deliver(message: bytes) -> None:
        # A subscription that failed has nobody who waits, and the client raises here.
        with contextlib.suppress(perspective.PerspectiveError):
            client.handle_response(message)

    connection.start(deliver)
    return client


@contextlib.asynccontextmanager
async def connect_async(
    url: str,
    *,
    token: Token = None,
    patience: float = 300.0,
    on_state: Callable[[State], object] | None = None,
) -> AsyncIterator[perspective.AsyncClient]:
    """As `connect`, for the published client with coroutines; a context, which ends the connection.

    >>> import asyncio, proscenium
    >>> async def count(url):
    ...     async with proscenium.connect_async(url) as client:
    ...         table = await client.open_table("trades")
    ...         return await table.size()
    >>> with proscenium.serve({"trades": {"symbol": ["a", "b", "a"]}}) as server:
    ...     asyncio.run(count(server.url))
    3
    """
    loop = asyncio.get_running_loop()
    connection = await asyncio.to_thread(Connection, websocket_address(url), token, patience, on_state)

    async def send(request: bytes) -> None:
        connection.request(request)

    async def close() -> None:
        await asyncio.to_thread(connection.close)

    client = perspective.AsyncClient(send, close)

    async def handle(message: bytes) -> None:
        with contextlib.suppress(perspective.PerspectiveError):
            await client.handle_response(message)

    def deliver(message: bytes) -> None:
        # In order, and no faster than the loop handles them; a loop that has ended handles none.
        if loop.is_running():
            with contextlib.suppress(RuntimeError, CancelledError):
                asyncio.run_coroutine_threadsafe(handle(message), loop).result()

    connection.start(deliver)
    try:
        yield client
    finally:
        await close()


def websocket_address(url: str) -> str:
    """The address of a server's WebSocket.

    >>> websocket_address("https://tables.example.org/")
    'wss://tables.example.org/websocket'
    >>> websocket_address("ws://127.0.0.1:8080/websocket")
    'ws://127.0.0.1:8080/websocket'
    """
    scheme, separator, place = url.partition("://")
    if not separator or scheme not in ("http", "https", "ws", "wss"):
        raise ValueError(f"{url}: clients connect to an address such as http://127.0.0.1:8080")
    if scheme.startswith("ws"):
        return url
    return f"ws{scheme.removeprefix('http')}://{place.rstrip('/')}/websocket"
