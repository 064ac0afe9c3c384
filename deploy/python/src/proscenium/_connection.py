"""A WebSocket whose session outlives it: docs/sessions.md.

Each message is delivered exactly once, in order, whatever happens to the connection, as long as the server has the
session. Both sides count binary messages; what the other side has not acknowledged is kept and repeated.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any, Literal

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection
from websockets.sync.client import connect as open_socket

from proscenium._session import SessionEnded, SessionState

State = Literal["online", "reconnecting", "closed"]
Token = str | Callable[[], str] | None

_FIRST_WAIT, _LONGEST_WAIT = 0.25, 10.0
#: Received messages after which they are acknowledged, and the share of the server's window.
_ACKNOWLEDGE_MESSAGES, _ACKNOWLEDGE_SHARE = 64, 8


class Connection:
    """One session after the other, for one client. `deliver` is called with its messages, by one thread at a time."""

    def __init__(self, url: str, token: Token, patience: float, on_state: Callable[[State], object] | None) -> None:
        self._url, self._token, self._patience, self._on_state = url, token, patience, on_state
        self._state = SessionState()
        self._lock = threading.RLock()
        self._delivery = threading.Lock()
        self._session: str | None = None
        self._received = self._acknowledged = self._unacknowledged_bytes = 0
        self._window_bytes = 1 << 20
        self._kept: deque[bytes] = deque()
        self._first_kept = 0
        #: Requests that wait until a session is opened again.
        self._held: list[bytes] | None = None
        self._is_open = self._is_closed = False
        #: Why the connection ended.
        self._reason = "the connection was closed"
        self.deliver: Callable[[bytes], None] = lambda _: None
        self._socket: ClientConnection = self._connect()

    def start(self, deliver: Callable[[bytes], None]) -> None:
        """Begins to receive."""
        self.deliver = deliver
        threading.Thread(target=self._run, name="proscenium client", daemon=True).start()

    def request(self, message: bytes) -> None:
        """Sends a request of the client now, or on a later connection."""
        with self._lock:
            if self._is_closed:
                raise ConnectionError(self._reason)
            if self._held is not None:
                self._held.append(message)
            else:
                self._send(self._state.sent(message))

    def close(self) -> None:
        """Ends the session."""
        with self._lock:
            self._is_closed = True
            socket = self._socket
        socket.close()

    def drop(self) -> None:
        """Drops the connection and keeps the session, as a network that changes does."""
        self._socket.close(code=4000)

    def _send(self, message: bytes) -> None:
        with self._lock:
            self._kept.append(message)
            if self._is_open:
                self._try(message)

    def _try(self, message: bytes | str) -> None:
        try:
            self._socket.send(message)
        except (WebSocketException, OSError):
            # The reader notices, too; the message is repeated.
            self._is_open = False

    def _connect(self) -> ClientConnection:
        separator = "&" if "?" in self._url else "?"
        wish = f"session={self._session}&received={self._received}" if self._session else "session=new"
        token = self._token() if callable(self._token) else self._token
        headers = {"Authorization": f"Bearer {token}"} if token else None
        # Entered, and left by `close`: newer versions of websockets ask for it.
        address = f"{self._url}{separator}{wish}"
        return open_socket(address, max_size=None, additional_headers=headers).__enter__()

    def _run(self) -> None:
        while True:
            try:
                for message in self._socket:
                    self._control(message) if isinstance(message, str) else self._receive(message)
            except (WebSocketException, OSError) as lost:
                self._reason = f"the connection was lost: {lost}"
            with self._lock:
                self._is_open = False
                if self._is_closed:
                    break
            if not self._reconnect():
                break
        with self._lock:
            self._is_closed = True
        self._state.session_ended()
        self._notify("closed")
        # What waits for an answer raises, as what is sent from now on does.
        for failure in self._state.failures(self._reason):
            self._hand_over(failure)

    def _reconnect(self) -> bool:
        """Connects again; false if that did not succeed in time, or the connection was closed."""
        until, wait = time.monotonic() + self._patience, _FIRST_WAIT
        if self._patience <= 0:
            return False
        self._notify("reconnecting")
        while not self._is_closed and time.monotonic() < until:
            try:
                socket = self._connect()
            except (WebSocketException, OSError):
                # Clients of one server do not come back in step.
                time.sleep(wait * random.uniform(0.5, 1))
                wait = min(2 * wait, _LONGEST_WAIT)
                continue
            with self._lock:
                self._socket = socket
            return True
        return False

    def _control(self, text: str) -> None:
        said: dict[str, Any] = json.loads(text)
        if "gone" in said:
            with self._lock:
                self._session, self._received, self._acknowledged = None, 0, 0
                self._kept.clear()
                self._first_kept = 0
                self._held = [] if self._held is None else self._held
            self._state.session_ended()
            return
        with self._lock:
            while self._first_kept < said.get("received", 0) and self._kept:
                self._kept.popleft()
                self._first_kept += 1
            if "session" not in said:
                return
            self._session, self._window_bytes, self._is_open = said["session"], said["window_bytes"], True
            for message in self._kept:
                self._try(message)
            is_new = self._held is not None
        self._notify("online")
        if is_new:
            threading.Thread(target=self._reopen, name="proscenium session", daemon=True).start()

    def _reopen(self) -> None:
        try:
            self._state.reopen(self._send, self._hand_over)
        except SessionEnded:
            return
        with self._lock:
            held, self._held = self._held or [], None
            for message in held:
                self.request(message)

    def _receive(self, message: bytes) -> None:
        self._received += 1
        self._unacknowledged_bytes += len(message)
        is_due = self._received - self._acknowledged >= _ACKNOWLEDGE_MESSAGES
        if is_due or self._unacknowledged_bytes > self._window_bytes // _ACKNOWLEDGE_SHARE:
            with self._lock:
                self._acknowledged, self._unacknowledged_bytes = self._received, 0
                self._try(json.dumps({"received": self._received}))
        response = self._state.received(message)
        if response is not None:
            self._hand_over(response)

    def _hand_over(self, message: bytes) -> None:
        with self._delivery:
            self.deliver(message)

    def _notify(self, state: State) -> None:
        if self._on_state is not None:
            self._on_state(state)
