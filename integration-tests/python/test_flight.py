"""Arrow Flight with pyarrow, as another service would use it."""

import asyncio
import itertools
import json
import urllib.request

import pyarrow as pa
import pyarrow.flight as flight
import pytest

NAMES = (f"flight-{number}" for number in itertools.count())
ROWS = pa.table(
    {
        "id": pa.array([1, 2, 3], pa.int64()),
        "name": ["ann", "bob", None],
        "price": [1.5, None, 3.5],
        "sold": [True, False, None],
        "day": pa.array([0, 1, 20000], pa.date32()),
        "at": pa.array([0, 1, 1_700_000_000_000], pa.timestamp("ms")),
    }
)


@pytest.fixture
def client(server):
    with flight.connect(server.grpc) as client:
        yield client


def put(client, rows, table, **options):
    command = json.dumps({"table": table, **options}).encode()
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), rows.schema)
    with writer:
        writer.write_table(rows)
        writer.done_writing()
        # The server's final status; until then it may still be applying the data.
        while reader.read() is not None:
            pass


def get(client, ticket):
    return client.do_get(flight.Ticket(ticket)).read_all()


def plain(table):
    """Decodes dictionaries to text."""
    return table.to_pylist()


def test_what_was_put_comes_back_equal(client):
    name = next(NAMES)
    put(client, ROWS, name, mode="create", index="id")
    got = get(client, name.encode())
    assert got.column_names == ROWS.column_names
    assert plain(got) == plain(ROWS)


def test_a_path_names_a_table_too(client):
    name = next(NAMES)
    writer, _ = client.do_put(flight.FlightDescriptor.for_path(name), ROWS.schema)
    with writer:
        writer.write_table(ROWS)
    assert plain(get(client, name.encode())) == plain(ROWS)


def test_rows_are_merged_appended_replaced_and_removed(client):
    name = next(NAMES)
    put(client, ROWS, name, mode="create", index="id")
    put(client, pa.table({"id": [3, 4], "name": ["cleo", "dan"]}), name, mode="upsert")
    assert get(client, name.encode())["name"].to_pylist() == ["ann", "bob", "cleo", "dan"]
    put(client, pa.table({"id": [1, 4]}), name, mode="remove")
    assert get(client, name.encode())["id"].to_pylist() == [2, 3]
    put(client, ROWS.slice(0, 1), name, mode="replace")
    assert get(client, name.encode())["id"].to_pylist() == [1]


def test_a_view_is_fetched(client):
    name = next(NAMES)
    put(client, pa.table({"g": ["a", "b", "a"], "x": [1, 2, 3]}), name, mode="create")
    view = {"group_by": ["g"], "columns": ["x"]}
    got = get(client, json.dumps({"table": name, "view": view}).encode())
    assert got["x"].to_pylist() == [6, 4, 2]


TICKS = pa.table({"id": [1, 2, 3, 4], "g": ["a", "b", "a", "b"], "x": [1.0, 2.0, 3.0, 4.0]})
COMPUTED = {
    "columns": ["id", "double", "so far", "before"],
    "expressions": {"double": '"x" * 2'},
    "windows": {
        "before": {"column": "x", "aggregate": "lag", "partition_by": ["g"], "order_by": ["id", "desc"]},
        "so far": {"column": "double", "aggregate": "sum", "rows": 1},
    },
}


def ask(client, table, view):
    return get(client, json.dumps({"table": table, "view": view}).encode())


