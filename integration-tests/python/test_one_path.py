"""WebSocket, HTTP and Flight use the same commands: equal input, equal error and equal limit, whatever the endpoint."""

import asyncio
import itertools
import json
import re
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from conftest import PATIENCE_SECS, connect, serve

NAMES = (f"one-path-{number}" for number in itertools.count())
ROWS = pa.table({"id": pa.array([1, 2, 3], pa.int32()), "price": [1.5, None, 3.5]})
ARROW = "application/vnd.apache.arrow.stream"


def as_bytes(rows):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


def http(server, method, table, body=None):
    """(status, error) of a request."""
    headers = {"content-type": ARROW} if body else {}
    url = f"{server.http}/api/v1/tables/{table}"
    request = urllib.request.Request(url, data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            return answer.status, None
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())["error"]


def grpc(call):
    """(class of the error, error) of a Flight call."""
    try:
        call()
        return None, None
    except pa.ArrowException as error:
        # The client appends its own context to the server's text.
        text = str(error).split(". gRPC client debug context")[0]
        return type(error), re.sub("^(Flight|gRPC) returned [a-z ]+ error, with message: ", "", text)


def put(client, rows, table, **options):
    command = json.dumps({"table": table, **options}).encode()
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), rows.schema)
    with writer:
        writer.write_table(rows)
        writer.done_writing()
        while reader.read() is not None:
            pass


async def complaint(call):
    """The text of a WebSocket client's error."""
    try:
        await call
        return None
    except Exception as error:
        return str(error).removeprefix("Abort(): ").rstrip("\n")


def ask(server, run):
    """Runs `run(client)` with a connected WebSocket client."""

    async def main():
        async with connect(server) as client:
            return await run(client)

    return asyncio.run(main())


@pytest.fixture
def table(server):
    name = next(NAMES)
    with flight.connect(server.grpc) as client:
        put(client, ROWS, name, mode="create", index="id")
    return name


@pytest.mark.parametrize(
    "rows",
    [
        pa.table({"id": ["many"], "price": [1.0]}),
        pa.table({"id": pa.array([4], pa.int32()), "price": ["dear"]}),
        pa.table({"id": pa.array([4], pa.int32()), "price": [[1.0, 2.0]]}),
        pa.table({"id": [[1, 2]], "price": [[1.0, 2.0, 3.0]]}),
        pa.table({"id": pa.array([2**40], pa.int64()), "price": [1.0]}),
    ],
    ids=["a text as key", "a text as price", "a list without keys", "lists of two lengths", "a wide key"],
)
@pytest.mark.parametrize("replaces", [False, True])
def test_a_bad_write_is_refused_with_the_same_text(server, table, rows, replaces):
    async def write(client):
        opened = await client.open_table(table)
        return await complaint((opened.replace if replaces else opened.update)(as_bytes(rows)))

    by_websocket = ask(server, write)
    by_http = http(server, "PUT" if replaces else "POST", table, as_bytes(rows))
    with flight.connect(server.grpc) as client:
        by_flight = grpc(lambda: put(client, rows, table, mode="replace" if replaces else "append"))
        assert client.do_get(flight.Ticket(table.encode())).read_all().num_rows == 3, "nothing changed"
    assert by_websocket and by_http == (400, by_websocket) and by_flight == (pa.ArrowInvalid, by_websocket)


@pytest.mark.parametrize(
    "config",
    [
        {"group_by": ["colour"]},
        {"filter": [["price", "~", 1]]},
        {"sort": [["colour", "asc"]]},
        {"expressions": {"half": "1 +"}, "columns": ["half"]},
        {"group_by": ["id"], "aggregates": {"price": "best"}},
    ],
    ids=lambda config: next(iter(config)),
)
def test_a_bad_view_is_refused_with_the_same_text(server, table, config):
    async def open_view(client):
        return await complaint((await client.open_table(table)).view(**config))

    by_websocket = ask(server, open_view)
    ticket = json.dumps({"table": table, "view": config}).encode()
    with flight.connect(server.grpc) as client:
        by_flight = grpc(lambda: client.do_get(flight.Ticket(ticket)).read_all())
        info = grpc(lambda: client.get_flight_info(flight.FlightDescriptor.for_command(ticket)))
    assert by_websocket and by_flight == info == (pa.ArrowInvalid, by_websocket)


