"""One client cannot end the server: what a request needs is reserved first, or refused, and others go on."""

import asyncio
import contextlib
import gzip
import json
import socket
import time
import urllib.error
import urllib.parse
import urllib.request

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from bounded import bounded_server, server_of_address_space
from conftest import PATIENCE_SECS, connect, serve

HANDSHAKE = (
    b"GET /websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
)
SIZE = 12_000
PIVOT = {"group_by": ["a"], "split_by": ["b"], "columns": ["x"]}


def ask(server, method, path, body=None, **headers):
    """The status, the headers and the body of a response."""
    request = urllib.request.Request(f"{server.http}{path}", data=body, method=method, headers=headers)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def put(server, name, body, query="format=csv", **headers):
    return ask(server, "PUT", f"/api/v1/tables/{name}?{query}", body, **headers)


def stream(table, compression=None):
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=compression)
    with pa.ipc.new_stream(sink, table.schema, options=options) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def metrics(server):
    lines = ask(server, "GET", "/metrics")[2].decode().splitlines()
    return {key: float(value) for key, value in (line.rsplit(" ", 1) for line in lines if line[0] != "#")}


def total(server, name):
    return sum(value for key, value in metrics(server).items() if key.startswith(f"proscenium_{name}"))


def assert_given_back(server, most):
    """Reserved memory is below the bound soon: large data are freed after their answer."""
    patient_until = time.monotonic() + 20
    while total(server, "memory_reserved_bytes") > most and time.monotonic() < patient_until:
        time.sleep(0.05)
    assert total(server, "memory_reserved_bytes") <= most


def serves_others(server):
    """A small table, written and read as if nothing else happened."""
    assert put(server, "small", b"a\n1\n2\n")[0] in (200, 201)
    assert ask(server, "GET", "/api/v1/tables/small?format=csv")[2] == b'"a"\n1\n2\n'
    assert ask(server, "DELETE", "/api/v1/tables/small")[0] == 204


def diagonal():
    return ("a,b,x\n" + "".join(f"{row},{row},1.5\n" for row in range(SIZE))).encode()


def talk(server, talking):
    async def connected():
        async with connect(server) as client:
            return await asyncio.wait_for(talking(client), PATIENCE_SECS)

    return asyncio.run(connected())


def place(server):
    parsed = urllib.parse.urlsplit(server.http)
    return parsed.hostname, parsed.port


def half_frame(server, announced, sent):
    """A connection that has sent the begin of a binary message."""
    connection = socket.create_connection(place(server), timeout=PATIENCE_SECS)
    connection.sendall(HANDSHAKE)
    assert connection.recv(4096).startswith(b"HTTP/1.1 101")
    header = bytes([0x82, 0xFF]) + announced.to_bytes(8, "big") + bytes(4)
    # The server may close before it has read everything.
    with contextlib.suppress(ConnectionError):
        connection.sendall(header + bytes(sent))
    return connection


def test_announced_lengths_take_no_memory():
    with server_of_address_space(4096) as server:
        connections = [half_frame(server, 256 << 20, 3) for _ in range(40)]
        serves_others(server)
        for connection in connections:
            connection.close()


def test_half_messages_are_refused_when_memory_is_gone():
    with bounded_server(1024) as server:
        connections = [half_frame(server, 200 << 20, 190 << 20) for _ in range(8)]
        serves_others(server)
        closed = []
        for connection in connections:
            connection.settimeout(0.2)
            with contextlib.suppress(TimeoutError, ConnectionError):
                closed.append(connection.recv(4096))
        reasons = [frame[4:].decode() for frame in closed if frame]
        assert reasons, "eight messages of 190 MiB do not fit"
        assert all("for the message; [memory]" in reason for reason in reasons), reasons
        assert total(server, "memory_refused_total") >= len(reasons)
        for connection in connections:
            connection.close()


def test_a_pivot_with_too_many_cells_is_refused_in_every_format():
    with bounded_server(1024) as server:
        assert put(server, "t", diagonal())[0] == 201

        async def read(client):
            table = await client.open_table("t")
            view = await table.view(**PIVOT)
            for name in ["to_json_string", "to_columns_string", "to_csv", "to_ndjson", "to_arrow"]:
                with pytest.raises(Exception) as refused:
                    await getattr(view, name)()
                assert "longer" in str(refused.value) or "[memory] per_request" in str(refused.value), name
            assert json.loads(await view.to_json_string({"start_row": 0, "end_row": 2, "start_col": 0, "end_col": 2}))

        talk(server, read)
        ticket = flight.Ticket(json.dumps({"table": "t", "view": PIVOT}).encode())
        with flight.connect(server.grpc) as client, pytest.raises(Exception, match="longer"):
            client.do_get(ticket).read_all()
        serves_others(server)
        # The view that is open keeps its own.
        assert_given_back(server, 32 << 20)