def test_expressions_and_windows_are_fetched(client):
    name = next(NAMES)
    put(client, TICKS, name, mode="create", index="id")
    got = ask(client, name, COMPUTED)
    assert got.to_pydict() == {
        "id": [1, 2, 3, 4],
        "double": [2.0, 4.0, 6.0, 8.0],
        "so far": [2.0, 6.0, 10.0, 14.0],
        "before": [3.0, 4.0, None, None],
    }
    upper = {"columns": ["X"], "expressions": {"X": 'upper("g")'}, "filter": [["X", "==", "A"]]}
    assert ask(client, name, upper).to_pydict() == {"X": ["A", "A"]}
    assert ask(client, name, {"expressions": {"e": "1"}}).column_names == ["id", "g", "x", "e"]
    grouped = {"group_by": ["X"], "columns": ["y"], "expressions": {"X": 'upper("g")', "y": '"x" + 1'}}
    assert ask(client, name, grouped)["y"].to_pylist() == [14.0, 6.0, 8.0]
    # As they were put, and again after a change.
    put(client, pa.table({"id": [1], "x": [10.0]}), name, mode="upsert")
    assert ask(client, name, COMPUTED)["so far"].to_pylist() == [20.0, 24.0, 10.0, 14.0]
    command = json.dumps({"table": name, "view": COMPUTED}).encode()
    info = client.get_flight_info(flight.FlightDescriptor.for_command(command))
    assert (info.total_records, info.schema.names) == (4, COMPUTED["columns"])


def test_a_get_equals_what_a_websocket_client_gets(client, run):
    name = next(NAMES)
    put(client, TICKS, name, mode="create", index="id")

    async def talk(other):
        table = await other.open_table(name)
        view = await table.view(**COMPUTED)
        assert await view.to_columns() == (await asyncio.to_thread(ask, client, name, COMPUTED)).to_pydict()
        await view.delete()

    run(talk)


@pytest.mark.parametrize(
    ("view", "wrong"),
    [
        ({"expressions": {"bad one": '"nope" + 1'}}, "bad one|nope"),
        ({"expressions": {"x": "1"}}, "x"),
        ({"expressions": {"e": "1 +"}}, "e"),
        ({"windows": {"w": {"column": "nope", "aggregate": "sum"}}}, "nope"),
        ({"windows": {"w": {"column": "g", "aggregate": "sum"}}}, "w"),
        ({"windows": {"w": {"column": "x", "aggregate": "summe"}}}, "summe"),
        ({"windows": {"w": {"column": "x", "aggregate": "sum", "size": 3}}}, "\"w\".*size"),
        ({"windows": {"w": {"column": "x", "aggregate": "sum", "rows": 1, "range": 2}}}, "\"w\".*exclude"),
    ],
)
def test_what_is_wrong_with_a_view_is_named(client, view, wrong):
    name = next(NAMES)
    put(client, TICKS, name, mode="create", index="id")
    with pytest.raises(pa.ArrowInvalid, match=wrong):
        ask(client, name, view)
    assert ask(client, name, COMPUTED).num_rows == 4


def test_a_get_given_up_leaves_nothing_behind(client, run):
    """A leftover view of a finished call would prevent the table's deletion."""
    name = next(NAMES)
    count = 300_000
    put(client, pa.table({"id": range(count), "x": [0.5] * count}), name, mode="create", index="id")
    view = {"expressions": {"twice": '"x" * 2'}, "windows": {"w": {"column": "x", "aggregate": "sum"}}}
    reader = client.do_get(flight.Ticket(json.dumps({"table": name, "view": view}).encode()))
    assert reader.read_chunk().data["twice"][0].as_py() == 1.0
    reader.cancel()

    async def talk(other):
        await (await other.open_table(name)).delete()

    run(talk)
    with pytest.raises(pa.ArrowKeyError, match=name):
        get(client, name.encode())


def test_tables_are_listed_and_described(client):
    name = next(NAMES)
    put(client, ROWS, name, mode="create")
    descriptor = flight.FlightDescriptor.for_path(name)
    assert [name.encode()] in [list(info.descriptor.path or []) for info in client.list_flights()]
    info = client.get_flight_info(descriptor)
    assert info.total_records == 3
    assert info.schema.names == ROWS.column_names
    assert plain(get(client, info.endpoints[0].ticket.ticket)) == plain(ROWS)


