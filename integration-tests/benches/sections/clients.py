"""Many clients at once: 50 and 200 raw connections follow four kinds of views of a table of 100,000 rows.

The load generator (`cargo build --release -p proscenium-load`) drives one server at a time. Updates of 100 rows are due
every four seconds, so that the reference engine, too, completes one before the next: no queues are measured.
"""

import asyncio
import json
import pathlib
import tempfile

CLIENTS = (50, 200)


async def load(bench, side, clients):
    generator = pathlib.Path(bench.options.binary).with_name("proscenium-load")
    if not generator.exists():
        raise RuntimeError(f"{generator.name} is missing: cargo build --release -p proscenium-load")
    with tempfile.NamedTemporaryFile(suffix=".json") as figures:
        arguments = ["--url", side.url, "--pid", side.process.pid, "--table", f"load {clients}", "--clients", clients]
        rhythm = ["--rate", 0.25, "--seconds", 16, "--table-rows", min(100_000, bench.options.rows)]
        command = [str(part) for part in [generator, *arguments, *rhythm, "--json", figures.name]]
        process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.DEVNULL)
        if await process.wait() != 0:
            raise RuntimeError(f"the load generator failed against {side.name}")
        return json.loads(pathlib.Path(figures.name).read_text())


async def run(bench):
    for clients in CLIENTS:
        name = f"100-row update to {clients} clients"
        if not bench.wants(name):
            continue
        found = {side.name: await load(bench, side, clients) for side in bench.sides}

        def record(what, unit, read):
            ours, peer = (read(found[side]) if side in found else None for side in ("ours", "peer"))
            bench.record(f"{name}, {what}", ours, peer, unit)

        record("median delivery", "ms", lambda figures: figures["delivery_ms"]["p50"])
        record("slowest delivery", "ms", lambda figures: figures["delivery_ms"]["max"])
        record("server's processor time", "s", lambda figures: figures["server_busy_seconds"])
        memory = lambda figures: figures["resident_bytes"]["end"] - figures["resident_bytes"]["table"]
        record("memory of all views", "MB", lambda figures: memory(figures) / 1e6)
