"""The real server on free ports, and the published Python client on a WebSocket."""

import asyncio
import contextlib
import os
import pathlib
import subprocess
import types

import perspective
import pytest
import websockets

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = os.environ.get("PROSCENIUM_BIN", str(ROOT / "target/debug/proscenium"))
PATIENCE_SECS = 60


@contextlib.contextmanager
def serve(*extra, at_start=None):
    """A server with these arguments; `at_start` runs in its process first. Its addresses: `http`, `websocket`, `grpc`."""
    command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--flight", "127.0.0.1:0", *extra]
    child = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, preexec_fn=at_start
    )
    found = types.SimpleNamespace(pid=child.pid)
    try:
        for line in child.stdout:
            word, _, address = line.strip().partition(" ")
            if word == "listening":
                kind, _, place = address.partition("://")
                setattr(found, kind, address)
                if kind == "http":
                    found.websocket = f"ws://{place}/websocket"
            elif word == "ready":
                break
        else:
            raise RuntimeError(f"{BINARY} ended before it was ready")
        yield found
    finally:
        child.terminate()
        child.wait(PATIENCE_SECS)


@pytest.fixture(scope="session")
def server():
    with serve() as found:
        yield found


@contextlib.asynccontextmanager
async def connect(server):
    """The published client, which has no transport of its own."""
    async with websockets.connect(server.websocket, max_size=None) as socket:

        async def send(message):
            await socket.send(bytes(message))

        client = perspective.AsyncClient(send)

        async def pump():
            async for message in socket:
                await client.handle_response(message)

        task = asyncio.create_task(pump())
        try:
            yield client
        finally:
            task.cancel()


@pytest.fixture
def run(server):
    """Runs `talk(client, …)` with one client per parameter."""

    def run(talk, num_clients=1):
        async def all_of_it():
            async with contextlib.AsyncExitStack() as stack:
                clients = [await stack.enter_async_context(connect(server)) for _ in range(num_clients)]
                return await asyncio.wait_for(talk(*clients), PATIENCE_SECS)

        return asyncio.run(all_of_it())

    return run
