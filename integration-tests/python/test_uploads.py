"""Uploads over HTTP and files on the command line: how they are written, compressed, and what they may not change."""

import itertools
import json
import subprocess
import urllib.error
import urllib.parse
import urllib.request

import pyarrow as pa
import pytest
from conftest import BINARY, PATIENCE_SECS, serve

NAMES = (f"upload-{number}" for number in itertools.count())
CODINGS = {"gzip": "gzip", "zstd": "zstd", "br": "brotli"}
CSV, JSON, NDJSON = "text/csv", "application/json", "application/x-ndjson"


def ask(server, method, table, body=None, headers=None, **query):
    """(status, headers, bytes)"""
    url = f"{server.http}/api/v1/tables/{table}?{urllib.parse.urlencode(query)}"
    data = body.encode() if isinstance(body, str) else body
    request = urllib.request.Request(url, data=data, method=method, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()


def put(server, body, kind, table=None, method="PUT", coding=None, **query):
    """(table, status, error)"""
    table = table or next(NAMES)
    headers = {"content-type": kind} | ({"content-encoding": coding} if coding else {})
    status, _, answer = ask(server, method, table, body, headers, **query)
    return table, status, json.loads(answer).get("error")


def rows(server, table):
    status, _, body = ask(server, "GET", table)
    assert status == 200, body
    return json.loads(body)


def loaded(server, body, kind, **query):
    table, status, error = put(server, body, kind, **query)
    assert status == 201, error
    return rows(server, table)


@pytest.mark.parametrize(
    ("body", "query", "expected"),
    [
        ("a;b\n1;x,y\n", {}, [{"a": 1, "b": "x,y"}]),
        ("a\tb\n1\t2\n", {}, [{"a": 1, "b": 2}]),
        ("a|b\n1|2\n", {}, [{"a": 1, "b": 2}]),
        ("a;b\n1,5;2\n", {"decimal": ","}, [{"a": 1.5, "b": 2}]),
        ("a;b\n1;2\n", {"separator": ","}, [{"a;b": "1;2"}]),
        ("a\tb\n1\t2\n", {"separator": "tab"}, [{"a": 1, "b": 2}]),
        ("1,x\n2,y", {"header": "false"}, [{"column_1": 1, "column_2": "x"}, {"column_1": 2, "column_2": "y"}]),
        ("a,b", {}, []),
        ("\ufeffa,b\n10:30,9007199254740993\n", {}, [{"a": "10:30", "b": 9007199254740993}]),
        ("id\n99999999999999999999\n", {}, [{"id": "99999999999999999999"}]),
        ("a,b\n,1\n\"\",2\n", {}, [{"a": None, "b": 1}, {"a": "", "b": 2}]),
    ],
)
def test_a_csv_is_read_as_it_is_written(server, body, query, expected):
    if body.startswith("a,b\n,1"):
        body = body + "x,3\n"
        expected = [*expected, {"a": "x", "b": 3}]
    assert loaded(server, body, CSV, **query) == expected


@pytest.mark.parametrize(
    ("body", "kind", "query", "wrong"),
    [
        ("a,b\n1,2\n3\n", CSV, {}, "line 3"),
        ('a,b\n1,2\n3,"x\n4,y\n', CSV, {}, "line 3"),
        ("a,b\n1,2\n", CSV, {"separator": ",", "decimal": ","}, "the same"),
        ("a,b\n1,2\n", CSV, {"separator": "::"}, "separator"),
        ("[]", JSON, {"separator": ";"}, "CSV"),
        ("", JSON, {}, "JSON"),
        ('[{"id":9007199254740993},{"id":0.5}]', JSON, {"index": "id"}, "id"),
    ],
)
def test_what_cannot_be_read_is_refused_and_makes_nothing(server, body, kind, query, wrong):
    table, status, error = put(server, body, kind, **query)
    assert status == 400 and wrong in error
    assert ask(server, "GET", table)[0] == 404


def test_json_is_an_array_an_object_of_columns_or_a_record(server):
    expected = [{"a": 1, "b": "x"}]
    for body in ['[{"a":1,"b":"x"}]', '{"a":[1],"b":["x"]}', '{"a":1,"b":"x"}', '\ufeff{"a":1,"b":"x"}']:
        assert loaded(server, body, JSON) == expected, body
    assert loaded(server, '{"a":1,"b":"x"}\n{"a":2,"b":"y"}', NDJSON) == [*expected, {"a": 2, "b": "y"}]


def test_lists_are_flattened_as_asked(server):
    body = '[{"x":[1,2],"y":[3,4]}]'
    assert loaded(server, body, JSON, lists="zip") == [{"x": 1, "y": 3}, {"x": 2, "y": 4}]
    assert len(loaded(server, body, JSON, lists="cartesian")) == 4
    assert loaded(server, body, JSON, lists="stringify") == [{"x": "[1,2]", "y": "[3,4]"}]
    table, _, _ = put(server, body, JSON, lists="cartesian")
    assert put(server, body, JSON, table, "POST")[1] == 200
    assert len(rows(server, table)) == 8, "the table remembers"
    _, status, error = put(server, body, JSON, table, "POST", lists="zip")
    assert status == 400 and "cartesian" in error


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_write_to_another_table_than_it_says_is_refused(server, method):
    table, _, _ = put(server, "id,v\n1,2\n", CSV, index="id")
    before = rows(server, table)
    for body, kind, query, wrong in [
        ("id,v,w\n1,3,4\n", CSV, {}, '"w"'),
        ('[{"id":1,"w":3}]', JSON, {}, '"w"'),
        ('{"id":[1],"w":[3]}', JSON, {}, '"w"'),
        ("id,v\n1,3\n", CSV, {"index": "v"}, '"id"'),
        ("id,v\n1,3\n", CSV, {"limit": 5}, "limit"),
    ]:
        _, status, error = put(server, body, kind, table, method, **query)
        assert status == 400 and wrong in error, (body, error)
        assert rows(server, table) == before
    assert put(server, "id,v,w\n1,3,4\n", CSV, table, method, ignore_unknown="true", index="id")[1] == 200
    assert rows(server, table) == [{"id": 1, "v": 3}]


@pytest.mark.parametrize("coding", CODINGS)
def test_uploads_and_downloads_are_compressed(server, coding):
    body = "id,name\n" + "".join(f"{row},name {row % 7}\n" for row in range(100_000))
    packed = pa.compress(body.encode(), codec=CODINGS[coding], asbytes=True)
    table, status, error = put(server, packed, CSV, coding=coding)
    assert status == 201, error
    status, headers, answer = ask(server, "GET", table, headers={"accept-encoding": coding}, format="csv")
    assert status == 200 and headers["content-encoding"] == coding
    plain = ask(server, "GET", table, format="csv")
    assert plain[1]["content-encoding"] is None
    assert len(answer) * 3 < len(plain[2])
    with pa.input_stream(pa.py_buffer(answer), compression=CODINGS[coding]) as unpacked:
        assert unpacked.read() == plain[2]
    _, status, error = put(server, body, CSV, coding=coding)
    assert status == 400 and "decompressed" in error
    assert put(server, body, CSV, coding="compress")[1] == 415


def test_uploads_are_bounded_also_decompressed():
    with serve("--max-upload-bytes", "100000") as server:
        body = b"x\n" + b"1\n" * 60_000
        assert put(server, body, CSV)[1] == 413
        for coding, codec in CODINGS.items():
            packed = pa.compress(body, codec=codec, asbytes=True)
            assert len(packed) < 10_000
            _, status, error = put(server, packed, CSV, coding=coding)
            assert status == 413 and "100000" in error
            packed = pa.compress(b"0" * 100_000_000, codec=codec, asbytes=True)
            if len(packed) <= 100_000:
                assert put(server, packed, CSV, coding=coding)[1] == 413
        assert put(server, b"x\n" + b"1\n" * 40_000, CSV)[1] == 201


def remove(server, table, body, kind, **query):
    status, _, answer = ask(server, "DELETE", f"{table}/rows", body, {"content-type": kind}, **query)
    return status, json.loads(answer)


def arrow_of(**columns):
    rows, sink = pa.table(columns), pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, rows.schema) as writer:
        writer.write_table(rows)
    return sink.getvalue().to_pybytes()


