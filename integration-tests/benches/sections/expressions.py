"""Expressions: views with computed columns over the table of all trades."""

import numpy as np

from trades import all_trades, hosted

NESTED = 'if("price" > 75) { if("side" == \'side1\', \'dear buy\', \'dear sell\') } else { if("qty" > 500, \'bulk\', "venue") }'

# Name, expression; a view shows it alone.
FLAT = [
    ("price * qty", '"price" * "qty"'),
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


async def run(bench):
    # Distinct expressions for each repetition: nothing is answered from before.
    for name, text in FLAT:

        async def opened(side, repeat, text=text):
            trades = await hosted(bench, side)
            view = await trades.view(columns=["e"], expressions={"e": f"{text} // {repeat}"})
            await view.to_columns_string(start_row=0, end_row=1)
            return view

        for side in bench.sides:
            await hosted(bench, side)
        table, _ = all_trades(bench.options.rows)
        product = polars_product(table) if name == "price * qty" else None
        others = {"polars": (product, 2)} if product else None
        await bench.compare(f"expression {name}", opened, target=10, others=others, after=closed)

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
