"""Arrow Flight with pyarrow: what another service does."""

import asyncio
import itertools
import json

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
        # The server's last word; until then it may still be at work.
        while reader.read() is not None:
            pass


def get(client, ticket):
    return client.do_get(flight.Ticket(ticket)).read_all()


def plain(table):
    """Text as text, however it was coded."""
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