@pytest.mark.parametrize(
    ("body", "kind", "query"),
    [
        ("[1, 3, 9007199254740993, 77]", JSON, {}),
        ("1\n3\n9007199254740993\n", NDJSON, {}),
        ("note,id\ngone,1\n,3\n,9007199254740993\n", CSV, {}),
        ("id;note\n1;x\n3;\n9007199254740993;\n", CSV, {"separator": ";"}),
        (arrow_of(id=[1, 3, 9007199254740993]), "application/vnd.apache.arrow.stream", {}),
    ],
    ids=["json", "ndjson", "csv", "separator", "arrow"],
)
def test_rows_are_removed_by_key(server, body, kind, query):
    kept = [{"id": 2, "x": "b"}, {"id": 9007199254740992, "x": "e"}]
    gone = [{"id": key, "x": "a"} for key in [1, 3, 9007199254740993]]
    table, status, error = put(server, json.dumps(kept + gone), JSON, index="id")
    assert status == 201, error
    assert remove(server, table, body, kind, **query) == (200, {"table": table})
    assert rows(server, table) == kept
    assert put(server, '[{"id": 2, "x": "c"}, {"id": 1, "x": "d"}]', JSON, table, "POST")[1:] == (200, None)
    assert [row["x"] for row in rows(server, table)] == ["d", "c", "e"]


