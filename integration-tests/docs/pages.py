"""What the blocks of a page run in: a folder with files of trades, a server, a Python module."""

import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import threading
import time
import tomllib
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parents[2]
BINARY = pathlib.Path(os.environ.get("PROSCENIUM_BIN", ROOT / "target/debug/proscenium")).resolve()
ASSETS = pathlib.Path(os.environ.get("PROSCENIUM_ASSETS", ROOT / "target/page")).resolve()
PATIENCE_SECS = 60

# `proscenium serve` of the page listens on the ports that the page's addresses stand for.
COMMAND = """#!/bin/sh
[ "$1" = serve ] || exec {binary} "$@"
case " $* " in *" --listen "*) exec {binary} "$@" ;; esac
shift
exec {binary} serve --listen 127.0.0.1:{http} --flight 127.0.0.1:{flight} --assets {assets} "$@"
"""

# Runs blocks that arrive as lines of JSON in one module, and says how each ended.
MODULE = """
import json, sys, traceback
module = {"__name__": "__main__"}
for line in sys.stdin:
    try:
        exec(compile(json.loads(line), "<block>", "exec"), module)
        end = "ok"
    except BaseException:
        end = traceback.format_exc()
    print("\\x00" + json.dumps(end), flush=True)
"""


class Failed(Exception):
    """A block that fails, with what it printed."""


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def write_files(folder):
    """The files that the pages name."""
    import gzip

    import pyarrow as pa
    import pyarrow.parquet

    def csv(name, ids):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        rows = [f"{n},{'ab'[n % 2]},{n + 0.5},{n * 100}" for n in ids]
        path.write_text("id,symbol,price,size\n" + "\n".join(rows) + "\n")

    def parquet(name, ids):
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        ids = list(ids)
        columns = {"symbol": ["ab"[n % 2] for n in ids], "price": [n + 0.5 for n in ids], "size": [n * 100 for n in ids]}
        pyarrow.parquet.write_table(pa.table({"id": ids, **columns}), path)

    csv("trades.csv", range(1, 21))
    csv("rows.csv", range(30, 33))
    csv("days/2024-01-01.csv", range(40, 43))
    csv("days/2024-01-02.csv", range(43, 46))
    parquet("more/2024-01-03.parquet", range(46, 49))
    parquet("more.parquet", range(50, 53))
    (folder / "more.json").write_text('[{"id": 60, "symbol": "a", "price": 1, "size": 1}]')
    (folder / "log.gz").write_bytes(gzip.compress(b'{"level": "info", "line": 1}\n{"level": "warn", "line": 2}\n'))
    (folder / "app.log.csv").write_text("time,level\n2026-01-01T00:00:00Z,info\n")


