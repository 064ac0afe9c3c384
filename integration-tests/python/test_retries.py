"""Loads that are cut and repeated: every row once, also over a server that is killed in between."""

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import urllib.error
import urllib.request

import pyarrow as pa
import pyarrow.flight as flight
import pytest
from conftest import PATIENCE_SECS, serve

NAMES = (f"retried-{number}" for number in itertools.count())
ROUNDS = int(os.environ.get("RETRY_ROUNDS", "5"))
BATCHES, BATCH_ROWS = 40, 25

# A sender that ends itself, or is ended, in the middle.
SENDER = """
import json, os, sys, signal
import pyarrow as pa, pyarrow.flight as flight
place, table, load, first, cut, count, rows = sys.argv[1:4] + [int(word) for word in sys.argv[4:]]
schema = pa.schema([("n", pa.int64()), ("text", pa.string())])
order = {"table": table, "mode": "append", "load": load}
with flight.connect(place) as client:
    writer, reader = client.do_put(flight.FlightDescriptor.for_command(json.dumps(order)), schema)
    for batch in range(first, count):
        if batch == cut:
            os.kill(os.getpid(), signal.SIGKILL)
        ids = list(range(batch * rows, (batch + 1) * rows))
        data = pa.record_batch([ids, [f"row {n}" for n in ids]], schema=schema)
        writer.write_with_metadata(data, json.dumps({"batch": batch}).encode())
    writer.done_writing()
    last = None
    while (result := reader.read()) is not None:
        last = json.loads(result.to_pybytes())
    writer.close()
    print(json.dumps(last))
"""


def send(server, table, load, first=0, cut=-1):
    """What the sender printed; `None` if it was cut."""
    words = [server.grpc, table, load, *map(str, [first, cut, BATCHES, BATCH_ROWS])]
    ended = subprocess.run(
        [sys.executable, "-c", SENDER, *words], capture_output=True, text=True, timeout=PATIENCE_SECS
    )
    if ended.returncode == -signal.SIGKILL:
        return None
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def numbers(server, table):
    with flight.connect(server.grpc) as client:
        return client.do_get(flight.Ticket(table.encode())).read_all()["n"].to_pylist()


def expected():
    return list(range(BATCHES * BATCH_ROWS))


def test_a_load_that_is_cut_and_repeated_has_every_row_once(server):
    table, choose = next(NAMES), random.Random(18)
    wanted = []
    for load in range(ROUNDS):
        assert send(server, table, f"load {load}", cut=choose.randrange(BATCHES)) is None
        last = send(server, table, f"load {load}")
        assert last["batch"] == BATCHES - 1
        wanted += expected()
        assert numbers(server, table) == wanted
        assert send(server, table, f"load {load}")["rows"] == 0
    assert numbers(server, table) == wanted


def test_a_load_goes_on_after_its_server_was_killed(tmp_path):
    table, choose = "kept", random.Random(81)
    wanted = []
    for load in range(ROUNDS):
        data = ["--data", str(tmp_path / "data")]
        with crashing(*data) as server:
            send(server, table, f"load {load}", cut=choose.randrange(BATCHES))
        with crashing(*data) as server:
            send(server, table, f"load {load}", cut=choose.randrange(BATCHES))
        with crashing(*data) as server:
            last = send(server, table, f"load {load}")
            wanted += expected()
            assert last["batch"] == BATCHES - 1 and last["epoch"] > 0
            assert numbers(server, table) == wanted
        # Also what was answered is known to the next start.
        with crashing(*data) as server:
            assert send(server, table, f"load {load}")["rows"] == 0
            assert numbers(server, table) == wanted


def test_what_is_acknowledged_outlives_a_kill_in_the_middle_of_a_load(tmp_path):
    """The sender goes on after the last acknowledged batch, and trusts that the server has it."""
    schema, choose = pa.schema([("n", pa.int64())]), random.Random(8)
    order = json.dumps({"table": "t", "mode": "append", "load": "one"}).encode()
    known = -1
    for _ in range(ROUNDS):
        stop = choose.randrange(known + 1, known + 6)
        with crashing("--data", str(tmp_path / "data")) as server:
            client = flight.connect(server.grpc)
            writer, reader = client.do_put(flight.FlightDescriptor.for_command(order), schema)
            for batch in range(known + 1, stop + 5):
                rows = pa.record_batch([list(range(batch * BATCH_ROWS, (batch + 1) * BATCH_ROWS))], schema=schema)
                writer.write_with_metadata(rows, json.dumps({"batch": batch}).encode())
            while known < stop:
                known = json.loads(reader.read().to_pybytes())["batch"]
            os.kill(server.pid, signal.SIGKILL)
            with contextlib.suppress(pa.ArrowException):
                writer.close()
            client.close()
    with serve("--data", str(tmp_path / "data")) as server:
        there = numbers(server, "t")
        assert there == list(range(len(there))) and len(there) >= (known + 1) * BATCH_ROWS


@contextlib.contextmanager
def crashing(*extra):
    """A server that ends by `kill -9`."""
    with serve(*extra) as server:
        yield server
        with contextlib.suppress(ProcessLookupError):
            os.kill(server.pid, signal.SIGKILL)


