"""Our server with a data directory: what it holds after it was killed and started again is what it held before.

Invariant: every table, or the error of one that is missing, is compared row by row, in order. Tables that follow others
are made anew from them, so their rows may have another order.
"""

import http.client
import json
import pathlib
import tempfile
import urllib.parse

from sides import Ours

# Checkpoints are made many times in a run.
_CONFIG = """
[storage]
path = {path}
durable = ["*"]
checkpoint_bytes = "256KiB"
"""
_SCRIPTS_PER_START = 20


class Durable(Ours):
    """As [`Ours`], killed and started again between scripts."""

    def __init__(self, binary):
        self.folder = tempfile.TemporaryDirectory(prefix="proscenium-data-")
        config = pathlib.Path(self.folder.name) / "proscenium.toml"
        config.write_text(_CONFIG.format(path=json.dumps(str(pathlib.Path(self.folder.name) / "data"))))
        self.following, self.scripts = set(), 0
        super().__init__(binary, ["--config", str(config)])

    def run(self, script, prefix):
        self.scripts += 1
        if self.scripts % _SCRIPTS_PER_START == 0:
            self.start_again()
        for step in script:
            if "makeJoinTableReq" in step or "fromView" in step.get("makeTableReq", {}).get("data", {}):
                self.following.add(prefix + step["entityId"])
        return super().run(script, prefix)

    def start_again(self):
        before = self._tables()
        self.process.kill()
        self.process.wait(20)
        self.start()
        after = self._tables()
        for name in sorted(before.keys() | after.keys()):
            if before.get(name) != after.get(name):
                raise AssertionError(f"{name} was {str(before.get(name))[:2000]} and is {str(after.get(name))[:2000]}")
        if not after:
            raise AssertionError("no table was compared")

    def _tables(self):
        """Name → description and rows, of each table."""
        place = urllib.parse.urlsplit(self.url).netloc
        link = http.client.HTTPConnection(place, timeout=60)

        def read(path):
            link.request("GET", path)
            return link.getresponse().read()

        tables = {}
        for table in json.loads(read("/api/v1/tables")):
            name = table["name"]
            rows = json.loads(read(f"/api/v1/tables/{urllib.parse.quote(name, safe='')}?format=json"))
            what = {key: table[key] for key in ("index", "limit", "rows", "columns", "durable")}
            if name in self.following:
                rows = sorted(map(str, rows))
            else:
                what["version"] = table["version"]
            tables[name] = (what, rows)
        link.close()
        return tables

    def close(self):
        super().close()
        self.folder.cleanup()
