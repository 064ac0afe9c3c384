"""Tables: loading and updating."""

import io

import pyarrow.csv

from trades import all_trades, hosted, some_trades, ipc


async def run(bench):
    rows = bench.options.rows
    table, data = all_trades(rows)
    await memory(bench, data)
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table.slice(0, rows // 5), sink)
    text = sink.getvalue().decode()

    async def load_arrow(side, repeat):
        return await side.client.table(data, index="id", name=f"arrow{repeat}")

    async def load_csv(side, repeat):
        return await side.client.table(text, name=f"csv{repeat}")

    async def delete(side, loaded):
        await loaded.delete()

    await bench.compare(f"load Arrow {rows} x 9", load_arrow, target=3, repeats=3, after=delete)
    await bench.compare(f"load CSV {rows // 5} x 9", load_csv, target=3, repeats=3, after=delete)
    for size in (1, 10, 100, 1000, 10_000):
        if size > rows:
            continue
        batches = [ipc(some_trades(size, rows, seed)) for seed in range(15)]

        async def update(side, repeat):
            trades = await hosted(bench, side)
            await trades.update(batches[repeat])

        for side in bench.sides:
            await hosted(bench, side)
        await bench.compare(f"update {size} rows of an indexed table", update, repeats=len(batches))


async def memory(bench, data):
    """What a row costs, from a server that has just begun."""
    name = "memory a row"
    if not bench.wants(name):
        return
    held = {}
    for side in bench.sides:
        before = side.resident_bytes()
        await hosted(bench, side)
        held[side.name] = (side.resident_bytes() - before) / bench.options.rows
    bench.record(name, held.get("ours"), held.get("peer"), "bytes", target=2)
