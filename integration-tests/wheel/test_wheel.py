"""The installed wheel, in an environment of its own: its command, its module, its documentation and its types."""

import asyncio
import doctest
import importlib
import importlib.metadata
import os
import pathlib
import pkgutil
import queue
import re
import select
import signal
import subprocess
import sys
import threading
import urllib.request

import pandas as pd
import polars as pl
import proscenium
import pyarrow as pa
import pytest
import websockets.sync.server

DEPLOY = pathlib.Path(__file__).resolve().parents[2] / "deploy/python"
PATIENCE_SECS = 60
# An error of a thread of the module is one of the test.
pytestmark = pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
COLUMNS = {"id": [1, 2, 3], "name": ["ann", "bob", None], "price": [1.5, None, 3.5]}


@pytest.fixture(scope="module")
def server():
    with proscenium.serve() as server:
        yield server


def test_the_command_is_the_binary():
    command = pathlib.Path(sys.executable).with_name("proscenium")
    said = subprocess.run([command, "--version"], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"proscenium {importlib.metadata.version('proscenium')}")
    assert subprocess.run([command, "no-such-command"], capture_output=True).returncode == 2


def test_it_brings_its_page(server):
    with urllib.request.urlopen(server.url) as answer:
        assert b"<title>Proscenium</title>" in answer.read()
    assert server.url in server._repr_html_()


@pytest.mark.parametrize(
    "frame",
    [
        pd.DataFrame(COLUMNS),
        pd.DataFrame(COLUMNS).set_index("id"),
        pd.DataFrame(COLUMNS)[lambda rows: rows["id"] > 0],
        pl.DataFrame(COLUMNS),
        pa.table(COLUMNS),
        pa.RecordBatch.from_pydict(COLUMNS),
        pa.table(COLUMNS).to_reader(),
        COLUMNS,
        pa.table(COLUMNS).to_pylist(),
    ],
    ids=lambda frame: f"{type(frame).__module__}.{type(frame).__name__}",
)
def test_every_frame_is_a_table(frame):
    with proscenium.serve({"people": frame}, index={"people": "id"}) as server:
        rows = server.table("people").read()
    assert rows.select(["id", "name", "price"]).to_pydict() == COLUMNS
    assert rows.num_columns == 3


def test_an_unnamed_index_of_pandas_is_no_column(server):
    frame = pd.DataFrame(COLUMNS)
    filtered = frame[frame["id"] != 2]
    server.table("filtered").load(filtered)
    assert server.table("filtered").read().column_names == list(COLUMNS)


def test_a_large_frame_shows_its_progress(server, capfd):
    rows = pl.DataFrame({"x": range(300_000)})
    assert server.table("large").load(rows) == 300_000
    assert "300k/300k" in capfd.readouterr().err
    assert server.table("large").load(rows, progress=False) == 300_000
    assert capfd.readouterr().err == ""
    assert server.table("large").read().num_rows == 600_000


def test_the_published_client_sees_what_is_loaded(server):
    table = server.table("live")
    table.load({"id": [1], "x": [1.0]}, index="id")
    with proscenium.connect(server.url) as first, server.connect() as second:
        view = first.open_table("live").view()
        second.open_table("live").update([{"id": 1, "x": 2.0}])
        assert view.to_records() == [{"id": 1, "x": 2.0}]
        table.load({"id": [2], "x": [5.0]})
        assert view.num_rows() == 2
    assert table.read({"columns": ["x"]}).to_pydict() == {"x": [2.0, 5.0]}


def test_a_request_fails_when_its_connection_is_lost():
    """A server that closes the connection instead of answering."""

    def hang_up(socket):
        socket.send('{"session": "1", "epoch": "1", "keep_seconds": 1, "window_bytes": 1024, "received": 0}')
        socket.recv()

    with websockets.sync.server.serve(hang_up, "127.0.0.1", 0) as listener:
        threading.Thread(target=listener.serve_forever, daemon=True).start()
        port = listener.socket.getsockname()[1]
        with proscenium.connect(f"http://127.0.0.1:{port}", patience=0) as client:
            with pytest.raises(Exception, match="the connection was"):
                client.get_hosted_table_names()
        listener.shutdown()


def test_subscriptions_outlive_their_requests(server):
    table = server.table("watched")
    table.load({"id": [1], "x": [1.0]}, index="id")
    changed = threading.Event()
    with proscenium.connect(server.url) as client:
        view = client.open_table("watched").view()
        view.on_update(lambda *_: changed.set())
        for round in range(3):
            changed.clear()
            table.load({"id": [1], "x": [2.0 + round]})
            assert changed.wait(PATIENCE_SECS)


def test_a_client_gets_what_it_missed_in_a_break(server):
    table = server.table("broken")
    table.load({"id": [1], "x": [1.0]}, index="id")
    states, changes = [], queue.Queue()
    with proscenium.connect(server.url, on_state=states.append) as client:
        view = client.open_table("broken").view()
        view.on_update(lambda *changed: changes.put(changed))
        assert view.num_rows() == 1
        client.connection.drop()
        table.load({"id": [2], "x": [2.0]})
        changes.get(timeout=PATIENCE_SECS)
        assert view.to_columns() == {"id": [1, 2], "x": [1.0, 2.0]}
    assert states[:3] == ["online", "reconnecting", "online"]