def test_a_table_with_views_is_deleted_by_nobody(server, table):
    async def delete(client):
        opened = await client.open_table(table)
        view = await opened.view()
        by_websocket = await complaint(opened.delete())
        by_http = http(server, "DELETE", table)
        with flight.connect(server.grpc) as other:
            by_flight = grpc(lambda: list(other.do_action(flight.Action("delete", table.encode()))))
        await view.delete()
        return by_websocket, by_http, by_flight

    by_websocket, by_http, by_flight = ask(server, delete)
    assert by_websocket == "Cannot delete table with views"
    assert by_http == (409, by_websocket) and by_flight[1] == by_websocket
    # The views of downloads and Flight calls end with them.
    assert http(server, "GET", table) == (200, None)
    with flight.connect(server.grpc) as client:
        client.do_get(flight.Ticket(table.encode())).read_all()
    assert http(server, "DELETE", table) == (204, None)


def test_a_table_that_does_not_exist_is_missing_everywhere(server):
    with flight.connect(server.grpc) as client:
        by_flight = grpc(lambda: client.do_get(flight.Ticket(b"nowhere")).read_all())
        cleared = grpc(lambda: list(client.do_action(flight.Action("clear", b"nowhere"))))
    assert by_flight == cleared == (pa.ArrowKeyError, 'table "nowhere" is not hosted')
    for method in ("GET", "DELETE"):
        assert http(server, method, "nowhere") == (404, 'table "nowhere" is not hosted')


def test_the_limit_of_one_reply_is_the_same(tmp_path):
    config = tmp_path / "proscenium.toml"
    config.write_text("[limits]\nexport_bytes = 1000\n")
    rows = pa.table({"id": pa.array(range(10_000), pa.int32())})
    with serve("--config", str(config)) as server, flight.connect(server.grpc) as client:
        put(client, rows, "large", mode="create")

        async def read(client):
            view = await (await client.open_table("large")).view()
            return await complaint(view.to_csv())

        by_websocket = ask(server, read)
        assert "limit of 1000 bytes" in by_websocket
        assert http(server, "GET", "large") == (413, by_websocket)
        by_flight = grpc(lambda: client.do_get(flight.Ticket(b"large")).read_all())
        assert by_flight[1] == by_websocket


@pytest.mark.parametrize(
    ("method", "query", "body", "status", "code"),
    [
        ("POST", "", as_bytes(pa.table({"id": ["many"]})), 400, "column_type"),
        ("POST", "", as_bytes(pa.table({"id": [1], "colour": ["red"]})), 400, "unknown_column"),
        ("POST", "?index=price", as_bytes(ROWS), 400, "property_mismatch"),
        ("POST", "?format=xls", as_bytes(ROWS), 415, "bad_option"),
        ("POST", "?format=csv", b"id\n1,2\n", 400, "malformed_data"),
        ("GET", "-that-is-not-there", None, 404, "table_not_found"),
    ],
)
def test_an_http_error_has_a_stable_code(server, table, method, query, body, status, code):
    request = urllib.request.Request(
        f"{server.http}/api/v1/tables/{table}{query}", data=body, method=method, headers={"content-type": ARROW}
    )
    with pytest.raises(urllib.error.HTTPError) as raised:
        urllib.request.urlopen(request, timeout=PATIENCE_SECS)
    answer = json.loads(raised.value.read())
    assert (raised.value.code, answer["code"]) == (status, code) and answer["error"]


def test_writers_that_create_one_table_at_once_all_succeed(server):
    """Each adds its row, whoever comes first; a creation that must be the first is told that it is not."""
    name, count = next(NAMES), 24

    def write(number):
        rows = pa.table({"id": pa.array([number], pa.int32())})
        if number % 2:
            return http(server, "POST", name, as_bytes(rows))[0] in (200, 201)
        with flight.connect(server.grpc) as client:
            put(client, rows, name)
        return True

    with ThreadPoolExecutor(count) as pool:
        assert all(pool.map(write, range(count)))
    with flight.connect(server.grpc) as client:
        rows = client.do_get(flight.Ticket(name.encode())).read_all()
        assert sorted(rows["id"].to_pylist()) == list(range(count))
        _, refused = grpc(lambda: put(client, ROWS, name, mode="create"))
    assert "already exists" in refused
