"""Sends frames that are encoded and masked beforehand over a plain socket: measures the server without the client."""

import asyncio
import base64
import os
import socket
import struct
import urllib.parse

import numpy as np
import perspective

BINARY, CLOSE, PING, PONG = 2, 8, 9, 10


class Raw:
    """A WebSocket connection that sends a frame and waits for one reply."""

    def __init__(self, url):
        where = urllib.parse.urlsplit(url)
        self.socket = socket.create_connection((where.hostname, where.port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        key = base64.b64encode(os.urandom(16)).decode()
        request = (
            f"GET {where.path} HTTP/1.1\r\nHost: {where.netloc}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Key: {key}\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self.socket.sendall(request.encode())
        self.file = self.socket.makefile("rb")
        if b" 101 " not in self.file.readline():
            raise RuntimeError(f"{url} makes no WebSocket")
        while self.file.readline().strip():
            pass

    def ask(self, frame):
        """Sends a frame (see `masked`); yields the next message."""
        self.socket.sendall(frame)
        while True:
            first, length = self.file.read(2)
            if length == 126:
                (length,) = struct.unpack("!H", self.file.read(2))
            elif length == 127:
                (length,) = struct.unpack("!Q", self.file.read(8))
            payload = self.file.read(length)
            if first & 15 == BINARY:
                return payload
            if first & 15 == PING:
                self.socket.sendall(masked(payload, PONG))
            elif first & 15 == CLOSE:
                raise RuntimeError(f"the server closed: {payload}")


def masked(payload, opcode=BINARY):
    """A whole frame as a client sends it."""
    length = len(payload)
    if length < 126:
        header = struct.pack("!BB", 0x80 | opcode, 0x80 | length)
    elif length < 1 << 16:
        header = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, length)
    else:
        header = struct.pack("!BBQ", 0x80 | opcode, 0x80 | 127, length)
    mask = os.urandom(4)
    stretched = np.frombuffer((mask * (length // 4 + 1))[:length], np.uint8)
    return header + mask + (np.frombuffer(payload, np.uint8) ^ stretched).tobytes()


async def make_table_frame(name, data, **options):
    """The request by which the published client creates this table."""
    sent = asyncio.get_running_loop().create_future()

    async def send(message):
        if not sent.done():
            sent.set_result(bytes(message))

    task = asyncio.create_task(perspective.AsyncClient(send).table(data, name=name, **options))
    frame = masked(await sent)
    task.cancel()
    return frame