def test_a_client_goes_on_with_a_restarted_server(tmp_path):
    """Its views, subscriptions and ports are opened again under their ids."""
    first = proscenium.serve({"kept": COLUMNS}, index={"kept": "id"}, arguments=["--data", str(tmp_path)])
    address = first.url.removeprefix("http://")
    states, changes = [], queue.Queue()
    with proscenium.connect(first.url, on_state=states.append) as client:
        table = client.open_table("kept")
        port = table.make_port()
        view = table.view(columns=["id"])
        view.on_update(lambda *changed: changes.put(changed))
        before = view.num_rows()
        os.kill(first.pid, signal.SIGKILL)
        second = proscenium.serve(listen=address, arguments=["--data", str(tmp_path)])
        changes.get(timeout=PATIENCE_SECS)
        table.update([{"id": 1000}], port_id=port)
        changes.get(timeout=PATIENCE_SECS)
        assert view.num_rows() == before + 1

        async def with_coroutines():
            async with proscenium.connect_async(second.url) as client:
                view = await (await client.open_table("kept")).view()
                return await view.num_rows()

        assert asyncio.run(with_coroutines()) == before + 1
    second.stop()
    first.stop()


def test_a_column_alone_is_no_frame(server):
    for column in (pd.Series([1]), pl.Series([1]), pa.array([1])):
        with pytest.raises(TypeError, match="dict of columns"):
            server.table("column").load(column)


def test_lists_become_rows_as_is_asked_for(server):
    frame = pl.DataFrame({"x": [[1, 2], [3]]})
    assert server.table("zipped").load(frame) == 2
    assert server.table("zipped").read().num_rows == 3
    server.table("texts").load(frame, lists="stringify")
    assert server.table("texts").read().num_rows == 2


def test_what_is_wrong_is_named(server):
    table = server.table("strict")
    table.load({"id": [1]}, index="id")
    with pytest.raises(pa.ArrowException, match="colour"):
        table.load({"id": [2], "colour": ["red"]})
    assert table.load({"id": [2], "colour": ["red"]}, ignore_unknown=True) == 1
    with pytest.raises(pa.ArrowException, match="strict"):
        table.load({"id": [1]}, mode="create")
    with pytest.raises(KeyError, match="absent"):
        proscenium.read(server.flight, "absent")
    with pytest.raises(ValueError, match="mode"):
        table.load({"id": [1]}, mode="erase")
    with pytest.raises(RuntimeError, match="no-such-file"):
        proscenium.serve(arguments=["--table", "t=no-such-file.csv"])
    with pytest.raises(ValueError, match="prices"):
        proscenium.serve({}, index={"prices": "id"})
    # A table that cannot be loaded leaves no server behind.
    with pytest.raises(pa.ArrowException):
        proscenium.serve({"t": COLUMNS}, index={"t": "colour"})


def test_a_stopped_server_is_gone():
    server = proscenium.serve({"t": COLUMNS})
    client = server.connect()
    table = client.open_table("t")
    client.on_hosted_tables_update(lambda *_: None)
    server.stop()
    server.stop()
    with pytest.raises(Exception, match="shutting down"):
        table.size()
    assert "stopped" in repr(server)
    with pytest.raises(OSError):
        urllib.request.urlopen(server.url)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="waits for a process that is no child")
def test_the_server_ends_with_a_process_that_is_killed():
    script = "import proscenium, time\nserver = proscenium.serve()\nprint(server.pid, flush=True)\ntime.sleep(600)\n"
    child = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
    server = os.pidfd_open(int(child.stdout.readline()))
    child.send_signal(signal.SIGKILL)
    child.wait(PATIENCE_SECS)
    ended, _, _ = select.select([server], [], [], PATIENCE_SECS)
    os.close(server)
    assert ended, "the server outlived the process that started it"


def test_the_client_is_optional():
    script = (
        "import sys\nsys.modules['perspective'] = None\nimport proscenium\n"
        "try:\n    proscenium.connect('http://127.0.0.1:1')\nexcept ImportError as error:\n    print(error)\n"
    )
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert "pip install 'proscenium[client]'" in said


def test_the_documentation_is_true():
    names = [f"proscenium.{module.name}" for module in pkgutil.iter_modules(proscenium.__path__)]
    tried = 0
    for name in ["proscenium", *names]:
        failed, ran = doctest.testmod(importlib.import_module(name))
        assert failed == 0, name
        tried += ran
    failed, ran = doctest.testfile(str(DEPLOY / "README.md"), module_relative=False, optionflags=doctest.ELLIPSIS)
    assert failed == 0 and ran >= 6 and tried >= 10


def test_the_installation_page_is_true(capfd):
    page = (DEPLOY.parents[1] / "docs/install.md").read_text()
    blocks = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert blocks
    for block in blocks:
        exec(block, {})
    said = capfd.readouterr().out
    assert said.startswith("http://127.0.0.1:") and said.endswith("\n4\n")


def test_the_types_are_strict(tmp_path):
    program = tmp_path / "program.py"
    program.write_text(
        "import proscenium\n"
        "with proscenium.serve({'t': {'x': [1]}}) as server:\n"
        "    rows: int = server.table('t').load([{'x': 2}], mode='append')\n"
        "    name: str = server.table_names()[0]\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--config-file", str(DEPLOY / "pyproject.toml"), "--cache-dir", str(tmp_path)]
    for checked in (["-p", "proscenium"], [str(program)]):
        found = subprocess.run([*mypy, *checked], capture_output=True, text=True, cwd=tmp_path)
        assert found.returncode == 0, found.stdout + found.stderr
    program.write_text("import proscenium\nproscenium.serve(7)\n")
    assert subprocess.run([*mypy, str(program)], capture_output=True, cwd=tmp_path).returncode == 1
