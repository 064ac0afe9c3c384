"""The reference engine in a process of its own: reads one script per line, writes one list of replies per line.

It may crash or hang, hence the separate process; the parent process enforces a timeout.
"""

import json
import os
import sys

# The engine itself prints to standard output.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import perspective

import wire

wire.GENERATION = sys.argv[1]


def run(script):
    """Two clients of one server: the first unless a step says otherwise."""
    sent = []
    server = perspective.Server()

    def connect(number):
        return server.new_session(lambda data: sent.append((number, bytes(data))))

    sessions = [connect(number) for number in (0, 1)]
    for number, step in enumerate(script, start=1):
        asking = step.get("session", 0)
        if "close" in step:
            sessions[step["close"]].close()
            sessions[step["close"]] = connect(step["close"])
        else:
            sessions[asking].handle_request(wire.request(step, number).SerializeToString())
        responses = [(session, wire.proto.Response.FromString(data)) for session, data in sent]
        sent.clear()
        yield wire.outcome(number, asking, responses)
    # Closing all of them may abort the engine, so the process exits with them open.
    KEPT.append(sessions)


KEPT = []

for line in sys.stdin:
    for reply in run(json.loads(line)):
        print(json.dumps(reply), file=ANSWERS, flush=True)
