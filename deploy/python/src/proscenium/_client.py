"""The published client on a WebSocket."""

from __future__ import annotations

import contextlib
import threading

try:
    import perspective
    from websockets.exceptions import ConnectionClosed
    from websockets.sync.client import ClientConnection
    from websockets.sync.client import connect as open_socket
except ImportError as missing:
    raise ImportError(
        f"proscenium.connect needs the published client and websockets: pip install 'proscenium[client]' ({missing})"
    ) from missing

from proscenium._pending import Pending


class Client(perspective.Client):  # type: ignore[misc]
    """The published `perspective.Client`, with its socket. `connect` makes it."""

    _socket: ClientConnection

    def close(self) -> None:
        """Closes the connection; the server deletes its views."""
        self._socket.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def connect(url: str) -> Client:
    """Connects to a server: `http://HOST:PORT`, or the `ws://…/websocket` of it. Each client has a socket of its own.

    >>> import proscenium
    >>> server = proscenium.serve({"trades": {"symbol": ["a", "b", "a"], "price": [1.0, 2.0, 3.0]}})
    >>> with proscenium.connect(server.url) as client:
    ...     table = client.open_table("trades")
    ...     view = table.view(group_by=["symbol"], columns=["price"])
    ...     view.to_columns()["price"]
    [6.0, 4.0, 2.0]
    >>> server.stop()
    """
    # Entered, and left by `close`: newer versions of websockets ask for it.
    socket = open_socket(websocket_address(url), max_size=None).__enter__()
    pending = Pending()

    def send(request: bytes) -> None:
        pending.sent(request)
        socket.send(request)

    client = Client(send, socket.close)
    client._socket = socket

    def receive() -> None:
        reason = "the connection was closed"
        try:
            for message in socket:
                response = message.encode() if isinstance(message, str) else message
                pending.answered(response)
                client.handle_response(response)
        except ConnectionClosed as closed:
            reason = f"the connection was lost: {closed}"
        # What waits for an answer raises, as what is sent from now on does.
        for failure in pending.failures(reason):
            # A subscription that nothing was sent for has nobody who waits, and the client raises here.
            with contextlib.suppress(perspective.PerspectiveError):
                client.handle_response(failure)

    threading.Thread(target=receive, name="proscenium client", daemon=True).start()
    return client


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
