"""Benchmarks of our server beside the reference engine's: see README.md. Each section is a module of `sections/`."""

import argparse
import asyncio
import importlib
import pathlib
import sys

import frame

SECTIONS = sorted(
    path.stem for path in (pathlib.Path(__file__).resolve().parent / "sections").glob("*.py") if path.stem != "__init__"
)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True, help="our release binary")
    parser.add_argument("--section", action="append", choices=SECTIONS, help="may be given again; all if absent")
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--only", help="operations whose name contains this")
    parser.add_argument("--only-ours", action="store_true", help="without the peer, to look at ourselves quickly")
    parser.add_argument("--json", help="where to write the figures")
    parser.add_argument("--check", action="store_true", help="fail if a target is missed")
    options = parser.parse_args()
    sections = [importlib.import_module(f"sections.{name}") for name in options.section or SECTIONS]
    results = asyncio.run(frame.run(options, sections))
    if options.check and any(frame.verdict(figure) for figure in results):
        sys.exit(1)


if __name__ == "__main__":
    main()
