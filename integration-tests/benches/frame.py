"""The framework of the benchmarks: two servers, the published client on each, alternating runs, medians, a table.

Invariant: both servers get the same calls of the same client alternately, so that a busy machine slows both; a figure
is the median of its repetitions; a measurement ends when the reply, or the last notification, has arrived.
"""

import asyncio
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time

import perspective
import websockets

PATIENCE_SECS = 600


class Side:
    """One server process and the published client on a WebSocket to it."""

    def __init__(self, name, process, url):
        self.name, self.process, self.url = name, process, url
        self.tables = {}

    @staticmethod
    def ours(binary):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--no-flight", "--max-frame-bytes", str(1 << 30)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in process.stdout:
            if line.startswith("listening http://"):
                url = line.strip().replace("listening http", "ws") + "/websocket"
            if line.startswith("ready"):
                return Side("ours", process, url)
        raise RuntimeError("our server did not start")

    @staticmethod
    def peer():
        script = pathlib.Path(__file__).resolve().parent / "peer_server.py"
        command = [sys.executable, str(script)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return Side("peer", process, f"ws://127.0.0.1:{int(process.stdout.readline())}/websocket")

    async def connect(self):
        # Neither side compresses: the machine is measured, not zlib.
        self.socket = await websockets.connect(self.url, max_size=None, compression=None, ping_interval=None)

        async def send(message):
            await self.socket.send(bytes(message))

        self.client = perspective.AsyncClient(send)

        async def pump():
            async for message in self.socket:
                await self.client.handle_response(message)

        self.pump = asyncio.create_task(pump())

    def resident_bytes(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def close(self):
        if hasattr(self, "pump"):
            self.pump.cancel()
            await self.socket.close()
        self.process.terminate()
        self.process.wait(20)


class Bench:
    """The sides, the options and the results of a run."""

    def __init__(self, options, sides):
        self.options, self.sides = options, sides
        self.section = ""
        self.results = []

    def wants(self, name):
        return self.options.only is None or self.options.only in name

    async def compare(self, name, act, target=None, repeats=None, after=None, others=None, rows=None):
        """Times `await act(side, repeat)` on both sides alternately; `after(side, result)` is not timed.

        `others`: further yardsticks, name → (plain function, maximum factor of its time). `rows`: rows per call, for
        figures in rows per second."""
        if not self.wants(name):
            return
        took = {side.name: [] for side in self.sides}
        other_took = {other: [] for other in others or {}}
        for repeat in range(repeats or self.options.repeats):
            for side in self.sides:
                start = time.perf_counter()
                given = await asyncio.wait_for(act(side, repeat), PATIENCE_SECS)
                took[side.name].append((time.perf_counter() - start) * 1000)
                if after:
                    await after(side, given)
            for other, (run, _) in (others or {}).items():
                start = time.perf_counter()
                run()
                other_took[other].append((time.perf_counter() - start) * 1000)
        medians = {side: statistics.median(times) for side, times in took.items() if times}
        beside = {}
        for other, times in other_took.items():
            beside[other] = {"value": statistics.median(times), "at_most": others[other][1]}
        self.record(name, medians.get("ours"), medians.get("peer"), "ms", target, beside, rows)

    def record(self, name, ours, peer, unit, target=None, beside=None, rows=None):
        """Adds a line; `target` is the factor by which ours is to be better (smaller)."""
        figure = {"section": self.section, "name": name, "unit": unit, "ours": ours, "peer": peer}
        figure["ratio"] = peer / max(ours, 1e-9) if ours is not None and peer is not None else None
        figure["target"] = target
        figure["beside"] = beside or {}
        if rows:
            figure["rows_per_second"] = {"ours": ours and rows / ours * 1000, "peer": peer and rows / peer * 1000}
        self.results.append(figure)
        print("  " + line(figure), file=sys.stderr, flush=True)


def verdict(figure):
    misses = []
    if figure["target"] and figure["ratio"] is not None and figure["ratio"] < figure["target"]:
        misses.append("MISSED")
    for other, of in figure["beside"].items():
        if figure["ours"] is not None and figure["ours"] > of["value"] * of["at_most"]:
            misses.append(f"over {of['at_most']}x {other}")
    return ", ".join(misses)


def line(figure):
    number = lambda value: f"{value:12.2f}" if value is not None else " " * 11 + "-"
    ratio = f"{figure['ratio']:8.1f}x" if figure["ratio"] is not None else " " * 9
    target = f"{figure['target']:5g}x" if figure["target"] else " " * 6
    beside = "".join(f"  {other} {of['value']:.1f}" for other, of in figure["beside"].items())
    if "rows_per_second" in figure:
        pace = [f"{pace:,.0f}" if pace else "-" for pace in figure["rows_per_second"].values()]
        beside += f"  {' / '.join(pace)} rows/s"
    start = f"{figure['name']:48} {number(figure['ours'])} {number(figure['peer'])}  {figure['unit']:9}"
    return f"{start}{ratio} {target}{beside}  {verdict(figure)}".rstrip()


def print_table(results):
    section = None
    for figure in results:
        if figure["section"] != section:
            section = figure["section"]
            header = f"{'ours':>12} {'peer':>12}  {'unit':9}{'ratio':>9} {'target':>6}"
            print(f"\n{section:48} {header}")
        print(line(figure))


async def run(options, sections):
    """Runs the sections, one after the other, on one pair of servers; returns the figures."""
    sides = []
    try:
        for start in (lambda: Side.ours(options.binary), Side.peer):
            sides.append(start())
        if options.only_ours:
            await sides.pop().close()
        for side in sides:
            await side.connect()
        bench = Bench(options, sides)
        for section in sections:
            bench.section = section.__name__.rpartition(".")[2]
            print(f"{bench.section}: {section.__doc__.splitlines()[0]}", file=sys.stderr, flush=True)
            await section.run(bench)
    finally:
        for side in sides:
            await side.close()
    print_table(bench.results)
    if options.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
        document = {"rows": options.rows, "machine": machine, "results": bench.results}
        pathlib.Path(options.json).write_text(json.dumps(document, indent=1))
    return bench.results