def test_what_is_put_ticks_on_a_websocket(client, run):
    name = next(NAMES)
    put(client, ROWS, name, mode="create", index="id")

    async def talk(watcher):
        table = await watcher.open_table(name)
        view = await table.view(columns=["id", "price"])
        heard = asyncio.get_running_loop().create_future()
        await view.on_update(lambda _: heard.done() or heard.set_result(True))
        await view.num_rows()
        rows = pa.table({"id": [2], "price": [2.5]})
        await asyncio.to_thread(put, client, rows, name, mode="upsert")
        await heard
        assert (await view.to_columns())["price"] == [1.5, 2.5, 3.5]
        await view.delete()

    run(talk)


def test_a_million_rows_go_both_ways(client):
    name = next(NAMES)
    count = 1_000_000
    sent = pa.table(
        {
            "id": pa.array(range(count), pa.int64()),
            "x": pa.array([n * 0.5 for n in range(count)], pa.float64()),
            "g": pa.array(["abcdefgh"[n % 8] for n in range(count)]),
        }
    )
    put(client, sent, name, mode="create", index="id")
    got = get(client, name.encode())
    assert got.num_rows == count
    assert got["id"].combine_chunks().equals(sent["id"].combine_chunks())
    assert got["x"].combine_chunks().equals(sent["x"].combine_chunks())
    assert got["g"].cast(pa.string()).combine_chunks().equals(sent["g"].combine_chunks())


def test_a_missing_table_is_named(client):
    with pytest.raises(pa.ArrowKeyError, match="nowhere"):
        get(client, b"nowhere")


def test_a_put_to_another_table_than_it_says_is_refused(client):
    name = next(NAMES)
    put(client, ROWS, name, mode="create", index="id")
    more = ROWS.append_column("unknown", pa.array([1, 2, 3]))
    for rows, options, wrong in [
        (more, {}, "unknown"),
        (more, {"mode": "replace"}, "unknown"),
        (ROWS, {"index": "name"}, '"id"'),
        (ROWS, {"limit": 3}, "limit"),
        (ROWS, {"lists": "cartesian"}, "zip"),
    ]:
        with pytest.raises(pa.ArrowException, match=wrong):
            put(client, rows, name, **{"mode": "upsert", **options})
    assert plain(get(client, name.encode())) == plain(ROWS)
    put(client, more.slice(0, 1), name, mode="replace", ignore_unknown=True)
    assert plain(get(client, name.encode())) == plain(ROWS.slice(0, 1))


def test_lists_are_flattened_as_asked(client):
    rows = pa.table({"x": [[1, 2]], "y": [[3, 4]]})
    for lists, expected in [("zip", 2), ("cartesian", 4), ("stringify", 1)]:
        name = next(NAMES)
        put(client, rows, name, lists=lists)
        assert get(client, name.encode()).num_rows == expected
    with pytest.raises(pa.ArrowException, match="all"):
        put(client, rows, next(NAMES), lists="all")


def test_integers_are_as_wide_as_their_values(client, server):
    """A table made from JSON: `int32` until a value is beyond it."""
    name = next(NAMES)
    url = f"{server.http}/api/v1/tables/{name}"

    def send(method, body):
        headers = {"content-type": "application/json"}
        urllib.request.urlopen(urllib.request.Request(url, body, headers, method=method), timeout=60).close()

    send("PUT", b'[{"g":"a","n":1},{"g":"a","n":2147483647}]')
    by_group = json.dumps({"table": name, "view": {"group_by": ["g"], "columns": ["n"], "aggregates": {"n": "max"}}})
    assert get(client, name.encode()).schema.field("n").type == pa.int32()
    assert get(client, by_group.encode()).schema.field("n").type == pa.int32()
    send("POST", b'[{"g":"a","n":9007199254740993}]')
    got = get(client, name.encode())
    assert got.schema.field("n").type == pa.int64()
    assert got["n"].to_pylist() == [1, 2147483647, 9007199254740993]
    info = client.get_flight_info(flight.FlightDescriptor.for_path(name))
    assert info.schema.field("n").type == pa.int64()
    listed = next(one for one in client.list_flights() if one.descriptor.path == [name.encode()])
    assert listed.schema.field("n").type == pa.int64()
    assert get(client, by_group.encode())["n"].to_pylist() == [9007199254740993] * 2
