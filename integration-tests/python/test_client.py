"""The published Python client (the new protocol generation) on the real server."""

import asyncio
import io
import itertools

import pyarrow as pa
import pytest

ROWS = [
    {"id": 1, "region": "north", "product": "tea", "amount": 10, "price": 1.5},
    {"id": 2, "region": "south", "product": "tea", "amount": 20, "price": 2.5},
    {"id": 3, "region": "north", "product": "rye", "amount": 30, "price": 3.5},
    {"id": 4, "region": "south", "product": "rye", "amount": 40, "price": 4.5},
    {"id": 5, "region": "north", "product": "tea", "amount": 50, "price": 5.5},
]
SCHEMA = {"id": "integer", "region": "string", "product": "string", "amount": "integer", "price": "float"}
NAMES = (f"python-{number}" for number in itertools.count())


def read_arrow(data):
    return pa.ipc.open_stream(io.BytesIO(data)).read_all()


async def orders(client):
    return await client.table(ROWS, name=next(NAMES), index="id")


async def columns(table, **config):
    view = await table.view(**config)
    try:
        return await view.to_columns()
    finally:
        await view.delete()


ARROW = io.BytesIO()
with pa.ipc.new_stream(ARROW, pa.schema([("x", pa.int32()), ("y", pa.string())])) as writer:
    writer.write_table(pa.table({"x": pa.array([1, 2, 3], pa.int32()), "y": ["a", "b", "c"]}))


@pytest.mark.parametrize(
    ("data", "options"),
    [
        ([{"x": 1, "y": "a"}, {"x": 2, "y": "b"}, {"x": 3, "y": "c"}], {}),
        ({"x": [1, 2, 3], "y": ["a", "b", "c"]}, {}),
        ("x,y\n1,a\n2,b\n3,c\n", {}),
        ('{"x":1,"y":"a"}\n{"x":2,"y":"b"}\n{"x":3,"y":"c"}\n', {"format": "ndjson"}),
        (ARROW.getvalue(), {}),
    ],
    ids=["rows", "columns", "csv", "ndjson", "arrow"],
)
def test_a_table_is_made_from(run, data, options):
    async def talk(client):
        table = await client.table(data, name=next(NAMES), **options)
        assert await table.schema() == {"x": "integer", "y": "string"}
        assert await table.size() == 3
        assert await columns(table) == {"x": [1, 2, 3], "y": ["a", "b", "c"]}

    run(talk)


def test_a_table_is_made_from_a_schema_and_found_by_name(run):
    async def talk(client):
        name = next(NAMES)
        await client.table(SCHEMA, name=name, index="id")
        table = await client.open_table(name)
        assert await table.schema() == SCHEMA
        assert await table.size() == 0
        assert table.get_index() == "id"
        assert name in await client.get_hosted_table_names()

    run(talk)


def test_a_limited_table_keeps_the_last_rows(run):
    async def talk(client):
        table = await client.table({"x": "integer"}, name=next(NAMES), limit=3)
        for x in range(5):
            await table.update([{"x": x}])
        assert await columns(table) == {"x": [2, 3, 4]}

    run(talk)


def test_a_view_is_sorted_and_filtered(run):
    async def talk(client):
        table = await orders(client)
        got = await columns(table, columns=["id"], sort=[["product", "asc"], ["amount", "desc"]])
        assert got == {"id": [4, 3, 5, 2, 1]}
        got = await columns(table, columns=["id"], filter=[["region", "==", "north"], ["amount", ">", 10]])
        assert got == {"id": [3, 5]}

    run(talk)


@pytest.mark.parametrize(
    ("aggregate", "column", "expected"),
    [
        ("sum", "amount", [150, 90, 60]),
        ("count", "amount", [5, 3, 2]),
        ("avg", "price", [3.5, 3.5, 3.5]),
        ("min", "price", [1.5, 1.5, 2.5]),
        ("max", "price", [5.5, 5.5, 4.5]),
    ],
)
def test_a_grouped_view_computes(run, aggregate, column, expected):
    async def talk(client):
        table = await orders(client)
        got = await columns(table, group_by=["region"], columns=[column], aggregates={column: aggregate})
        assert got == {"__ROW_PATH__": [[], ["north"], ["south"]], column: expected}

    run(talk)


def test_a_view_is_grouped_by_two_columns(run):
    async def talk(client):
        table = await orders(client)
        got = await columns(table, group_by=["region", "product"], columns=["amount"])
        assert got["amount"] == [150, 90, 30, 60, 60, 40, 20]

    run(talk)


def test_a_view_has_column_paths_and_a_description(run):
    async def talk(client):
        table = await orders(client)
        view = await table.view(group_by=["region"], split_by=["product"], columns=["amount"])
        assert (await view.to_columns())["rye|amount"] == [70, 30, 40]
        await view.delete()
        checked = await table.validate_expressions({"twice": '"amount" * 2', "wrong": '"nothing" + 1'})
        assert "wrong" in checked["errors"]

    run(talk)


def test_arrow_comes_back_equal(run):
    async def talk(client):
        table = await orders(client)
        view = await table.view()
        got = read_arrow(await view.to_arrow()).to_pylist()
        await view.delete()
        assert got == ROWS

    run(talk)


def test_rows_are_removed_replaced_and_cleared(run):
    async def talk(client):
        table = await orders(client)
        await table.remove([2, 4])
        assert (await columns(table))["id"] == [1, 3, 5]
        await table.replace([ROWS[3]])
        assert (await columns(table))["id"] == [4]
        await table.clear()
        assert await table.size() == 0

    run(talk)


def test_a_subscriber_gets_the_changed_rows(run):
    async def talk(client):
        table = await orders(client)
        view = await table.view()
        heard = asyncio.get_running_loop().create_future()
        await view.on_update(lambda port, delta: heard.set_result((port, delta)), mode="row")
        port = await table.make_port()
        await table.update([{"id": 2, "amount": 21}], port_id=port)
        told, delta = await heard
        assert told == port
        assert read_arrow(delta).to_pylist() == [{**ROWS[1], "amount": 21}]
        await view.delete()

    run(talk)


def test_two_clients_see_each_others_updates(run):
    async def talk(one, other):
        mine = await orders(one)
        theirs = await other.open_table(mine.get_name())
        view = await theirs.view(group_by=["region"], columns=["amount"])
        heard = asyncio.get_running_loop().create_future()
        await view.on_update(lambda _: heard.done() or heard.set_result(True))
        # Subscribing has no reply; the one to a later request shows that the server has handled it.
        await view.num_rows()
        await mine.update([{"id": 1, "amount": 1010}])
        await heard
        assert (await view.to_columns())["amount"] == [1150, 1090, 60]
        await view.delete()

    run(talk, num_clients=2)


def test_a_table_is_deleted(run):
    async def talk(client):
        table = await orders(client)
        view = await table.view()
        with pytest.raises(Exception, match="views"):
            await table.delete()
        await view.delete()
        await table.delete()
        assert table.get_name() not in await client.get_hosted_table_names()

    run(talk)
