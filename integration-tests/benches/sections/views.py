"""Views: opening, exporting, and updates with live views."""

import asyncio
import os

from trades import all_trades, hosted, ipc, some_trades

COLUMNS = ["id", "symbol", "venue", "trader", "side", "price", "qty", "ts", "flag"]


def more(at, *columns):
    """`columns` and `at` others."""
    return [*columns, *[column for column in COLUMNS if column not in columns][:at]]


# Eight mixed shapes of live views; `variants` makes distinct ones of each.
SHAPES = [
    lambda at: {"columns": COLUMNS[at % 8 :] + COLUMNS[: at % 8]},
    lambda at: {"sort": [["price", "desc"]], "columns": COLUMNS[: 9 - at % 8]},
    lambda at: {"filter": [["symbol", "==", f"S{7 + at}"]]},
    lambda at: {"group_by": ["symbol"], "columns": more(at, "price"), "aggregates": {"price": "avg"}},
    lambda at: {"group_by": ["venue", "side"], "columns": more(at, "qty", "price")},
    lambda at: {"group_by": ["trader"], "columns": more(at, "qty")},
    lambda at: {"group_by": ["venue"], "split_by": ["side"], "columns": more(at, "qty")},
    lambda at: {"group_by": ["symbol"], "columns": more(at, "qty"), "sort": [["qty", "desc"]]},
]

OPENINGS = [
    ("open flat", 10, {}),
    ("open sorted by a float", 10, {"sort": [["price", "desc"]]}),
    ("open sorted by a string, a float", 10, {"sort": [["symbol", "asc"], ["price", "desc"]]}),
    ("open filtered, equality and range", 5, {"filter": [["symbol", "==", "S7"], ["price", ">", 50]]}),
    ("open filtered, contains", 5, {"filter": [["trader", "contains", "77"]]}),
    (
        "open group by 1: avg, sum",
        20,
        {"group_by": ["symbol"], "columns": ["price", "qty"], "aggregates": {"price": "avg", "qty": "sum"}},
    ),
    (
        "open group by 2: avg, sum, distinct count, max",
        20,
        {
            "group_by": ["venue", "symbol"],
            "columns": ["price", "qty", "trader", "ts"],
            "aggregates": {"price": "avg", "qty": "sum", "trader": "distinct count", "ts": "max"},
        },
    ),
    ("open group by 2, high cardinality: sum", 20, {"group_by": ["trader", "symbol"], "columns": ["qty"]}),
    (
        "open grouped, sorted by aggregate",
        20,
        {"group_by": ["symbol"], "columns": ["qty"], "sort": [["qty", "desc"]]},
    ),
    (
        "open split 20 x 2: median, sum",
        20,
        {"group_by": ["venue"], "split_by": ["side"], "columns": ["price", "qty"], "aggregates": {"price": "median"}},
    ),
    (
        "open split 1,000 x 20: sum",
        20,
        {"group_by": ["symbol"], "split_by": ["venue"], "columns": ["qty"]},
    ),
]

# The same queries for engines that recompute; they compute every level of the view.
SQL = {
    "open group by 1: avg, sum": "select symbol, avg(price), sum(qty) from trades group by rollup (symbol) order by 1",
    "open group by 2: avg, sum, distinct count, max": "select venue, symbol, avg(price), sum(qty), "
    "count(distinct trader), max(ts) from trades group by rollup (venue, symbol) order by 1, 2",
    "open group by 2, high cardinality: sum": "select trader, symbol, sum(qty) from trades "
    "group by rollup (trader, symbol) order by 1, 2",
    "open grouped, sorted by aggregate": "select symbol, sum(qty) as qty from trades group by rollup (symbol) "
    "order by 2 desc",
}


def yardsticks(rows):
    """DuckDB on the same data on all cores, and Polars if installed: name → function by operation."""
    table, _ = all_trades(rows)
    found = {}
    try:
        import duckdb

        connection = duckdb.connect()
        connection.execute(f"set threads to {os.cpu_count()}")
        connection.register("arrow_trades", table)
        connection.execute("create table trades as select * from arrow_trades")
        for name, sql in SQL.items():
            found.setdefault(name, {})["DuckDB"] = lambda sql=sql: connection.execute(sql).fetchmany(50)
    except ImportError:
        print("    (no DuckDB here)")
    try:
        import polars as pl

        frame = pl.from_arrow(table)
        lazy = frame.lazy()
        sums = [pl.col("price").mean(), pl.col("qty").sum()]
        four = [*sums, pl.col("trader").n_unique(), pl.col("ts").max()]

        def levels(keys, values):
            """Every level of the tree, as a view shows it."""
            parts = [lazy.group_by(keys[:depth]).agg(values).sort(keys[:depth]) for depth in range(1, len(keys) + 1)]
            return lambda: pl.collect_all([lazy.select(values), *parts])

        queries = {
            "open group by 1: avg, sum": levels(["symbol"], sums),
            "open group by 2: avg, sum, distinct count, max": levels(["venue", "symbol"], four),
            "open group by 2, high cardinality: sum": levels(["trader", "symbol"], [pl.col("qty").sum()]),
            "open grouped, sorted by aggregate": lambda: lazy.group_by("symbol")
            .agg(pl.col("qty").sum())
            .sort("qty", descending=True)
            .collect(),
        }
        for name, query in queries.items():
            found.setdefault(name, {})["Polars"] = query
    except ImportError:
        print("    (no Polars here)")
    return found


