"""The two sides of the comparison: ours behind its WebSocket, the peer in a child process."""

import json
import pathlib
import queue
import socket
import subprocess
import sys
import threading

import websocket

import wire

_HERE = pathlib.Path(__file__).resolve().parent


class Ours:
    """One server for all scripts; each script has its own connection, and table names of its own."""

    def __init__(self, binary):
        self.process = subprocess.Popen(
            [binary, "serve", "--listen", "127.0.0.1:0", "--no-flight"],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stdout:
            if line.startswith("listening http://"):
                self.url = line.strip().replace("listening http", "ws") + "/websocket"
            if line.startswith("ready"):
                break

    def run(self, script, prefix):
        """The answers of a script whose tables and views get names that begin with `prefix`."""
        link = websocket.create_connection(self.url, timeout=20, sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])
        try:
            return [self._step(link, step, number, prefix) for number, step in enumerate(script, start=1)]
        finally:
            link.close()

    def _step(self, link, step, number, prefix):
        message = wire.request(step, number)
        rename(message, prefix)
        which = message.WhichOneof("client_req")
        link.send_binary(message.SerializeToString())
        responses = []
        if which not in wire.SUBSCRIPTIONS:
            responses += self._until(link, number, prefix)
        if which in wire.WRITES or which in wire.SUBSCRIPTIONS or which == "view_delete_req":
            # News of a write leave before the answer to any later request about the same tables.
            for table in ("t", "derived"):
                barrier = wire.proto.Request(msg_id=1_000_000, entity_id=prefix + table)
                barrier.table_size_req.SetInParent()
                link.send_binary(barrier.SerializeToString())
                responses += self._until(link, 1_000_000, prefix)[:-1]
        answer = [wire.plain(response) for response in responses if response.msg_id == number]
        news = [[response.msg_id, *wire.plain(response)] for response in responses if response.msg_id != number]
        return {"answer": answer, "news": news}

    def _until(self, link, number, prefix):
        responses = []
        while True:
            response = wire.proto.Response.FromString(link.recv())
            if response.HasField("server_error"):
                response.server_error.message = response.server_error.message.replace(prefix, "")
            if response.HasField("table_make_view_resp"):
                made = response.table_make_view_resp
                made.view_id = made.view_id.removeprefix(prefix)
            responses.append(response)
            if response.msg_id == number:
                return responses

    def close(self):
        self.process.terminate()
        self.process.wait(20)


def rename(message, prefix):
    """Gives tables and views names that no other script has."""
    message.entity_id = prefix + message.entity_id
    if message.HasField("table_make_view_req"):
        message.table_make_view_req.view_id = prefix + message.table_make_view_req.view_id
    if message.HasField("make_table_req") and message.make_table_req.data.HasField("from_view"):
        message.make_table_req.data.from_view = prefix + message.make_table_req.data.from_view


class Peer:
    """Restarted whenever it dies or stands still; `run` then yields what it had answered and says so."""

    def __init__(self, patience_secs=10):
        self.patience_secs = patience_secs
        self.process = None

    def _start(self):
        self.process = subprocess.Popen(
            [sys.executable, str(_HERE / "peer.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            bufsize=1,
        )
        self.lines = queue.Queue()

        def read(process, lines):
            for line in process.stdout:
                lines.put(line)
            lines.put(None)

        threading.Thread(target=read, args=(self.process, self.lines), daemon=True).start()

    def run(self, script):
        """The answers, and whether the peer lived to the end."""
        if self.process is None or self.process.poll() is not None:
            self._start()
        answers = []
        try:
            self.process.stdin.write(json.dumps(script) + "\n")
            while len(answers) < len(script):
                line = self.lines.get(timeout=self.patience_secs)
                if line is None:
                    raise BrokenPipeError
                answers.append(json.loads(line))
        except (queue.Empty, BrokenPipeError):
            self.close()
            return answers, False
        return answers, True

    def close(self):
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            self.process = None
