"""Peak memory of a load beside what the table holds afterwards.

    python load_memory.py --binary ../../target/release/proscenium [--rows 10000000] [--form parquet] [--check]

Each form is loaded into a server of its own over HTTP, as an upload and as a file named at the start. Peak and held are
the kernel's VmHWM and VmRSS less what the server has before. Held may count memory that the allocator has not given
back yet, so the least of a table's forms is the best measure of what it holds.
"""

import argparse
import http.client
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import numpy
import pyarrow as pa
import pyarrow.csv as csv
import pyarrow.parquet as parquet

MOST = 4.0
MIB = 1 << 20
# What one upload may bring, as the server is started.
MAX_UPLOAD = 1 << 30


def make(rows):
    """Eleven columns: keys, moments, prices, sizes, flags, symbols of few values and notes of many."""
    random = numpy.random.default_rng(7)
    symbols = numpy.array([f"symbol-{n:03}" for n in range(500)])
    venues = numpy.array(["north", "south", "east", "west"])
    return pa.table(
        {
            "id": pa.array(numpy.arange(rows)),
            "at": pa.array(1_700_000_000_000 + numpy.arange(rows) * 37, pa.timestamp("ms")),
            "day": pa.array((19_000 + numpy.arange(rows) // 100_000).astype("int32"), pa.date32()),
            "symbol": symbols[random.integers(0, 500, rows)],
            "venue": venues[random.integers(0, 4, rows)],
            "price": numpy.round(random.random(rows) * 1000, 2),
            "quantity": random.integers(1, 1000, rows, dtype="int32"),
            "fee": pa.array(random.random(rows), mask=random.random(rows) < 0.1),
            "buys": pa.array(random.random(rows) < 0.5),
            "side": pa.array(numpy.array(["bid", "ask"])[random.integers(0, 2, rows)]).dictionary_encode(),
            "note": [f"note {n}" for n in random.integers(0, rows // 10, rows)],
        }
    )


def write(table, form, path):
    if form == "parquet":
        parquet.write_table(table, path)
    elif form == "csv":
        csv.write_csv(table.set_column(table.schema.get_field_index("side"), "side", table["side"].cast("string")), path)
    else:
        compression = "lz4" if form == "arrow lz4" else None
        with pa.ipc.new_stream(path, table.schema, options=pa.ipc.IpcWriteOptions(compression=compression)) as writer:
            writer.write_table(table, max_chunksize=100_000)


class Server:
    def __init__(self, binary, *arguments):
        command = [binary, "serve", "--listen", "127.0.0.1:0", "--flight", "127.0.0.1:0", *arguments]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        for line in self.process.stdout:
            word, _, address = line.strip().partition(" ")
            if word == "listening" and address.startswith("http"):
                self.address = address.partition("://")[2]
            if word == "ready":
                return
        raise RuntimeError("the server ended before it was ready")

    def memory(self, what):
        for line in open(f"/proc/{self.process.pid}/status"):
            if line.startswith(what):
                return int(line.split()[1]) / 1024
        raise KeyError(what)

    def send(self, method, path, body=None):
        connection = http.client.HTTPConnection(self.address, timeout=1200)
        size = {"content-length": str(os.path.getsize(body))} if body else {}
        with open(body, "rb") if body else open(os.devnull, "rb") as data:
            connection.request(method, path, body=data if body else None, headers=size)
            answer = connection.getresponse()
            text = answer.read()
        if answer.status >= 300:
            raise RuntimeError(f"{method} {path}: {answer.status} {text[:300]}")

    def end(self):
        self.process.terminate()
        self.process.wait()


def measure(binary, form, path, way):
    ending = form.split()[0]
    before = Server(binary)
    idle = before.memory("VmRSS")
    began = time.monotonic()
    if way == "upload":
        server = before
        server.send("PUT", f"/api/v1/tables/t?format={ending}", path)
    else:
        before.end()
        server = Server(binary, "--table", f"t={path},format={ending}")
    seconds = time.monotonic() - began
    peak, held = server.memory("VmHWM") - idle, server.memory("VmRSS") - idle
    server.end()
    return seconds, peak, held


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--form", action="append", choices=["parquet", "arrow", "arrow lz4", "csv"])
    parser.add_argument("--check", action="store_true", help=f"fails if a peak is more than {MOST} times the table")
    given = parser.parse_args()
    table = make(given.rows)
    too_much = False
    print(f"{given.rows:,} rows x {table.num_columns}; MiB")
    with tempfile.TemporaryDirectory() as folder:
        for form in given.form or ["parquet", "arrow", "arrow lz4", "csv"]:
            path = pathlib.Path(folder) / "data"
            write(table, form, path)
            for way in ("upload", "file"):
                if way == "upload" and os.path.getsize(path) > MAX_UPLOAD:
                    continue
                seconds, peak, held = measure(given.binary, form, path, way)
                too_much |= peak > MOST * held
                print(
                    f"{form:10} {way:7} file {os.path.getsize(path) / MIB:7.0f}  peak {peak:7.0f}  held {held:7.0f}"
                    f"  peak/held {peak / held:5.2f}  {seconds:6.1f} s",
                    flush=True,
                )
    sys.exit(given.check and too_much)


if __name__ == "__main__":
    main()
