"""The envelope of the protocol's messages, as far as a connection that resumes must look into them.

A request or a response is a protobuf message: 1: msg_id, 2: entity_id, and one field whose number says the kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from enum import IntEnum


class Kind(IntEnum):
    """The kinds of requests, and of their responses, that change what a session has."""

    GET_HOSTED_TABLES = 4
    TABLE_MAKE_PORT = 5
    TABLE_MAKE_VIEW = 6
    VIEW_DELETE = 11
    VIEW_TO_ARROW = 16
    VIEW_COLLAPSE = 18
    VIEW_EXPAND = 19
    VIEW_ON_UPDATE = 21
    VIEW_REMOVE_ON_UPDATE = 22
    VIEW_SET_DEPTH = 23
    MAKE_TABLE = 27
    TABLE_DELETE = 28
    TABLE_ON_DELETE = 29
    TABLE_REMOVE_DELETE = 30
    TABLE_REMOVE = 31
    TABLE_REPLACE = 32
    TABLE_UPDATE = 33
    VIEW_ON_DELETE = 34
    VIEW_REMOVE_DELETE = 35
    REMOVE_HOSTED_TABLES_UPDATE = 37
    MAKE_JOIN_TABLE = 38
    VIEW_ON_REMOVE = 39
    VIEW_REMOVE_ON_REMOVE = 40
    ERROR = 50


@dataclass(frozen=True)
class Message:
    """A request or a response, taken apart.

    >>> Message.open(Message(300, "trades", Kind.TABLE_MAKE_PORT, b"").encode())
    Message(id=300, entity='trades', kind=5, body=b'')
    """

    id: int = 0
    entity: str = ""
    kind: int = 0
    body: bytes = b""

    @staticmethod
    def open(message: bytes) -> Message:
        """Takes a message apart."""
        found = Message()
        for number, value in fields(message):
            if isinstance(value, int):
                found = replace(found, id=value) if number == 1 else found
            elif number == 2:
                found = replace(found, entity=value.decode())
            else:
                found = replace(found, kind=number, body=value)
        return found

    def encode(self) -> bytes:
        """Puts the message together; a kind of 0 has no content."""
        head = number_field(1, self.id) + bytes_field(2, self.entity.encode())
        return head + bytes_field(self.kind, self.body) if self.kind else head


def fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """The fields of a message: numbers, and parts of it. Those of other types are skipped."""
    at = 0
    while at < len(message):
        key, at = _varint(message, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(message, at)
            yield number, value
        elif kind == 2:
            length, at = _varint(message, at)
            yield number, message[at : at + length]
            at += length
        else:
            at += 8 if kind == 1 else 4


def number_in(message: bytes, wanted: int) -> int:
    """The number in a field; 0 if it is absent."""
    return next((value for number, value in fields(message) if number == wanted and isinstance(value, int)), 0)


def bytes_in(message: bytes, wanted: int) -> bytes | None:
    """The bytes in a field; `None` if it is absent."""
    return next((value for number, value in fields(message) if number == wanted and isinstance(value, bytes)), None)


def number_field(number: int, value: int) -> bytes:
    """A field with a number."""
    return _encode(number << 3) + _encode(value)


def bytes_field(number: int, value: bytes) -> bytes:
    """A field with bytes."""
    return _encode(number << 3 | 2) + _encode(len(value)) + value


def _varint(message: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = message[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7


def _encode(value: int) -> bytes:
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