def test_a_short_dictionary_does_not_become_a_long_text():
    texts = pa.DictionaryArray.from_arrays(pa.array([0] * 20_000, pa.int8()), pa.array(["y" * 1_000_000]))
    with bounded_server(1024) as server:
        body = stream(pa.table({"a": texts}), "zstd")
        assert len(body) < 4096
        assert put(server, "t", body, "format=arrow")[0] == 201
        for form in ["csv", "json", "columns", "ndjson", "arrow"]:
            status, _, answer = ask(server, "GET", f"/api/v1/tables/t?format={form}")
            assert (status, json.loads(answer)["code"]) == (413, "reply_too_long"), form
        ticket = flight.Ticket(b'{"table": "t"}')
        with flight.connect(server.grpc) as client, pytest.raises(Exception, match="longer"):
            client.do_get(ticket).read_all()
        serves_others(server)


def test_downloads_that_are_not_read_take_no_memory():
    rows = 50_000
    table = pa.table({f"x{column}": [column * 1e9 + row / 7 for row in range(rows)] for column in range(20)})
    with bounded_server(1024) as server:
        assert put(server, "t", stream(table), "format=arrow")[0] == 201
        connections = []
        for _ in range(30):
            connection = socket.create_connection(place(server), timeout=PATIENCE_SECS)
            connection.sendall(b"GET /api/v1/tables/t?format=json HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert connection.recv(1000).startswith(b"HTTP/1.1 200")
            connections.append(connection)
        # Each is 30 MB of text, of which a piece is there.
        assert total(server, "memory_peak_reserved_bytes") < 200 << 20
        serves_others(server)
        for connection in connections:
            connection.close()
        status, _, answer = ask(server, "GET", "/api/v1/tables/t?format=json")
        assert status == 200 and len(json.loads(answer)) == rows


def test_the_limit_of_a_reply_holds_for_http_and_flight(tmp_path):
    config = tmp_path / "proscenium.toml"
    config.write_text("[limits]\nexport_bytes = 1000\n")
    with serve("--config", str(config)) as server:
        assert put(server, "t", b"a\n" + b"1\n" * 20_000)[0] == 201
        for form in ["csv", "json", "columns", "ndjson", "arrow"]:
            status, _, answer = ask(server, "GET", f"/api/v1/tables/t?format={form}")
            assert (status, json.loads(answer)["code"]) == (413, "reply_too_long"), form
        with flight.connect(server.grpc) as client, pytest.raises(Exception, match="1000 bytes"):
            client.do_get(flight.Ticket(b'{"table": "t"}')).read_all()
        serves_others(server)


def test_uploads_are_refused_by_what_they_become():
    zeros = gzip.compress(bytes(600 << 20), 1)
    packed = stream(pa.table({"a": pa.array([0]).take(pa.array([0] * 20_000_000))}), "zstd")
    with bounded_server(1024) as server:
        for body, query, headers in [
            (zeros, "format=csv", {"Content-Encoding": "gzip"}),
            (packed, "format=arrow", {}),
            (b"a\n" + b"1\n" * 20_000_000, "format=csv", {}),
        ]:
            status, _, answer = put(server, "t", body, query, **headers)
            assert (status, json.loads(answer)["code"]) == (413, "memory_limit"), (query, answer)
            assert b"[memory] per_request allows" in answer
        serves_others(server)
        assert_given_back(server, 1 << 20)


def test_a_full_server_refuses_and_says_when_to_try_again(tmp_path):
    config = tmp_path / "proscenium.toml"
    config.write_text('[memory]\nlimit = "64MiB"\nper_session = "64MiB"\nper_request = "64MiB"\n')
    with serve("--config", str(config)) as server:
        body, put_tables = b"a,b\n" + b"1,2.5\n" * 300_000, 0
        for table in range(20):
            status, headers, answer = put(server, f"t{table}", body)
            if status != 201:
                break
            put_tables += 1
        assert (status, json.loads(answer)["code"]) == (503, "memory_limit"), answer
        assert int(headers["Retry-After"]) > 0
        # The tables that are there are read and written in small parts.
        serves_others(server)

        async def read(client):
            table = await client.open_table("t0")
            view = await table.view()
            assert len(json.loads(await view.to_json_string({"start_row": 0, "end_row": 10}))) == 10
            await table.update("a,b\n1,2\n")

        if put_tables > 0:
            talk(server, read)
