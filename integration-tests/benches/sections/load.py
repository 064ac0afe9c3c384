"""Tables: loading and updating."""

import io
import json

import pyarrow as pa
import pyarrow.csv

import raw
from trades import all_trades, hosted, some_trades, ipc


async def run(bench):
    rows = bench.options.rows
    table, data = all_trades(rows)
    await memory(bench, data)
    # The client's own time (encoding, masking, sending) is half of the first figure and not part of the raw frame's.
    await load(bench, "Arrow", rows, lambda: data, target=3, index="id")
    await load_raw(bench, "Arrow", rows, lambda: data, target=3, index="id")
    few = table.slice(0, rows // 5)
    await load(bench, "CSV", len(few), lambda: csv(few), target=3)
    await load_raw(bench, "CSV", len(few), lambda: csv(few), target=3)
    await load(bench, "JSON rows", len(few), lambda: json_rows(few), format="json")
    await load(bench, "JSON columns", len(few), lambda: json_columns(few), format="columns")
    await load(bench, "NDJSON", len(few), lambda: ndjson(few), format="ndjson")
    await load_raw(bench, "JSON rows", len(few), lambda: json_rows(few), format="json")
    await load_raw(bench, "JSON columns", len(few), lambda: json_columns(few), format="columns")
    await load_raw(bench, "NDJSON", len(few), lambda: ndjson(few), format="ndjson")
    for size in (1, 10, 100, 1000, 10_000):
        name = f"update {size} rows of an indexed table"
        if size > rows or not bench.wants(name):
            continue
        batches = [ipc(some_trades(size, rows, seed)) for seed in range(15)]

        async def update(side, repeat):
            trades = await hosted(bench, side)
            await trades.update(batches[repeat])

        for side in bench.sides:
            await hosted(bench, side)
        await bench.compare(name, update, repeats=len(batches), rows=size)


async def load(bench, kind, rows, make, target=None, **options):
    """Makes a table by the published client."""
    name = f"load {kind} {rows} x 9"
    if not bench.wants(name):
        return
    data = make()

    async def act(side, repeat):
        return await side.client.table(data, name=f"loaded{repeat}", **options)

    async def delete(side, loaded):
        await loaded.delete()

    await bench.compare(name, act, target=target, after=delete, rows=rows)


async def load_raw(bench, kind, rows, make, target=None, **options):
    """As `load`, on a raw connection: the time of the servers alone, including receiving."""
    name = f"load {kind} {rows} x 9, raw frame"
    if not bench.wants(name):
        return
    frame = await raw.make_table_frame("raw", make(), **options)
    connections = {side.name: raw.Raw(side.url) for side in bench.sides}

    async def act(side, repeat):
        answer = connections[side.name].ask(frame)
        if len(answer) > 100:
            raise RuntimeError(f"{side.name}: {answer[:300]}")

    async def delete(side, _):
        await (await side.client.open_table("raw")).delete()

    await bench.compare(name, act, target=target, after=delete, rows=rows)


def csv(table):
    sink = io.BytesIO()
    pyarrow.csv.write_csv(table, sink)
    return sink.getvalue().decode()


def plain(table):
    """With datetimes as numbers, as a browser sends them."""
    return table.set_column(table.schema.get_field_index("ts"), "ts", table["ts"].cast(pa.int64()))


def json_rows(table):
    return json.dumps(plain(table).to_pylist())


def json_columns(table):
    return json.dumps(plain(table).to_pydict())


def ndjson(table):
    return "\n".join(map(json.dumps, plain(table).to_pylist()))


async def memory(bench, data):
    """Memory per row on a newly started server."""
    name = "memory a row"
    if not bench.wants(name):
        return
    held = {}
    for side in bench.sides:
        before = side.resident_bytes()
        await hosted(bench, side)
        held[side.name] = (side.resident_bytes() - before) / bench.options.rows
    bench.record(name, held.get("ours"), held.get("peer"), "bytes", target=2)
