"""Benchmarks of our server beside the peer's: see README.md.

Law: both get the same bytes in the same order over the same kind of connection; nothing is measured that one side does
not do. A figure is the median of its repetitions; a wait is over when the answer, or the last notification, is here.
"""

import argparse
import io
import json
import os
import pathlib
import platform
import random
import socket
import statistics
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "differential"))

import pyarrow as pa
import websocket

from wire import proto

MIXED = [
    {},
    {"sort": [{"column": "price", "op": "SORT_DESC"}]},
    {"filter": [{"column": "symbol", "op": "==", "value": [{"string": "S7"}]}]},
    {"groupBy": ["symbol"], "aggregates": {"price": {"aggregations": ["avg"]}}},
    {"groupBy": ["venue", "side"], "columns": {"columns": {"columns": ["qty", "price"]}}},
    {"groupBy": ["trader"], "columns": {"columns": {"columns": ["qty"]}}},
    {"groupBy": ["venue"], "splitBy": ["side"], "columns": {"columns": {"columns": ["qty"]}}},
    {"groupBy": ["symbol"], "columns": {"columns": {"columns": ["qty"]}}, "sort": [{"column": "qty", "op": "SORT_DESC"}]},
]


def only(*columns):
    return {"columns": {"columns": {"columns": list(columns)}}}


def aggregates(**names):
    return {"aggregates": {column: {"aggregations": [name]} for column, name in names.items()}}


def sort(*terms):
    return {"sort": [{"column": column, "op": op} for column, op in terms]}


OPENINGS = {
    "open flat": {},
    "open sorted by a float": sort(("price", "SORT_DESC")),
    "open sorted by a string, a float": sort(("symbol", "SORT_ASC"), ("price", "SORT_DESC")),
    "open filtered, equality and range": {
        "filter": [
            {"column": "symbol", "op": "==", "value": [{"string": "S7"}]},
            {"column": "price", "op": ">", "value": [{"float": 50}]},
        ]
    },
    "open filtered, contains": {"filter": [{"column": "trader", "op": "contains", "value": [{"string": "77"}]}]},
    "open group by 1: avg, sum": only("price", "qty") | {"groupBy": ["symbol"]} | aggregates(price="avg", qty="sum"),
    "open group by 2: avg, sum, distinct, max": only("price", "qty", "trader", "ts")
    | {"groupBy": ["venue", "symbol"]}
    | aggregates(price="avg", qty="sum", trader="distinct count", ts="max"),
    "open group by 2, high cardinality": only("qty") | {"groupBy": ["trader", "symbol"], "groupByDepth": 1},
    "open grouped, sorted by aggregate": only("qty") | {"groupBy": ["symbol"]} | sort(("qty", "SORT_DESC")),
    "open split 20 x 2, median and sum": only("price", "qty")
    | {"groupBy": ["venue"], "splitBy": ["side"]}
    | aggregates(price="median"),
    "open split 1000 x 20, sum": only("qty") | {"groupBy": ["symbol"], "splitBy": ["venue"]},
}


def trades(num_rows, seed=1):
    rng = random.Random(seed)
    pick = lambda prefix, count: pa.array([f"{prefix}{rng.randrange(count)}" for _ in range(num_rows)])
    return pa.table(
        {
            "id": pa.array(range(num_rows), pa.int32()),
            "symbol": pick("S", 1000),
            "venue": pick("V", 20),
            "trader": pick("T", 5000),
            "side": pa.array([("buy", "sell")[rng.random() < 0.5] for _ in range(num_rows)]),
            "price": pa.array([rng.random() * 100 for _ in range(num_rows)]),
            "qty": pa.array([rng.randrange(1000) for _ in range(num_rows)], pa.int32()),
            "ts": pa.array([1_700_000_000_000 + rng.randrange(10**9) for _ in range(num_rows)], pa.timestamp("ms")),
            "flag": pa.array([rng.random() < 0.5 for _ in range(num_rows)]),
        }
    )


def ipc(table):
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table.combine_chunks())
    return sink.getvalue()


