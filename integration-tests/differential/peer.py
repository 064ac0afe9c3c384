"""The peer's engine in a process of its own: one script a line in, one list of answers a line out.

It can crash or hang (that is why it stands alone); whoever started it watches the clock.
"""

import json
import os
import sys

# The engine writes notes of its own to standard output.
ANSWERS = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)

import perspective

import wire


def run(script):
    sent = []
    session = perspective.Server().new_session(lambda data: sent.append(bytes(data)))
    for number, step in enumerate(script, start=1):
        session.handle_request(wire.request(step, number).SerializeToString())
        responses = [wire.proto.Response.FromString(data) for data in sent]
        sent.clear()
        answer = [wire.plain(response) for response in responses if response.msg_id == number]
        news = [[response.msg_id, *wire.plain(response)] for response in responses if response.msg_id != number]
        yield {"answer": answer, "news": news}
    # Closing sessions is one of the things that abort it: the process ends with them open.
    KEPT.append(session)


KEPT = []

for line in sys.stdin:
    for reply in run(json.loads(line)):
        print(json.dumps(reply), file=ANSWERS, flush=True)
