"""Expressions: views with computed columns over the table of all trades."""

import json
import pathlib
import statistics
import subprocess
import time

from trades import all_trades, hosted

NESTED = 'if("price" > 75) { if("side" == \'side1\', \'dear buy\', \'dear sell\') } else { if("qty" > 500, \'bulk\', "venue") }'

PRODUCT = '"price" * "qty"'

# Name, expression; a view shows it alone.
FLAT = [
    ("price * qty", PRODUCT),
    ("nested if of numbers", 'if("price" > 75, if("qty" > 500, "price" * 2, "price"), if("flag", 0, "price" / 2))'),
    ("nested if of texts", NESTED),
    ("concat(upper(symbol), '-', venue)", "concat(upper(\"symbol\"), '-', \"venue\")"),
    ("concat(string(id), symbol)", 'concat(string("id"), "symbol")'),
    ("match(trader)", "match(\"trader\", '^T[0-9]*7$')"),
    ("day_of_week(ts)", 'day_of_week("ts")'),
]


def polars_product(table):
    """The same product in Polars, if it is there."""
    try:
        import polars
    except ImportError:
        return None
    frame = polars.from_arrow(table)
    return lambda: frame.select((polars.col("price") * polars.col("qty")).alias("e"))


def evaluation(bench):
    """The product alone, from a snapshot to the computed column, without server, view and socket; Polars' product
    beside it, alternately. Needs `cargo build --release -p proscenium-engine --example expressions`."""
    name = "price * qty, evaluation alone"
    example = pathlib.Path(bench.options.binary).resolve().parent / "examples" / "expressions"
    if not bench.wants(name) or not example.exists():
        return
    given = subprocess.run([example, str(bench.options.rows), PRODUCT], capture_output=True, check=True, text=True)
    product = polars_product(all_trades(bench.options.rows)[0])
    beside = {}
    if product:
        took = []
        for _ in range(21):
            start = time.perf_counter()
            product()
            took.append((time.perf_counter() - start) * 1000)
        beside["polars"] = {"value": statistics.median(took), "at_most": 2}
    bench.record(name, json.loads(given.stdout)[PRODUCT], None, "ms", None, beside)


async def run(bench):
    evaluation(bench)
    # A view that was just closed may still hold its column: products alternate, so that each is computed.
    for name, text in FLAT:

        async def opened(side, repeat, text=text):
            trades = await hosted(bench, side)
            if text == PRODUCT and repeat % 2 == 1:
                text = '"qty" * "price"'
            view = await trades.view(columns=["e"], expressions={"e": f"{text} // {repeat}"})
            await view.to_columns_string(start_row=0, end_row=1)
            return view

        for side in bench.sides:
            await hosted(bench, side)
        table, _ = all_trades(bench.options.rows)
        product = polars_product(table) if name == "price * qty" else None
        others = {"polars": (product, 2)} if product else None
        # Too short to be measured by a few runs, the first of them on fresh memory.
        repeats = 21 if product else None
        await bench.compare(f"expression {name}", opened, target=10, repeats=repeats, others=others, after=closed)

    async def grouped(side, repeat):
        trades = await hosted(bench, side)
        view = await trades.view(
            group_by=["hour"],
            columns=["price"],
            expressions={"hour": f"bucket(\"ts\", 'h') // {repeat}"},
        )
        await view.to_columns_string(start_row=0, end_row=10)
        return view

    await bench.compare("expression bucket(ts, 'h') grouped", grouped, target=10, after=closed)


async def closed(side, view):
    await view.delete()