class Side:
    """One server and one connection to it."""

    def __init__(self, name, process, url):
        self.name, self.process = name, process
        options = [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)]
        self.link = websocket.create_connection(url, timeout=600, sockopt=options)
        self.last_id = 0

    @staticmethod
    def ours(binary):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--no-flight", "--max-frame-bytes", str(1 << 30)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in process.stdout:
            if line.startswith("listening http://"):
                url = line.strip().replace("listening http", "ws") + "/websocket"
            if line.startswith("ready"):
                return Side("ours", process, url)
        raise RuntimeError("our server did not start")

    @staticmethod
    def peer():
        script = pathlib.Path(__file__).resolve().parent / "peer_server.py"
        process = subprocess.Popen([sys.executable, str(script)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        return Side("peer", process, f"ws://127.0.0.1:{int(process.stdout.readline())}/websocket")

    def send(self, entity, fill):
        self.last_id += 1
        request = proto.Request(msg_id=self.last_id, entity_id=entity)
        fill(request)
        self.link.send_binary(request.SerializeToString())
        return self.last_id

    def hear(self):
        return proto.Response.FromString(self.link.recv())

    def ask(self, entity, fill):
        number = self.send(entity, fill)
        while True:
            response = self.hear()
            if response.msg_id == number:
                if response.HasField("server_error"):
                    raise RuntimeError(f"{self.name}: {response.server_error.message}")
                return response

    def make_table(self, name, index=None, **data):
        def fill(request):
            for key, value in data.items():
                setattr(request.make_table_req.data, key, value)
            if index:
                request.make_table_req.options.make_index_table = index

        return self.ask(name, fill)

    def update(self, table, data):
        self.ask(table, lambda request: setattr(request.table_update_req.data, "from_arrow", data))

    def open_view(self, table, name, config):
        from google.protobuf import json_format

        body = {"tableMakeViewReq": {"viewId": name, "config": config}}
        self.ask(table, lambda request: json_format.ParseDict(body, request))

    def window(self, view, rows=50, columns=10):
        def fill(request):
            request.view_to_columns_string_req.viewport.end_row = rows
            request.view_to_columns_string_req.viewport.end_col = columns
            request.view_to_columns_string_req.id = True

        return self.ask(view, fill)

    def delete_view(self, view):
        self.ask(view, lambda request: request.view_delete_req.SetInParent())

    def resident_mib(self):
        pages = int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)

    def close(self):
        self.link.close()
        self.process.terminate()
        self.process.wait(20)


def millis(act):
    start = time.perf_counter()
    act()
    return (time.perf_counter() - start) * 1000


def measure(side, options, figures):
    """Every operation on one side; `figures(name, value, unit)` takes what comes out."""
    wanted = lambda name: options.only is None or options.only in name
    table = trades(options.rows)
    data = ipc(table)
    before = side.resident_mib()
    took = millis(lambda: side.make_table("trades", index="id", from_arrow=data))
    figures(f"load Arrow {options.rows} x 9", took, "ms")
    figures("memory a row", (side.resident_mib() - before) * (1 << 20) / options.rows, "bytes")
    if wanted("load CSV"):
        import pyarrow.csv

        sink = io.BytesIO()
        pyarrow.csv.write_csv(table.slice(0, options.rows // 5), sink)
        text = sink.getvalue().decode()
        figures(f"load CSV {options.rows // 5}", millis(lambda: side.make_table("csv", from_csv=text)), "ms")
    for size in (1, 10, 100, 1000, 10_000):
        if wanted(f"update {size}") and size <= options.rows:
            batches = [ipc(trades(size, seed)) for seed in range(2, 9)]
            took = [millis(lambda: side.update("trades", batch)) for batch in batches]
            figures(f"update {size} rows", statistics.median(took), "ms")
    for name, config in OPENINGS.items():
        if wanted(name):
            took = []
            for repeat in range(options.repeats):

                def act():
                    side.open_view("trades", f"{name}{repeat}", config)
                    side.window(f"{name}{repeat}")

                took.append(millis(act))
                side.delete_view(f"{name}{repeat}")
            figures(name, statistics.median(took), "ms")
    if wanted("8 live views"):
        live(side, figures)


def live(side, figures):
    """Updates with eight mixed views that somebody watches, until all are notified."""
    watched = set()
    before = side.resident_mib()
    for number, config in enumerate(MIXED):
        side.open_view("trades", f"live{number}", config)
        side.window(f"live{number}")
        watched.add(side.send(f"live{number}", lambda request: request.view_on_update_req.SetInParent()))
    figures("memory a view", (side.resident_mib() - before) / len(MIXED), "MiB")
    for size in (1, 1000):
        took = []
        for seed in range(20, 31):
            batch = ipc(trades(size, seed))

            def act():
                number = side.send("trades", lambda request: setattr(request.table_update_req.data, "from_arrow", batch))
                left = watched | {number}
                while left:
                    left -= {side.hear().msg_id}

            took.append(millis(act))
        figures(f"update {size} rows, 8 live views", statistics.median(took), "ms")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--only", help="operations whose name contains this")
    parser.add_argument("--json", help="where to write the figures")
    options = parser.parse_args()
    results = {}
    for start in (lambda: Side.ours(options.binary), Side.peer):
        side = start()

        def figures(name, value, unit):
            results.setdefault(name, {"unit": unit})[side.name] = value
            print(f"  {side.name:5} {name:45} {value:12.2f} {unit}", file=sys.stderr, flush=True)

        try:
            measure(side, options, figures)
        finally:
            side.close()
    print(f"{'operation':45} {'ours':>12} {'peer':>12} {'peer / ours':>12}")
    for name, figure in results.items():
        ours, peer = figure.get("ours"), figure.get("peer")
        ratio = peer / ours if ours and peer is not None else float("nan")
        figure["ratio"] = ratio
        print(f"{name:45} {ours:12.2f} {peer:12.2f} {ratio:11.1f}x  {figure['unit']}")
    if options.json:
        machine = {"system": platform.platform(), "cores": os.cpu_count(), "date": time.strftime("%Y-%m-%d")}
        pathlib.Path(options.json).write_text(json.dumps({"rows": options.rows, "machine": machine, "results": results}, indent=1))


if __name__ == "__main__":
    main()