async def run(bench):
    for side in bench.sides:
        await hosted(bench, side)
    # First, so that memory freed by other operations does not hide that of the views.
    await live(bench)
    await openings(bench)
    await exports(bench)


async def openings(bench):
    beside = yardsticks(bench.options.rows)

    async def close(side, view):
        await view.delete()

    for name, target, config in OPENINGS:

        async def open_view(side, repeat):
            view = await side.tables["trades"].view(**config)
            await view.to_columns_string(start_row=0, end_row=50, start_col=0, end_col=10, id=True)
            return view

        others = {other: (act, 2) for other, act in beside.get(name, {}).items()}
        await bench.compare(name, open_view, target=target, after=close, others=others)


async def exports(bench):
    some = min(100_000, bench.options.rows)
    views, firsts = {}, {}
    for side in bench.sides:
        views[side.name] = await side.tables["trades"].view()
        # The client's `to_json_string` knows no viewport.
        firsts[side.name] = await side.tables["trades"].view(filter=[["id", "<", some]])

    async def arrow(side, repeat):
        return await views[side.name].to_arrow()

    async def csv(side, repeat):
        return await views[side.name].to_csv(end_row=some)

    async def columns(side, repeat):
        return await views[side.name].to_columns_string(end_row=some)

    async def rows(side, repeat):
        return await firsts[side.name].to_json_string()

    await bench.compare("export all as Arrow", arrow, target=2)
    await bench.compare(f"export {some} rows as CSV", csv, target=2)
    await bench.compare(f"export {some} rows as JSON columns", columns, target=2)
    await bench.compare(f"export {some} rows as JSON rows", rows, target=2)
    for view in [*views.values(), *firsts.values()]:
        await view.delete()


class Watched:
    """Subscribed views on one side, and the number of notifications still missing."""

    def __init__(self, side):
        self.side, self.views, self.missing, self.all_received = side, [], 0, asyncio.Event()

    async def add(self, config):
        view = await self.side.tables["trades"].view(**config)
        await view.to_columns_string(start_row=0, end_row=50, start_col=0, end_col=10, id=True)

        def received(*_):
            self.missing -= 1
            if self.missing == 0:
                self.all_received.set()

        await view.on_update(received)
        self.views.append(view)

    async def update(self, batch):
        self.missing = len(self.views)
        self.all_received.clear()
        await self.side.tables["trades"].update(batch)
        await self.all_received.wait()


async def live(bench):
    watched = {side.name: Watched(side) for side in bench.sides}
    if not bench.wants("live view"):
        return
    before = {side.name: side.resident_bytes() for side in bench.sides}
    for side in bench.sides:
        for shape in SHAPES:
            await watched[side.name].add(shape(0))
    await updates(bench, watched, 1, 300, 15)
    await updates(bench, watched, 1000, 50, 7)
    for side in bench.sides:
        for variant in range(1, 8):
            for shape in SHAPES:
                await watched[side.name].add(shape(variant))
    # 64 views, so that memory that was free before does not hide them.
    held = {side.name: (side.resident_bytes() - before[side.name]) / 64 / (1 << 20) for side in bench.sides}
    bench.record("memory a live view, mean of 64", held.get("ours"), held.get("peer"), "MiB", target=10)
    await updates(bench, watched, 1000, 50, 3)
    for of_side in watched.values():
        for view in of_side.views:
            await view.delete()


async def updates(bench, watched, size, target, repeats):
    num_views = len(next(iter(watched.values())).views)
    # Never the same batch twice: it would change nothing.
    seeds = range(100 * num_views, 100 * num_views + repeats)
    batches = [ipc(some_trades(size, bench.options.rows, size + seed)) for seed in seeds]

    async def update(side, repeat):
        await watched[side.name].update(batches[repeat])

    name = f"update {size} rows, {num_views} live views, until all heard"
    await bench.compare(name, update, target=target, repeats=repeats)