def test_batches_of_a_load_come_in_order(server):
    rows = pa.table({"n": [1, 2]})

    def put(table, batches, **options):
        command = json.dumps({"table": table, **options}).encode()
        with flight.connect(server.grpc) as client:
            writer, reader = client.do_put(flight.FlightDescriptor.for_command(command), rows.schema)
            with writer:
                for metadata in batches:
                    writer.write_with_metadata(rows.to_batches()[0], metadata)
                writer.done_writing()
                results = []
                while (result := reader.read()) is not None:
                    results.append(json.loads(result.to_pybytes()))
                return results

    number = lambda batch: json.dumps({"batch": batch}).encode()
    table = next(NAMES)
    for batches, wrong in [([number(1)], "batch 0"), ([b"{}"], "batch"), ([number(0), number(2)], "batch 1")]:
        with pytest.raises(pa.ArrowException, match=wrong):
            put(table, batches, load="a")
    assert [one["batch"] for one in put(table, map(number, range(2)), load="b")] == [0, 1]
    with pytest.raises(pa.ArrowException, match="batch 2 of the load"):
        put(table, [number(4)], load="b")
    # A load that makes its table is repeated; another one finds it.
    made = next(NAMES)
    for _ in range(2):
        put(made, map(number, range(3)), load="c", mode="create")
    assert len(numbers(server, made)) == 6
    with pytest.raises(pa.ArrowException, match="already exists"):
        put(made, [number(0)], load="d", mode="create")
    with pytest.raises(pa.ArrowException, match="name"):
        put(made, [number(0)], load="")


def ask(server, method, path, body, **headers):
    """(status, whether it is a replay, body)"""
    request = urllib.request.Request(
        f"{server.http}/api/v1/tables/{path}", body.encode(), {"content-type": "application/json", **headers}
    )
    request.method = method
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
            return answer.status, answer.headers["idempotency-replayed"] == "true", json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, False, json.loads(error.read())


def test_a_request_with_a_key_is_done_once(tmp_path):
    key = lambda name: {"Idempotency-Key": name}
    with crashing("--data", str(tmp_path / "data")) as server:
        made = ask(server, "PUT", "t", '[{"n": 1}]', **key("put"))
        assert made[:2] == (201, False)
        first = ask(server, "POST", "t", '[{"n": 2}]', **key("post"))
        assert first[:2] == (200, False) and first[2]["version"] == 1
        assert ask(server, "POST", "t", '[{"n": 3}]')[:2] == (200, False)
        assert ask(server, "POST", "t", '[{"n": 2}]', **key("post")) == (200, True, first[2])
        assert ask(server, "PUT", "t", '[{"n": 1}]', **key("put")) == (201, True, made[2])
        assert numbers(server, "t") == [1, 2, 3]
    with crashing("--data", str(tmp_path / "data")) as server:
        assert ask(server, "POST", "t", '[{"n": 2}]', **key("post")) == (200, True, first[2])
        assert numbers(server, "t") == [1, 2, 3]
        ask(server, "PUT", "keyed?index=n", '[{"n": 1}, {"n": 2}]')
        removed = ask(server, "DELETE", "keyed/rows", "[1]", **key("remove"))
        ask(server, "POST", "keyed", '[{"n": 1}]')
        assert ask(server, "DELETE", "keyed/rows", "[1]", **key("remove")) == (200, True, removed[2])
        assert numbers(server, "keyed") == [1, 2]
        # The same key for another method, other rows or another table.
        for method, path, body in [
            ("PUT", "t", '[{"n": 2}]'),
            ("POST", "t", '[{"n": 4}]'),
            ("POST", "keyed", '[{"n": 2}]'),
        ]:
            status, _, answer = ask(server, method, path, body, **key("post"))
            assert (status, answer["code"]) == (422, "key_reused"), (method, path, body)
        assert ask(server, "POST", "t", '[{"n": 4}]', **key("k" * 129))[0] == 400
        assert numbers(server, "t") == [1, 2, 3]
        # What was refused is not remembered.
        assert ask(server, "POST", "t", '[{"n": "x"}]', **key("wrong"))[0] == 400
        assert ask(server, "POST", "t", '[{"n": 5}]', **key("wrong"))[:2] == (200, False)


def test_flights_tell_the_position_of_a_table(tmp_path):
    position = lambda info: {key: json.loads(info.app_metadata).get(key) for key in ["epoch", "version"]}

    def told(server, table):
        with flight.connect(server.grpc) as client:
            listed = next(one for one in client.list_flights() if one.descriptor.path == [table.encode()])
            by_name = client.get_flight_info(flight.FlightDescriptor.for_path(table))
            view = json.dumps({"table": table, "view": {"columns": ["n"]}})
            of_view = client.get_flight_info(flight.FlightDescriptor.for_command(view))
            assert position(listed) == position(by_name) == position(of_view)
            return position(listed)

    with serve("--data", str(tmp_path / "data")) as server:
        ask(server, "PUT", "t", '[{"n": 1}]')
        for number in range(3):
            written = ask(server, "POST", "t", f'[{{"n": {number}}}]')[2]
            assert told(server, "t") == {key: written[key] for key in ["epoch", "version"]}
    with serve("--data", str(tmp_path / "data")) as server:
        again = told(server, "t")
        assert again["version"] == written["version"] and again["epoch"] > written["epoch"]
    with serve() as server:
        ask(server, "PUT", "t", '[{"n": 1}]')
        assert told(server, "t") == {"epoch": None, "version": 0}
