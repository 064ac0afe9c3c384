"""Random scripts against both sides: `python run.py --binary target/debug/proscenium --seeds 200 --from 0`.

Ends with 1 and prints a minimal script when an answer differs beyond differences.md.
"""

import argparse
import json
import sys

import compare
import script as scripts
from sides import Ours, Peer


class Bench:
    """Both sides; runs a script and says how they differ."""

    def __init__(self, binary, patience_secs):
        self.ours = Ours(binary)
        self.peer = Peer(patience_secs)
        self.runs = 0

    def difference(self, script):
        """`(difference or None, whether the peer lived)`."""
        self.runs += 1
        ours = self.ours.run(script, f"{self.runs}/")
        theirs, lived = self.peer.run(script)
        return compare.compare(script, ours, theirs), lived

    def shrink(self, script):
        """Drops steps, in ever smaller pieces, while a difference remains."""
        found, _ = self.difference(script)
        script = script[: found[0]]
        size = len(script) // 2
        while size >= 1:
            at = 0
            while at < len(script):
                shorter = script[:at] + script[at + size :]
                if shorter and self.difference(shorter)[0]:
                    script = shorter[: self.difference(shorter)[0][0]] if size > 1 else shorter
                else:
                    at += size
            size //= 2
        return script, self.difference(script)[0]

    def close(self):
        self.ours.close()
        self.peer.close()


def report(seed, script, found):
    number, what, ours, theirs = found
    print(f"seed {seed}: {what}")
    for step in script[:number]:
        print("   ", json.dumps(step, ensure_ascii=False))
    print("  ours   ", json.dumps(ours, ensure_ascii=False)[:3000])
    print("  theirs ", json.dumps(theirs, ensure_ascii=False)[:3000], flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="the server to test")
    parser.add_argument("--seeds", type=int, default=200)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--steps", type=int, default=12, help="table-changing steps a seed")
    parser.add_argument("--patience", type=float, default=10, help="seconds the peer may take for one answer")
    parser.add_argument("--keep-going", action="store_true", help="report every seed instead of the first failure")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    bench = Bench(options.binary, options.patience)
    failed, died, asked = [], 0, 0
    try:
        for seed in range(options.first, options.first + options.seeds):
            script = scripts.write(seed, options.steps)
            found, lived = bench.difference(script)
            died += not lived
            asked += len(script)
            if found:
                failed.append(seed)
                if not options.no_shrink:
                    script, found = bench.shrink(script)
                report(seed, script, found)
                if not options.keep_going:
                    break
    finally:
        bench.close()
    print(f"{options.seeds} seeds, {asked} requests, {len(failed)} differ, the peer died or hung in {died}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
