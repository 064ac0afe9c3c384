"""A long reply, received by common WebSocket clients.

Each client opens a view on a connection of its own, requests all rows as Arrow, and is done when it has the complete
message. The client's own handling of a long message is part of the time.
"""

import asyncio
import itertools
import pathlib
import subprocess
import threading
import time
import urllib.request

import aiohttp
import picows
import tornado.websocket
import websocket
import websockets
import websockets.sync.client

from trades import hosted

HERE = pathlib.Path(__file__).resolve().parent.parent
numbers = itertools.count()


def message(entity, field, payload):
    """A protobuf request under number 1; all lengths are short."""
    part = lambda number, data: bytes([number << 3 & 0x7F | 2]) + bytes([len(data)]) + data
    tag = field << 3 | 2
    head = bytes([tag]) if tag < 0x80 else bytes([tag & 0x7F | 0x80, tag >> 7])
    return bytes([0x08, 1]) + part(2, entity.encode()) + head + bytes([len(payload)]) + payload


def requests():
    """`TableMakeView` of everything, and `ViewToArrow` of that view."""
    view = f"exported{next(numbers)}".encode()
    opening = message("trades", 6, bytes([0x0A, len(view)]) + view + bytes([0x12, 0]))
    return opening, message(view.decode(), 16, b"")


async def run(bench):
    for side in bench.sides:
        await hosted(bench, side)
    for name, receive in CLIENTS.items():
        await compare(bench, name, receive)
    if bench.wants("HTTP"):
        await over_http(bench)


async def compare(bench, name, receive):
    """Times `receive(url)`, a plain function that returns seconds and bytes, alternately, after a warm-up round."""
    name = f"all rows as Arrow: {name}"
    if not bench.wants(name):
        return
    took = {side.name: [] for side in bench.sides}
    for repeat in range(bench.options.repeats + 1):
        for side in bench.sides:
            seconds, length = await asyncio.to_thread(receive, side.url)
            if length < 10 * bench.options.rows:
                raise RuntimeError(f"{name}: {side.name} answered {length} bytes")
            if repeat:
                took[side.name].append(seconds * 1000)
    medians = {side: sorted(times)[len(times) // 2] for side, times in took.items()}
    bench.record(name, medians.get("ours"), medians.get("peer"), "ms")


async def over_http(bench):
    """The time of the same bytes without a WebSocket."""
    side = next(side for side in bench.sides if side.name == "ours")
    address = side.url.replace("ws", "http", 1).replace("/websocket", "/api/v1/tables/trades?format=arrow")

    def download():
        start = time.perf_counter()
        with urllib.request.urlopen(address) as answer:
            answer.read()
        return (time.perf_counter() - start) * 1000

    times = sorted([await asyncio.to_thread(download) for _ in range(bench.options.repeats)])
    bench.record("all rows as Arrow: over HTTP", times[len(times) // 2], None, "ms")


def by_websocket_client(url):
    """The synchronous client that most scripts use."""
    opening, asking = requests()
    socket = websocket.create_connection(url)
    try:
        socket.send_binary(opening)
        socket.recv()
        start = time.perf_counter()
        socket.send_binary(asking)
        length = len(socket.recv())
        return time.perf_counter() - start, length
    finally:
        socket.close()


def by_websockets_sync(url):
    opening, asking = requests()
    with websockets.sync.client.connect(url, max_size=None, compression=None) as socket:
        socket.send(opening)
        socket.recv()
        start = time.perf_counter()
        socket.send(asking)
        length = len(socket.recv())
        return time.perf_counter() - start, length


def asynchronous(receive):
    """A coroutine function as a plain one, on a loop of its own."""
    return lambda url: asyncio.run(receive(url))


@asynchronous
async def by_websockets(url):
    opening, asking = requests()
    async with websockets.connect(url, max_size=None, compression=None) as socket:
        await socket.send(opening)
        await socket.recv()
        start = time.perf_counter()
        await socket.send(asking)
        length = len(await socket.recv())
        return time.perf_counter() - start, length


@asynchronous
async def by_aiohttp(url):
    opening, asking = requests()
    async with aiohttp.ClientSession() as session, session.ws_connect(url, max_msg_size=0) as socket:
        await socket.send_bytes(opening)
        await socket.receive_bytes()
        start = time.perf_counter()
        await socket.send_bytes(asking)
        length = len(await socket.receive_bytes())
        return time.perf_counter() - start, length


@asynchronous
async def by_tornado(url):
    opening, asking = requests()
    socket = await tornado.websocket.websocket_connect(url, max_message_size=1 << 31)
    try:
        await socket.write_message(opening, binary=True)
        await socket.read_message()
        start = time.perf_counter()
        await socket.write_message(asking, binary=True)
        length = len(await socket.read_message())
        return time.perf_counter() - start, length
    finally:
        socket.close()


@asynchronous
async def by_picows(url):
    opening, asking = requests()
    answers = asyncio.Queue()

    class Listener(picows.WSListener):
        begun = b""

        def on_ws_frame(self, transport, frame):
            if frame.msg_type == picows.WSMsgType.PING:
                transport.send_pong(frame.get_payload_as_bytes())
            elif frame.msg_type in (picows.WSMsgType.BINARY, picows.WSMsgType.CONTINUATION):
                self.begun += frame.get_payload_as_bytes()
                if frame.fin:
                    answers.put_nowait(len(self.begun))
                    self.begun = b""

    transport, _ = await picows.ws_connect(Listener, url, websocket_handshake_timeout=20, max_frame_size=1 << 30)
    try:
        transport.send(picows.WSMsgType.BINARY, opening)
        await answers.get()
        start = time.perf_counter()
        transport.send(picows.WSMsgType.BINARY, asking)
        length = await answers.get()
        return time.perf_counter() - start, length
    finally:
        transport.disconnect()


class Script:
    """A JavaScript client in a permanent process: reads a line with a task, writes one with milliseconds and bytes."""

    def __init__(self, *command):
        self.command, self.process, self.lock = command, None, threading.Lock()

    def __call__(self, url):
        opening, asking = requests()
        with self.lock:
            if self.process is None:
                pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
                self.process = subprocess.Popen(self.command, text=True, **pipes)
            print(url, opening.hex(), asking.hex(), file=self.process.stdin, flush=True)
            answer = self.process.stdout.readline().split()
        if len(answer) != 2:
            raise RuntimeError(f"{' '.join(self.command)} failed")
        return float(answer[0]) / 1000, int(answer[1])


CLIENTS = {
    "websocket-client": by_websocket_client,
    "websockets": by_websockets,
    "websockets, synchronous": by_websockets_sync,
    "aiohttp": by_aiohttp,
    "tornado": by_tornado,
    "picows": by_picows,
    "node ws": Script("node", str(HERE / "receive.mjs"), "ws"),
    "Chromium": Script("node", str(HERE / "receive.mjs"), "chromium"),
}
