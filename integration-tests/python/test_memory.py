"""What the server does with its memory: that of large tables is given back."""

import time
import urllib.request

import pyarrow as pa
from conftest import PATIENCE_SECS, serve

ROWS = 100_000


def arrow(table):
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


def ask(server, method, path, body=None):
    request = urllib.request.Request(f"{server.http}/api/v1/tables/{path}", data=body, method=method)
    with urllib.request.urlopen(request, timeout=PATIENCE_SECS) as answer:
        return answer.read()


def resident_mib(server):
    with open(f"/proc/{server.pid}/statm") as numbers:
        return int(numbers.read().split()[1]) * 4096 / 2**20


def test_memory_of_deleted_tables_is_given_back():
    texts = pa.array([f"text number {row}" for row in range(ROWS)])
    body = arrow(pa.table({"row": range(ROWS), "text": texts}))
    with serve() as server:

        def round():
            for table in range(5):
                ask(server, "PUT", f"t{table}?format=arrow&index=text", body)
            full = resident_mib(server)
            for table in range(5):
                ask(server, "DELETE", f"t{table}")
            return full

        def settled(bound):
            """Resident memory once it is below the bound, or after a patient wait."""
            patient_until = time.monotonic() + 20
            while resident_mib(server) > bound and time.monotonic() < patient_until:
                time.sleep(0.05)
            return resident_mib(server)

        first_full = round()
        first = settled(first_full * 0.6)
        assert first <= first_full * 0.6
        for _ in range(3):
            round()
        assert settled(first * 1.2) <= first * 1.2
