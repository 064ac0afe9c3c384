"""Random scripts against both sides: `python run.py --binary target/debug/proscenium --seeds 200 --from 0`.

Runs the kept scripts, then every family of random ones. Exits with 1 and prints a minimal script if a reply differs
beyond differences.md; a file of `kept/` may be given instead of seeds.
"""

import argparse
import json
import multiprocessing
import pathlib
import queue
import sys
import time

import compare
import families
import older
import wire
from durable import Durable
from sides import Ours, Peer, Worker

KEPT = pathlib.Path(__file__).resolve().parent / "kept"


class Bench:
    """Runs a script on both sides and returns how they differ."""

    def __init__(self, options):
        wire.GENERATION = options.client
        self.is_older = options.client == "5.5"
        ours = Durable if options.data else Ours
        self.ours = Worker(options.worker) if options.worker else ours(options.binary)
        self.peer = Peer(options.peer, options.patience)
        self.runs = 0

    def difference(self, script):
        """`(difference or None, whether the reference engine survived)`."""
        self.runs += 1
        ours = self.ours.run(script, f"{self.runs}/")
        theirs, lived = self.peer.run(script)
        return compare.compare(script, ours, theirs), lived

    def shrink(self, script):
        """Drops steps, in ever smaller pieces, while a difference remains."""
        found, _ = self.difference(script)
        if not found:
            return script, found
        script = script[: found[0]]
        size = len(script) // 2
        while size >= 1:
            at = 0
            while at < len(script):
                shorter = script[:at] + script[at + size :]
                found = self.difference(shorter)[0] if shorter else None
                if found:
                    script = shorter[: found[0]]
                else:
                    at += size
            size //= 2
        return script, self.difference(script)[0]

    def close(self):
        self.ours.close()
        self.peer.close()


def describe(name, script, found):
    """Formats a difference; the script's lines can be copied to `kept/`."""
    number, what, ours, theirs = found
    lines = [f"{name}: {what}"]
    lines += ["    " + json.dumps(step, ensure_ascii=False) for step in script[:number]]
    lines.append("  ours    " + json.dumps(ours, ensure_ascii=False)[:3000])
    lines.append("  theirs  " + json.dumps(theirs, ensure_ascii=False)[:3000])
    return "\n".join(lines)


def work(options, tasks, results):
    """A worker: runs the scripts of the queue on a pair of servers of its own."""
    bench = Bench(options)
    try:
        while True:
            task = tasks.get()
            if task is None:
                break
            name, script = task
            if isinstance(script, list):
                family, seed, steps = script
                script = families.FAMILIES[family](seed, steps)
            else:
                script = json.loads(pathlib.Path(script).read_text())["script"]
            if bench.is_older:
                script = older.translate(script)
            size = len(script)
            try:
                found, lived = bench.difference(script)
                text = None
                if found:
                    if not options.no_shrink:
                        small, again = bench.shrink(script)
                        script, found = (small, again) if again else (script, found)
                    text = describe(name, script, found)
            except Exception as error:  # a broken connection is a finding too
                lines = [f"{name}: {type(error).__name__}: {error}", *map(json.dumps, script)]
                text, lived = "\n    ".join(lines), True
                bench.close()
                bench = Bench(options)
            results.put((name, size, lived, text))
    finally:
        bench.close()


# The share of scripts in which the reference engine may die or hang; about one in three hundred does.
MOST_DEATHS = 0.05


def tasks_of(options):
    """Names, and either the path of a kept script or what its random writer needs."""
    if options.kept:
        return [(pathlib.Path(path).stem, str(path)) for path in options.kept]
    found = [(path.stem, str(path)) for path in sorted(KEPT.glob("*.json"))]
    for family in options.families or families.FAMILIES:
        for seed in range(options.first, options.first + options.seeds):
            found.append((f"{family} seed {seed}", [family, seed, options.steps]))
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("kept", nargs="*", help="scripts to run instead of the kept and the random ones")
    ours = parser.add_mutually_exclusive_group(required=True)
    ours.add_argument("--binary", help="the server to test")
    ours.add_argument("--worker", help="the folder of the browser's engine, to test that instead")
    parser.add_argument("--data", action="store_true", help="with a data directory; it is killed, and its tables compared")
    parser.add_argument("--seeds", type=int, default=200, help="of each family")
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--families", nargs="*", choices=list(families.FAMILIES))
    parser.add_argument("--steps", type=int, default=12, help="table-changing steps a seed")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--patience", type=float, default=10, help="seconds the peer may take for one answer")
    parser.add_argument("--client", default="5.6", choices=["5.5", "5.6"], help="the generation that both sides serve")
    parser.add_argument("--peer", default=sys.executable, help="the Python that has the published engine of that generation")
    parser.add_argument("--keep-going", action="store_true", help="report every seed instead of the first failure")
    parser.add_argument("--no-shrink", action="store_true")
    options = parser.parse_args()
    started = time.monotonic()
    tasks, results = multiprocessing.Queue(), multiprocessing.Queue()
    todo = tasks_of(options)
    # Each worker ends at a mark of its own: a queue may seem empty while it is still being filled.
    for task in [*todo, *[None] * options.workers]:
        tasks.put(task)
    workers = [multiprocessing.Process(target=work, args=(options, tasks, results)) for _ in range(options.workers)]
    for worker in workers:
        worker.start()
    passed, failed, died, asked = 0, 0, 0, 0
    while passed + failed < len(todo):
        try:
            name, size, lived, text = results.get(timeout=1)
        except queue.Empty:
            if any(worker.is_alive() for worker in workers):
                continue
            print("the workers are gone", flush=True)
            failed += 1
            break
        asked, died = asked + size, died + (not lived)
        passed, failed = passed + (text is None), failed + (text is not None)
        if text:
            print(text, flush=True)
            if not options.keep_going:
                break
    while not tasks.empty():
        try:
            tasks.get_nowait()
        except queue.Empty:
            break
    for worker in workers:
        tasks.put(None)
    for worker in workers:
        worker.join(30)
        if worker.is_alive():
            worker.terminate()
    print(f"{asked} requests; in {died} scripts the reference engine died or hung; they were compared up to there")
    # An environment in which it cannot run at all must not pass.
    if died > MOST_DEATHS * (passed + failed):
        print(f"the reference engine died or hung in more than {MOST_DEATHS:.0%} of the scripts")
        failed += 1
    print(f"{passed} passed, {failed} failed in {time.monotonic() - started:.1f}s")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
