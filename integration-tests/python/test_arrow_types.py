"""Every Arrow type at every endpoint: made into a table, and written into one that is there."""

import asyncio
import contextlib
import datetime
import io
import itertools
import json
import re
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.flight as flight
import pyarrow.parquet as parquet
import pytest

import conftest
from arrow_types import CASES, FORMS, written

NAMES = (f"types-{number}" for number in itertools.count())
WRITTEN = list(written())
BY_CASE = pytest.mark.parametrize("name", CASES)


def http(server, method, path, body=None):
    """Status and JSON, also of an error."""
    request = urllib.request.Request(server.http + path, data=body, method=method)
    try:
        with urllib.request.urlopen(request, timeout=conftest.PATIENCE_SECS) as answer:
            return answer.status, json.loads(answer.read() or b"null")
    except urllib.error.HTTPError as fault:
        return fault.code, json.loads(fault.read())


def content(server, table):
    return http(server, "GET", f"/api/v1/tables/{table}?format=columns")[1]


def forms_of(name):
    return [(form, kind, data, case) for case_name, form, kind, data, case in WRITTEN if case_name == name]


def test_parquet_holds_most_types():
    assert sum(form == "parquet" for _, form, _, _, _ in WRITTEN) > 50
    assert sum(form == "old file" for _, form, _, _, _ in WRITTEN) == sum(case.is_old for case in CASES.values())


@BY_CASE
def test_http_makes_a_table_and_appends_to_it(server, name):
    for form, kind, data, case in forms_of(name):
        table = next(NAMES)
        assert http(server, "PUT", f"/api/v1/tables/{table}?format={kind}", data)[0] == 201, form
        assert content(server, table) == case.rows(), form
        assert http(server, "POST", f"/api/v1/tables/{table}?format={kind}", data)[0] == 200, form
        twice = {column: values * 2 for column, values in case.rows().items()}
        assert content(server, table) == twice, form


@BY_CASE
def test_a_websocket_makes_a_table_and_updates_one_of_a_schema(server, run, name):
    async def talk(client):
        for form, kind, data, case in forms_of(name):
            if kind != "arrow":
                continue  # the protocol has no Parquet
            made = await client.table(data, name=next(NAMES))
            assert await made.schema() == case.schema(), form
            assert await columns(made) == case.rows(), form
            if name == "uint64 beyond int64":
                # A column that is declared has 64 bits with a sign.
                continue
            given = await client.table(case.schema(), name=next(NAMES))
            await given.update(data)
            assert await columns(given) == case.rows(), form

    async def columns(table):
        view = await table.view()
        try:
            return await view.to_columns()
        finally:
            await view.delete()

    run(talk)


@BY_CASE
def test_flight_makes_a_table_and_appends_to_it(server, name):
    case = CASES[name]
    with flight.connect(server.grpc) as client:
        table = next(NAMES)
        for mode in ("create", "append"):
            command = json.dumps({"table": table, "mode": mode}).encode()
            writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), case.table().schema)
            with writer:
                writer.write_table(case.table())
                writer.done_writing()
                while reader.read() is not None:
                    pass
        twice = {column: values * 2 for column, values in case.rows().items()}
        assert content(server, table) == twice


@pytest.fixture(scope="module")
def with_files(tmp_path_factory):
    """A server that hosts every file."""
    folder = tmp_path_factory.mktemp("files")
    arguments = []
    for number, (_, _, kind, data, _) in enumerate(WRITTEN):
        path = folder / f"{number}.{kind}"
        path.write_bytes(data)
        arguments += ["--table", f"t{number}={path}"]
    with conftest.serve(*arguments) as found:
        yield found


def test_files_named_at_the_start_are_tables(with_files):
    hosted = {table["name"]: table["columns"] for table in http(with_files, "GET", "/api/v1/tables")[1]}
    for number, (name, form, _, _, case) in enumerate(WRITTEN):
        assert hosted[f"t{number}"] == case.schema(), (name, form)
        assert content(with_files, f"t{number}") == case.rows(), (name, form)


def test_batches_with_dictionaries_of_their_own_are_one_column(server):
    sink = pa.BufferOutputStream()
    parts = [pa.array(["a", "b"]).dictionary_encode(), pa.array(["c", "a"]).dictionary_encode()]
    with pa.ipc.new_stream(sink, pa.schema([("x", parts[0].type)])) as writer:
        for part in parts:
            writer.write_batch(pa.record_batch([part], names=["x"]))
    table = next(NAMES)
    assert http(server, "PUT", f"/api/v1/tables/{table}?format=arrow", sink.getvalue().to_pybytes())[0] == 201
    assert content(server, table) == {"x": ["a", "b", "c", "a"]}


def put_parquet(server, table, **options):
    sink = io.BytesIO()
    parquet.write_table(table, sink, **options)
    name = next(NAMES)
    return name, *http(server, "PUT", f"/api/v1/tables/{name}?format=parquet", sink.getvalue())


def test_rows_that_no_byte_stands_for_are_refused(server):
    constant = pa.table({"n": pa.repeat(7, 21_000_000)})
    _, status, answer = put_parquet(server, constant)
    assert status == 400
    assert re.match(r"the file claims 21000000 rows in \d+ bytes; more than 20000000 ", answer["error"])


def test_timestamps_as_spark_writes_them(server):
    moments = pa.array([datetime.datetime(1969, 12, 31, 12), datetime.datetime(2024, 1, 2)], pa.timestamp("us"))
    name, status, _ = put_parquet(server, pa.table({"t": moments}), use_deprecated_int96_timestamps=True)
    assert status == 201
    assert content(server, name) == {"t": [-43_200_000, 1_704_153_600_000]}


def test_text_in_parquet_pages_of_every_kind(server):
    texts = [f"text {n % 700}" if n % 5 else None for n in range(70_000)]
    table = pa.table({"x": texts})
    for options in (
        {},
        {"use_dictionary": False},
        {"use_dictionary": False, "column_encoding": "DELTA_BYTE_ARRAY"},
        {"dictionary_pagesize_limit": 512, "data_page_version": "2.0", "row_group_size": 9_000},
        {"compression": "zstd"},
        {"compression": "gzip"},
        {"compression": "brotli"},
        {"compression": "lz4"},
    ):
        name, status, answer = put_parquet(server, table, **options)
        assert status == 201, (options, answer)
        assert content(server, name) == {"x": texts}, options


def test_a_file_that_is_cut_off_is_refused(server):
    for form in ("file", "old file", "parquet"):
        kind, write = FORMS[form]
        data = write(CASES["int64"])
        for length in range(0, len(data), 7):
            status, answer = http(
                server, "PUT", f"/api/v1/tables/{next(NAMES)}?format={kind}", data[:length]
            )
            assert status == 400 and answer["error"], (form, length)


def test_a_reader_that_fails_leaves_table_and_server_as_they_were(server, run):
    """Bytes of every kind of damage, into a table that is there; whatever the answer, the table goes on."""
    rows = CASES["dense union"]
    kind, write = FORMS["stream"]
    data = write(rows)

    async def talk(client):
        table = await client.table({"id": "integer", "x": "string"}, name=next(NAMES))
        for at in range(0, len(data), 3):
            spoiled = data[:at] + bytes([data[at] ^ 0xFF]) + data[at + 1 :]
            with contextlib.suppress(Exception):
                await table.update(spoiled)
        size = await table.size()
        await table.update(data)
        assert await table.size() == size + 3

    run(talk)
