"""The requests of a connection that wait for their answers, so that all of them fail when it is lost."""

import threading

#: The first field of requests and responses, `msg_id`; left out if it is 0.
_MSG_ID = 0x08
#: The field `server_error` of a response, and the field `message` of that.
_SERVER_ERROR, _MESSAGE = (50 << 3) | 2, (1 << 3) | 2


class Pending:
    """Numbers of requests: added when one is sent, removed by its first answer.

    >>> pending = Pending()
    >>> pending.sent(b"\\x08\\x07")
    >>> pending.sent(b"\\x08\\xac\\x02")
    >>> pending.answered(b"\\x08\\x07")
    >>> pending.failures("gone")
    [b'\\x08\\xac\\x02\\x92\\x03\\x06\\n\\x04gone']
    >>> pending.failures("gone")
    []
    """

    def __init__(self) -> None:
        self._numbers: set[int] = set()
        self._lock = threading.Lock()

    def sent(self, request: bytes) -> None:
        """Adds a request."""
        with self._lock:
            self._numbers.add(_number(request))

    def answered(self, response: bytes) -> None:
        """Removes the request of a response."""
        with self._lock:
            self._numbers.discard(_number(response))

    def failures(self, reason: str) -> list[bytes]:
        """An error response for each request that waits; none waits any more."""
        with self._lock:
            numbers, self._numbers = sorted(self._numbers), set()
        text = reason.encode()
        error = _varint(_MESSAGE) + _varint(len(text)) + text
        return [
            _varint(_MSG_ID) + _varint(number) + _varint(_SERVER_ERROR) + _varint(len(error)) + error
            for number in numbers
        ]


def _number(message: bytes) -> int:
    if not message or message[0] != _MSG_ID:
        return 0
    number = 0
    for at, byte in enumerate(message[1:6]):
        number |= (byte & 0x7F) << (7 * at)
        if byte < 0x80:
            break
    return number


def _varint(number: int) -> bytes:
    encoded = bytearray()
    while number >= 0x80:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    encoded.append(number)
    return bytes(encoded)
