"""The sides of the comparison: our server or browser's worker, and the reference engine in a child process."""

import base64
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

    def __init__(self, binary, options=()):
        self.command = [binary, "serve", "--listen", "127.0.0.1:0", "--no-flight", *options]
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            self.command,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        for line in self.process.stdout:
            if line.startswith("listening http://"):
                self.url = line.strip().replace("listening http", "ws") + "/websocket?client=" + wire.GENERATION
            if line.startswith("ready"):
                break

    def run(self, script, prefix):
        """The replies to a script whose tables and views get names that begin with `prefix`."""
        links = [self._connect() for _ in range(2)]
        # Messages to the second client are only received if the script has one.
        self.listening = range(2) if any("session" in step or "close" in step for step in script) else range(1)
        self.tables = sorted({step["entityId"] for step in script if "makeTableReq" in step or "makeJoinTableReq" in step})
        try:
            return [self._step(links, step, number, prefix) for number, step in enumerate(script, start=1)]
        finally:
            for link in links:
                link.close()

    def _connect(self):
        return websocket.create_connection(self.url, timeout=20, sockopt=[(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)])

    def _hang_up(self, links, step, prefix):
        """Closes a connection, waits until the server has noticed, and opens another."""
        links[step["close"]].close()
        links[step["close"]] = self._connect()
        responses = []
        for view in step["gone"]:
            is_there = True
            while is_there:
                question = wire.proto.Request(msg_id=1_000_000, entity_id=prefix + view)
                question.view_dimensions_req.SetInParent()
                links[0].send_binary(question.SerializeToString())
                *news, answer = self._until(links[0], 1_000_000, prefix)
                responses += [(0, each) for each in news]
                is_there = not answer.HasField("server_error")
        return responses

    def _step(self, links, step, number, prefix):
        if "close" in step:
            return wire.outcome(number, 0, self._hang_up(links, step, prefix))
        message = wire.request(step, number)
        rename(message, prefix)
        which = message.WhichOneof("client_req")
        asking = step.get("session", 0)
        links[asking].send_binary(message.SerializeToString())
        responses = []
        if which == "get_hosted_tables_req" and message.get_hosted_tables_req.subscribe:
            which = wire.SUBSCRIPTIONS[0]
        if which not in wire.SUBSCRIPTIONS + wire.DELETES:
            responses += [(asking, each) for each in self._until(links[asking], number, prefix)]
        if which == "table_make_view_req":
            self._built(links[asking], message.table_make_view_req.view_id, prefix)
        if which in wire.WRITES + wire.SUBSCRIPTIONS + wire.DELETES:
            # Notifications of a write precede the reply to any later request about the same tables; a lazy deletion has
            # no reply yet.
            overdue = 0
            for session in sorted(self.listening, key=lambda each: each != asking):
                written = step["entityId"] if which in wire.WRITES[2:] and step["entityId"] in self.tables else None
                if written:
                    # All notifications of a batch, also of derived tables, precede later replies of the written table.
                    responses += [(session, each) for each in self._barrier(links[session], prefix, [written])]
                rest = self._barrier(links[session], prefix, [*self.tables, None])
                responses += [(session, each) for each in rest]
                overdue += len(rest) if written else 0
            return wire.outcome(number, asking, responses) | {"overdue": overdue}
        return wire.outcome(number, asking, responses)

    def _built(self, link, view, prefix):
        """Waits until a view is built: until then its notifications may arrive after later replies."""
        question = wire.proto.Request(msg_id=1_000_000, entity_id=view)
        question.view_dimensions_req.SetInParent()
        link.send_binary(question.SerializeToString())
        self._until(link, 1_000_000, prefix)

    def _barrier(self, link, prefix, tables):
        """The messages received until these tables, and the list of tables, have replied."""
        responses = []
        for table in tables:
            barrier = wire.proto.Request(msg_id=1_000_000)
            if table is None:
                barrier.get_hosted_tables_req.SetInParent()
            else:
                barrier.entity_id = prefix + table
                barrier.table_size_req.SetInParent()
            link.send_binary(barrier.SerializeToString())
            responses += self._until(link, 1_000_000, prefix)[:-1]
        return responses

    def _until(self, link, number, prefix):
        responses = []
        while True:
            response = wire.proto.Response.FromString(link.recv())
            if response.HasField("server_error"):
                response.server_error.message = response.server_error.message.replace(prefix, "")
            if response.HasField("table_make_view_resp"):
                made = response.table_make_view_resp
                made.view_id = made.view_id.removeprefix(prefix)
            if response.HasField("get_hosted_tables_resp"):
                own = [each for each in response.get_hosted_tables_resp.table_infos if each.entity_id.startswith(prefix)]
                for each in own:
                    each.entity_id = each.entity_id.removeprefix(prefix)
                del response.get_hosted_tables_resp.table_infos[:]
                response.get_hosted_tables_resp.table_infos.extend(own)
            responses.append(response)
            if response.msg_id == number:
                return responses

    def close(self):
        self.process.terminate()
        self.process.wait(20)


class Worker:
    """The browser's engine, as WebAssembly in Node; a new one for each script."""

    def __init__(self, folder):
        self.process = subprocess.Popen(
            ["node", str(_HERE / "worker.mjs"), folder, wire.GENERATION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
        )

    def run(self, script, _prefix):
        self._say({"reset": True})
        outcomes = []
        for number, step in enumerate(script, start=1):
            if "close" in step:
                heard = self._say({"close": step["close"]})
            else:
                frame = base64.b64encode(wire.request(step, number).SerializeToString()).decode()
                heard = self._say({"session": step.get("session", 0), "frame": frame})
            responses = [(session, wire.proto.Response.FromString(base64.b64decode(data))) for session, data in heard]
            outcomes.append(wire.outcome(number, step.get("session", 0), responses))
        return outcomes

    def _say(self, order):
        self.process.stdin.write(json.dumps(order) + "\n")
        line = self.process.stdout.readline()
        if not line:
            raise BrokenPipeError("the engine has ended")
        return json.loads(line)

    def close(self):
        self.process.kill()
        self.process.wait()


def rename(message, prefix):
    """Gives tables and views names that no other script has."""
    message.entity_id = prefix + message.entity_id
    if message.HasField("table_make_view_req"):
        message.table_make_view_req.view_id = prefix + message.table_make_view_req.view_id
    if message.HasField("make_join_table_req"):
        join = message.make_join_table_req
        join.left_table_id, join.right_table_id = prefix + join.left_table_id, prefix + join.right_table_id
    if message.HasField("make_table_req") and message.make_table_req.data.HasField("from_view"):
        message.make_table_req.data.from_view = prefix + message.make_table_req.data.from_view


class Peer:
    """Restarted whenever it crashes or hangs; `run` then returns the replies so far, and that it did."""

    def __init__(self, python=sys.executable, patience_secs=10):
        self.python = python
        self.patience_secs = patience_secs
        self.process = None

    def _start(self):
        self.process = subprocess.Popen(
            [self.python, str(_HERE / "peer.py"), wire.GENERATION],
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
        """The replies, and whether the reference engine survived."""
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