class Page:
    def __init__(self, folder):
        self.folder = folder
        self.running = []
        self.module = None
        self.server = None
        self.http, self.flight = free_port(), free_port()
        write_files(folder)
        # An answer of 400 and more is a failure.
        (folder / ".curlrc").write_text("fail\nshow-error\nsilent\n")
        (folder / "node_modules").symlink_to(ROOT / "integration-tests/node_modules")
        bin = folder / ".bin"
        bin.mkdir()
        command = bin / "proscenium"
        command.write_text(COMMAND.format(binary=BINARY, http=self.http, flight=self.flight, assets=ASSETS))
        command.chmod(0o755)
        self.environment = {
            **os.environ,
            "PATH": f"{bin}:{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(folder),
            "NO_COLOR": "1",
            "PROSCENIUM_FLIGHT": f"grpc://127.0.0.1:{self.flight}",
        }

    def __enter__(self):
        return self

    def __exit__(self, *_):
        for child in [self.module, *self.running, self.server]:
            if child:
                child.terminate()
        for child in [self.module, *self.running, self.server]:
            if child:
                child.wait(PATIENCE_SECS)

    def here(self, text):
        """The text with this page's ports."""
        for name, port in [("8080", self.http), ("8815", self.flight)]:
            text = re.sub(rf"\b(127\.0\.0\.1|localhost):{name}\b", rf"\1:{port}", text)
        return text

    def start(self, *command):
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def restart(self, script):
        """The block's server takes the place of the one that runs."""
        if self.server:
            self.server.terminate()
            self.server.wait(PATIENCE_SECS)
        # The shell is replaced by the server, so that ending it ends the server.
        lines = script.strip().splitlines()
        lines[-1] = f"exec {lines[-1]}"
        self.server = self.start("bash", "-euc", self.here("\n".join(lines)))
        printed = until(self.server, lambda line: line == "ready\n")
        if printed is not None:
            raise Failed(f"starts no server:\n{printed}")

    def need_server(self):
        if not self.server:
            self.restart("proscenium serve --table trades=trades.csv,index=id")

    def finish(self, command, body):
        self.need_server()
        child = self.start(*command, self.here(body))
        try:
            printed, _ = child.communicate(timeout=PATIENCE_SECS)
        except subprocess.TimeoutExpired:
            child.kill()
            raise Failed("does not end")
        if child.returncode != 0:
            raise Failed(f"ends with {child.returncode}:\n{printed}")

    def shell(self, body):
        self.finish(["bash", "-euo", "pipefail", "-c"], body)

    def node(self, body):
        self.finish(["node", "--input-type=module", "-e"], body)

    def background(self, language, body, table):
        self.need_server()
        command = {"sh": ["bash", "-euc"], "js": ["node", "--input-type=module", "-e"]}[language]
        if language == "sh":
            body = f"exec {body.strip()}"
        child = self.start(*command, self.here(body))
        self.running.append(child)
        if table:
            self.wait_for_table(table, child)
            return
        printed = until(child, lambda line: line.strip())
        if printed is not None:
            raise Failed(f"ends:\n{printed}")

    def wait_for_table(self, table, child):
        deadline = time.monotonic() + PATIENCE_SECS
        while child.poll() is None and time.monotonic() < deadline:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.http}/api/v1/tables") as answer:
                if any(listed["name"] == table for listed in json.load(answer)):
                    return
        child.kill()
        raise Failed(f"makes no table {table}:\n{child.stdout.read()}")

    def python(self, body):
        self.need_server()
        if not self.module:
            self.module = subprocess.Popen(
                [sys.executable, "-c", MODULE],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
            )
        self.module.stdin.write(json.dumps(self.here(body)) + "\n")
        self.module.stdin.flush()
        printed = []
        for line in self.module.stdout:
            if line.startswith("\x00"):
                end = json.loads(line[1:])
                if end != "ok":
                    raise Failed(f"fails:\n{''.join(printed)}{end}")
                return
            printed.append(line)
        raise Failed(f"ends the process:\n{''.join(printed)}")

    def configuration(self, body):
        """A server starts with the configuration."""
        tomllib.loads(body)
        # The folder of the system's service is one of the page.
        (self.folder / "block.toml").write_text(body.replace("/var/lib/proscenium", str(self.folder / "data")))
        arguments = ["--listen", "127.0.0.1:0", "--flight", "127.0.0.1:0", "--config", "block.toml"]
        child = self.start(BINARY, "serve", *arguments)
        printed = until(child, lambda line: line == "ready\n")
        child.terminate()
        child.wait(PATIENCE_SECS)
        if printed is not None:
            raise Failed(f"is no configuration:\n{printed}")

    def json(self, body):
        try:
            json.loads(body)
        except ValueError as error:
            raise Failed(f"is no JSON: {error}")

    def example(self, name):
        """Runs an example in Rust, where it was built."""
        built = BINARY.parent / "examples" / name
        if built.exists():
            self.need_server()
            self.finish([built], "http://127.0.0.1:8815")


def until(child, is_there):
    """Reads a process's lines until one `is_there`, and from then on in a thread; what it printed if it ended before."""
    watch = threading.Timer(PATIENCE_SECS, child.kill)
    watch.start()
    try:
        printed = []
        for line in child.stdout:
            printed.append(line)
            if is_there(line):
                threading.Thread(target=child.stdout.read, daemon=True).start()
                return None
        child.wait(PATIENCE_SECS)
        return "".join(printed)
    finally:
        watch.cancel()
