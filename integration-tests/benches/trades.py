"""The data of the benchmarks: one table of trades, repeatable."""

import functools
import io

import numpy as np
import pyarrow as pa


def trades(num_rows, seed=1, ids=None):
    """id, symbol of 1000, venue of 20, trader of 5000, side, price, qty, ts, flag."""
    rng = np.random.default_rng(seed)

    def pick(prefix, count):
        names = np.array([f"{prefix}{number}" for number in range(count)], dtype=object)
        return pa.array(names[rng.integers(0, count, num_rows)], pa.string())

    return pa.table(
        {
            "id": pa.array(np.arange(num_rows) if ids is None else ids, pa.int32()),
            "symbol": pick("S", 1000),
            "venue": pick("V", 20),
            "trader": pick("T", 5000),
            "side": pick("side", 2),
            "price": pa.array(rng.random(num_rows) * 100),
            "qty": pa.array(rng.integers(0, 1000, num_rows), pa.int32()),
            "ts": pa.array(1_700_000_000_000 + rng.integers(0, 10**9, num_rows), pa.timestamp("ms")),
            "flag": pa.array(rng.random(num_rows) < 0.5),
        }
    )


def some_trades(num_rows, of, seed):
    """Trades that replace random ones of the first `of`."""
    ids = np.random.default_rng(seed + 1000).choice(of, num_rows, replace=False)
    return trades(num_rows, seed, ids)


def ipc(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


@functools.cache
def all_trades(num_rows):
    """The table and its Arrow stream; made once a process."""
    table = trades(num_rows)
    return table, ipc(table)


async def hosted(bench, side):
    """The table of all trades on one side, indexed by id; made when first asked for."""
    if "trades" not in side.tables:
        _, data = all_trades(bench.options.rows)
        side.tables["trades"] = await side.client.table(data, index="id", name="trades")
    return side.tables["trades"]
