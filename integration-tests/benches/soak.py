"""A long run in which everything comes and goes: memory must be flat over its second half.

    python soak.py --binary ../../target/release/proscenium [--minutes 30] [--rows 1000000] [--check]

Four at once, each again and again: unique texts written over the rows of a table that has views; tables of a million
rows made, looked at and dropped; connections that open views, subscribe and leave without a word; exports. Once a
minute the resident memory is printed, the least of ten readings. Eight times all of them pause, and what the server
holds then, with the same table and nobody connected, can be compared: `--check` fails if it is more than a tenth (and
16 MiB) higher at the end than after the first half.
"""

import argparse
import asyncio
import contextlib
import http.client
import pathlib
import subprocess
import sys
import threading
import time

import numpy
import perspective
import pyarrow as pa
import websockets

MIB = 1 << 20
READINGS_PER_ROUND = 10
NUM_PAUSES = 8
# Connections that left without a word are noticed by a ping that is not answered, and memory is given back after that.
PAUSE_SECONDS = 45


def arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


class Server:
    def __init__(self, binary):
        command = [str(binary), "serve", "--listen", "127.0.0.1:0", "--no-flight"]
        self.child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.child.stdout:
            if line.startswith("listening http://"):
                self.place = line.strip().removeprefix("listening http://")
            if line.strip() == "ready":
                return
        raise RuntimeError("the server ended before it was ready")

    def resident(self):
        with open(f"/proc/{self.child.pid}/statm") as numbers:
            return int(numbers.read().split()[1]) * 4096 / MIB

    def ask(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.place, timeout=120)
        try:
            connection.request(method, path, body=body)
            response = connection.getresponse()
            answer = response.read()
            if response.status >= 300:
                raise RuntimeError(f"{method} {path}: {response.status} {answer[:200]!r}")
            return answer
        finally:
            connection.close()


@contextlib.asynccontextmanager
async def client(server):
    async with websockets.connect(f"ws://{server.place}/websocket", max_size=None) as socket:

        async def send(message):
            await socket.send(bytes(message))

        opened = perspective.AsyncClient(send)

        async def pump():
            async for message in socket:
                await opened.handle_response(message)

        task = asyncio.create_task(pump())
        try:
            yield opened
        finally:
            task.cancel()


class Soak:
    def __init__(self, server, rows, until):
        self.server, self.rows, self.until = server, rows, until
        self.counts, self.faults = {}, []
        self.may_work = threading.Event()
        self.may_work.set()
        self.num_working, self.changed = 0, threading.Condition()

    def again(self, name, work):
        """Does `work(round)` until the end, in a thread."""

        def loop():
            number = 0
            while time.monotonic() < self.until and not self.faults:
                self.may_work.wait()
                self.note_working(1)
                try:
                    work(number)
                except Exception as fault:  # noqa: BLE001: whatever it is, the run has failed
                    self.faults.append(f"{name}: {fault!r}")
                finally:
                    self.note_working(-1)
                number += 1
                self.counts[name] = number

        thread = threading.Thread(target=loop, name=name, daemon=True)
        thread.start()
        return thread

    def note_working(self, change):
        with self.changed:
            self.num_working += change
            self.changed.notify_all()

    def at_rest(self):
        """Resident memory while nothing is asked of the server."""
        self.may_work.clear()
        with self.changed:
            self.changed.wait_for(lambda: self.num_working == 0, 300)
        time.sleep(PAUSE_SECONDS)
        resident = self.server.resident()
        self.may_work.set()
        return resident

    def unique_texts(self, number):
        """Every row of the table gets a text that never was there."""
        keys = range(20_000)
        texts = pa.array([f"text {number}-{key}" for key in keys])
        batch = pa.table({"key": keys, "text": texts, "number": numpy.random.random(len(keys))})
        self.server.ask("POST" if number else "PUT", "/api/v1/tables/churn?format=arrow&index=key", arrow(batch))

    def large_tables(self, number):
        name = f"/api/v1/tables/large{number}"
        random = numpy.random.default_rng(number)
        table = pa.table(
            {
                "row": numpy.arange(self.rows),
                "price": random.random(self.rows),
                "symbol": numpy.array([f"s{n}" for n in range(500)])[random.integers(0, 500, self.rows)],
            }
        )
        self.server.ask("PUT", f"{name}?format=arrow", arrow(table))
        self.server.ask("GET", f"{name}?format=csv")
        self.server.ask("DELETE", name)

    def connections(self, _number):
        async def visit():
            async with client(self.server) as visitor:
                table = await visitor.open_table("churn")
                for config in (
                    {"sort": [["number", "desc"]]},
                    {"group_by": ["text"], "columns": ["number"]},
                    {"filter": [["number", ">", 0.5]], "expressions": {"twice": '"number" * 2'}},
                ):
                    view = await table.view(**config)
                    await view.on_update(lambda *_: None, mode="row")
                    await view.to_columns(start_row=0, end_row=50)
                # It leaves without deleting anything.

        asyncio.run(asyncio.wait_for(visit(), 120))

    def exports(self, number):
        self.server.ask("GET", f"/api/v1/tables/churn?format={('csv', 'json', 'arrow')[number % 3]}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--binary", required=True, type=pathlib.Path, help="our release binary")
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rows", type=int, default=1_000_000, help="of the tables that are made and dropped")
    parser.add_argument("--check", action="store_true", help="fail unless memory is flat")
    wanted = parser.parse_args()
    server = Server(wanted.binary)
    start = time.monotonic()
    until = start + wanted.minutes * 60
    soak = Soak(server, wanted.rows, until)
    at_rest = []
    try:
        soak.unique_texts(0)
        works = {
            "unique texts": lambda number: soak.unique_texts(number + 1),
            "large tables": soak.large_tables,
            "connections": soak.connections,
            "exports": soak.exports,
        }
        threads = [soak.again(name, work) for name, work in works.items()]
        print(f"{'minute':>8}{'resident, least of ten, MiB':>30}   done so far")
        pause = min(60, wanted.minutes * 60 / NUM_PAUSES) / READINGS_PER_ROUND
        for number in range(1, NUM_PAUSES + 1):
            next_pause = start + number * wanted.minutes * 60 / NUM_PAUSES - PAUSE_SECONDS
            while time.monotonic() < next_pause and not soak.faults:
                readings = []
                for _ in range(READINGS_PER_ROUND):
                    time.sleep(pause)
                    readings.append(server.resident())
                print(f"{(time.monotonic() - start) / 60:>8.1f}{min(readings):>30.0f}   {soak.counts}", flush=True)
            at_rest.append(soak.at_rest())
            print(f"{(time.monotonic() - start) / 60:>8.1f}{at_rest[-1]:>30.0f}   at rest", flush=True)
        for thread in threads:
            thread.join(180)
    finally:
        server.child.terminate()
        server.child.wait(60)
    for fault in soak.faults:
        print(fault)
    half, end = at_rest[NUM_PAUSES // 2 - 1], at_rest[-1]
    is_flat = end <= half + max(half / 10, 16)
    print(f"at rest after the first half {half:.0f} MiB, at the end {end:.0f} MiB: {'flat' if is_flat else 'grows'}")
    if soak.faults or (wanted.check and not is_flat):
        sys.exit(1)


if __name__ == "__main__":
    main()
