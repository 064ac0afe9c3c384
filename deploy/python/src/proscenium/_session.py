"""What a session has on the server, so that it can be opened again in another one.

A view, subscription or port is known from the server's answer until the client gives it up. What only reads and was not
answered is asked again; a write is answered with an error, since nobody knows whether it took effect.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from proscenium._wire import Kind, Message, bytes_field, bytes_in, fields, number_field, number_in

#: Own requests have numbers that no client reaches.
_FIRST_OWN = 0xF0000000
_WRITES = {
    Kind.MAKE_TABLE,
    Kind.MAKE_JOIN_TABLE,
    Kind.TABLE_DELETE,
    Kind.TABLE_REMOVE,
    Kind.TABLE_REPLACE,
    Kind.TABLE_UPDATE,
}
#: Requests that have no answer, but notifications.
_SUBSCRIPTIONS = {Kind.VIEW_ON_UPDATE, Kind.VIEW_ON_REMOVE, Kind.VIEW_ON_DELETE, Kind.TABLE_ON_DELETE}
_ENDS = {
    Kind.VIEW_REMOVE_ON_UPDATE,
    Kind.VIEW_REMOVE_ON_REMOVE,
    Kind.VIEW_REMOVE_DELETE,
    Kind.TABLE_REMOVE_DELETE,
    Kind.REMOVE_HOSTED_TABLES_UPDATE,
}
_EXPANSIONS = {Kind.VIEW_SET_DEPTH, Kind.VIEW_EXPAND, Kind.VIEW_COLLAPSE}
_LOST = "the connection was lost before the server answered: whether this took effect is not known"

Send = Callable[[bytes], None]


class SessionEnded(Exception):
    """The session ended while it was opened again."""


@dataclass
class _View:
    request: Message
    expansions: list[Message] = field(default_factory=list)


@dataclass
class _Port:
    entity: str
    #: The number that the client knows it by, and its number in this session.
    known: int
    there: int


class SessionState:
    """The state of one client's session. Threads may share it."""

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._pending: dict[int, Message] = {}
        self._unanswered: dict[int, Message] = {}
        self._views: dict[str, _View] = {}
        self._subscriptions: dict[int, Message] = {}
        self._ports: list[_Port] = []
        self._own: dict[int, Callable[[Message | None], None]] = {}
        self._next_own = _FIRST_OWN

    def sent(self, request: bytes) -> bytes:
        """Notes a request of the client. Returns what is to be sent."""
        message = Message.open(request)
        with self._lock:
            is_table_list = message.kind == Kind.GET_HOSTED_TABLES and number_in(message.body, 1) != 0
            if message.kind in _SUBSCRIPTIONS or is_table_list:
                self._subscriptions[message.id] = message
            elif message.kind in _ENDS:
                self._subscriptions.pop(number_in(message.body, 1), None)
            if message.kind not in _SUBSCRIPTIONS:
                self._pending[message.id] = message
            if message.kind == Kind.TABLE_UPDATE:
                return self._with_port(request, message)
            return request

    def received(self, response: bytes) -> bytes | None:
        """Notes a message of the server. Returns what the client is to receive, if it is for the client."""
        message = Message.open(response)
        with self._lock:
            answered = self._own.pop(message.id, None)
            request = self._pending.get(message.id) if answered is None else None
            if request is not None and message.kind in (request.kind, Kind.ERROR):
                del self._pending[message.id]
                if message.kind != Kind.ERROR:
                    self._took(request, message)
        if answered is not None:
            answered(message)
            return None
        return self._from_port(response, message)

    def failures(self, reason: str) -> list[bytes]:
        """An error for each request that waits; none waits any more."""
        with self._lock:
            waiting = {**self._unanswered, **self._pending}
            self._unanswered, self._pending = {}, {}
        return [_error(message, reason) for _, message in sorted(waiting.items())]

    def session_ended(self) -> None:
        """Nothing that the session was asked is answered any more."""
        with self._lock:
            own, self._own = list(self._own.values()), {}
            self._unanswered.update(self._pending)
            self._pending = {}
        for answered in own:
            answered(None)

    def reopen(self, send: Send, deliver: Send) -> None:
        """Opens everything again in a new session. Raises `SessionEnded` if that ends meanwhile."""
        for port in self._ports:
            answer = self._ask(Message(entity=port.entity, kind=Kind.TABLE_MAKE_PORT), send)
            # A port that the server does not know would be ignored with all that is written through it.
            port.there = 0 if answer.kind == Kind.ERROR else number_in(answer.body, 1)
        for view_id, view in list(self._views.items()):
            if self._ask(view.request, send).kind == Kind.ERROR:
                self._end_view(view_id, deliver)
                continue
            for expansion in view.expansions:
                self._ask(expansion, send)
        for subscription in list(self._subscriptions.values()):
            self._renew(subscription, send, deliver)
        with self._lock:
            unanswered, self._unanswered = self._unanswered, {}
        for message in unanswered.values():
            if message.kind in _WRITES:
                deliver(_error(message, _LOST))
            elif message.kind != Kind.GET_HOSTED_TABLES or message.id not in self._subscriptions:
                send(self.sent(message.encode()))

    def _took(self, request: Message, answer: Message) -> None:
        if request.kind == Kind.TABLE_MAKE_VIEW:
            self._views[(bytes_in(request.body, 1) or b"").decode()] = _View(request)
        elif request.kind == Kind.VIEW_DELETE:
            self._forget_view(request.entity)
        elif request.kind in _EXPANSIONS and request.entity in self._views:
            view = self._views[request.entity]
            view.expansions = [request] if request.kind == Kind.VIEW_SET_DEPTH else [*view.expansions, request]
        elif request.kind == Kind.TABLE_MAKE_PORT:
            number = number_in(answer.body, 1)
            self._ports.append(_Port(request.entity, number, number))

    def _forget_view(self, view_id: str) -> None:
        self._views.pop(view_id, None)
        of_view = [number for number, message in self._subscriptions.items() if message.entity == view_id]
        for number in of_view:
            del self._subscriptions[number]

    def _end_view(self, view_id: str, deliver: Send) -> None:
        for message in list(self._subscriptions.values()):
            if message.entity == view_id and message.kind == Kind.VIEW_ON_DELETE:
                deliver(replace(message, body=b"").encode())
        self._forget_view(view_id)

    def _renew(self, subscription: Message, send: Send, deliver: Send) -> None:
        """Subscribes again, and brings the subscriber up to date with one full update."""
        if subscription.kind == Kind.GET_HOSTED_TABLES:
            news = replace(subscription, kind=0, body=b"").encode()
            with self._lock:
                self._own[subscription.id] = lambda answer: deliver(news) if answer else None
            send(subscription.encode())
            return
        send(subscription.encode())
        if subscription.kind != Kind.VIEW_ON_UPDATE:
            return
        update = b""
        if any(number == 1 for number, _ in fields(subscription.body)):
            rows = self._ask(Message(entity=subscription.entity, kind=Kind.VIEW_TO_ARROW, body=bytes_field(1, b"")), send)
            if rows.kind == Kind.ERROR:
                return
            update = bytes_field(1, bytes_in(rows.body, 1) or b"")
        deliver(replace(subscription, body=update).encode())

    def _ask(self, message: Message, send: Send) -> Message:
        """Sends a request of our own and waits for its answer."""
        answers: list[Message | None] = []
        has_answer = threading.Event()

        def answered(answer: Message | None) -> None:
            answers.append(answer)
            has_answer.set()

        with self._lock:
            number = self._next_own
            self._next_own = _FIRST_OWN if number == 0xFFFFFFFF else number + 1
            self._own[number] = answered
        send(replace(message, id=number).encode())
        has_answer.wait()
        if answers[0] is None:
            raise SessionEnded
        return answers[0]

    def _with_port(self, request: bytes, message: Message) -> bytes:
        known = number_in(message.body, 2)
        for port in self._ports:
            if port.entity == message.entity and port.known == known and port.there != known:
                data = bytes_in(message.body, 1) or b""
                return replace(message, body=bytes_field(1, data) + number_field(2, port.there)).encode()
        return request

    def _from_port(self, response: bytes, message: Message) -> bytes:
        if message.kind not in (Kind.VIEW_ON_UPDATE, Kind.VIEW_ON_REMOVE):
            return response
        there = number_in(message.body, 2)
        view = self._views.get(message.entity)
        for port in self._ports:
            if view and port.entity == view.request.entity and port.there == there and port.known != there:
                rows = bytes_in(message.body, 1)
                body = (bytes_field(1, rows) if rows is not None else b"") + number_field(2, port.known)
                return replace(message, body=body).encode()
        return response


def _error(request: Message, reason: str) -> bytes:
    return replace(request, kind=Kind.ERROR, body=bytes_field(1, reason.encode())).encode()