def test_keys_that_cannot_be_read_remove_nothing(server):
    table, _, _ = put(server, "id,x\n1,a\n2,b\n", CSV, index="id")
    for body, kind, code in [
        ('{"id": 1}', JSON, "bad_keys"),
        ('[1, "x"]', JSON, "cell_type"),
        ("1\n2,1\n", NDJSON, "malformed_data"),
        ("x\n1\n", CSV, "bad_keys"),
        (arrow_of(x=[1]), "application/vnd.apache.arrow.stream", "bad_keys"),
    ]:
        status, answer = remove(server, table, body, kind)
        assert (status, answer["code"]) == (400, code), answer
    assert len(rows(server, table)) == 2
    plain, _, _ = put(server, "x\n1\n", CSV)
    assert remove(server, plain, "[1]", JSON)[1]["code"] == "no_index"
    assert remove(server, "nowhere", "[1]", JSON)[0] == 404


def test_files_are_loaded_with_options(tmp_path):
    (tmp_path / "german.csv").write_text("a;b\n1,5;2\n")
    (tmp_path / "plain,name.csv").write_text("1,x\n")
    (tmp_path / "lists.json").write_text('[{"x":[1,2]}]')
    packed = {"rows.csv.gz": "gzip", "rows.json.zst": "zstd", "rows.ndjson.br": "brotli"}
    texts = {"csv": "a\n1\n", "json": '[{"a":1}]', "ndjson": '{"a":1}'}
    for name, codec in packed.items():
        text = texts[name.split(".")[1]].encode()
        (tmp_path / name).write_bytes(pa.compress(text, codec=codec, asbytes=True))
    config = tmp_path / "server.toml"
    config.write_text(
        '[[table]]\nname = "toml"\npath = "german.csv"\nseparator = ";"\ndecimal = ","\n'
        '[[table]]\nname = "listed"\npath = "lists.json"\nlists = "stringify"\n'
    )
    tables = [
        f"german={tmp_path}/german.csv,separator=;,decimal=\\,",
        f"plain={tmp_path}/plain\\,name.csv,separator=\\,,header=false",
        *(f"{name}={tmp_path}/{name}" for name in packed),
    ]
    with serve("--config", str(config), *itertools.chain(*(("--table", table) for table in tables))) as server:
        assert rows(server, "german") == rows(server, "toml") == [{"a": 1.5, "b": 2}]
        assert rows(server, "plain") == [{"column_1": 1, "column_2": "x"}]
        assert rows(server, "listed") == [{"x": "[1,2]"}]
        for name in packed:
            assert rows(server, name) == [{"a": 1}], name
    for wrong in ["t=a.csv,lists=all", "t=a.csv,colour=red"]:
        command = [BINARY, "serve", "--listen", "127.0.0.1:0", "--no-flight", "--table", wrong]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_SECS)
        assert ended.returncode != 0 and wrong.split("=")[-1] in ended.stderr
