"""Random scripts: one table in any format, then updates, removes, views and reads of them.

Invariant: a script depends on its seed alone, never on a reply, so that any part of it can be dropped. Requests to
which the reference engine is known to reply wrongly or at random (differences.md) are avoided here or accepted in
compare.py.
"""

import datetime
import json
import random

import config as configs

EPOCH = datetime.date(1970, 1, 1)
TEXTS = ["a", "b", "", "Z", "é", "zz", 'q"x', "a,b"]
KINDS = {
    "id": "integer",
    "s": "string",
    "t": "string",
    "i": "integer",
    "f": "float",
    "b": "boolean",
    "d": "date",
    "m": "datetime",
}


def kind_of(name):
    """The type of a column; the names of computed ones begin with it (computed.py)."""
    return KINDS.get(name) or name.rstrip("0123456789")


class Script:
    """Writes the steps of one seed."""

    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.steps = []
        self.views = {}
        self.reshaped = set()
        self.num_views = 0
        self.index = None
        self.limit = None
        self.num_rows = 0
        self.keys = self.rng.choice([6, 20, 60])
        self.removes = self.rng.random() < 0.5
        # Every third script has no nulls, which allows stricter checks of order.
        self.has_nulls = seed % 3 != 0

    # ------------------------------------------------------------------------------------------------------- values

    def value(self, kind):
        rng = self.rng
        if kind == "integer":
            return rng.randint(-4, 6)
        if kind == "float":
            return rng.randint(-20, 30) / 4
        if kind == "string":
            return rng.choice(TEXTS)
        if kind == "boolean":
            return rng.random() < 0.5
        if kind == "date":
            return rng.choice([18262, 18263, 18300, -365, 19000])
        return rng.choice([1577836800000, 1577840523456, -31536000000, 1600000000123])

    def cell(self, name, is_new_table=False):
        if not is_new_table and name not in ("id", "f"):
            # The reference engine sorts nulls set by a later write separately from those of the creation, so later
            # writes leave cells out instead, except for one column that nothing is grouped by.
            return self.value(KINDS[name])
        if name == "id":
            # Never 0: in one batch the reference engine treats the null key and 0 as the same row.
            return None if self.has_nulls and self.rng.random() < 0.01 else 1 + self.rng.randrange(self.keys)
        if name == self.index:
            return self.value(KINDS[name])
        return None if self.has_nulls and self.rng.random() < 0.15 else self.value(KINDS[name])

    def keys_of(self, names, rows):
        return [[row[names.index(self.index)]] for row in rows] if self.index in names else []

    def rows(self, names, most, is_new_table=False):
        return [[self.cell(name, is_new_table) for name in names] for _ in range(self.rng.randint(1, most))]

    # ------------------------------------------------------------------------------------------------------ formats

    def data(self, names, rows, formats, may_omit):
        """The rows in one of the formats, as the `data` member of a request."""
        kind = self.rng.choice(formats)
        if kind == "arrow":
            return {"fromArrow": [[name, KINDS[name], [row[at] for row in rows]] for at, name in enumerate(names)]}
        if kind == "csv":
            lines = [",".join(names)]
            lines += [",".join(csv_text(name, value) for name, value in zip(names, row)) for row in rows]
            return {"fromCsv": "\n".join(lines) + "\n"}
        table = [[json_value(name, value) for name, value in zip(names, row)] for row in rows]
        if kind == "cols":
            return {"fromCols": json.dumps({name: [row[at] for row in table] for at, name in enumerate(names)})}
        # A row without its key gets the null key, which the reference engine confuses with a key stored as zero (as a
        # text's code may be).
        whole = {self.index} if self.index == "s" or any(0 in row[:1] for row in self.keys_of(names, rows)) else set()
        objects = []
        for row in table:
            pairs = zip(names, row)
            drops = [may_omit and self.rng.random() < 0.1 for _ in names]
            # Rows that all lack their key are refused: the first one has it.
            kept = whole if objects else {self.index}
            keep = [pair for pair, drop in zip(pairs, drops) if not drop or pair[0] in kept]
            objects.append(dict(keep))
        if kind == "ndjson":
            return {"fromNdjson": "\n".join(json.dumps(each) for each in objects)}
        return {"fromRows": json.dumps(objects)}

    # -------------------------------------------------------------------------------------------------------- steps

    def make_table(self):
        rng = self.rng
        names = list(KINDS)
        options = {}
        which = rng.random()
        if which < 0.6:
            self.index = rng.choice(["id", "id", "id", "s", "i", "m", "d", "f"])
            options["makeIndexTable"] = self.index
        elif which < 0.75:
            self.limit = rng.choice([1, 5, 12])
            options["makeLimitTable"] = self.limit
        formats = ["schema", "rows", "cols", "ndjson", "arrow", "arrow"] + (["csv"] if self.limit is None else [])
        kind = rng.choice(formats)
        if kind == "schema":
            types = [{"name": name, "type": KINDS[name].upper()} for name in names]
            data = {"fromSchema": {"schema": types}}
        else:
            # The first row is whole, so that both sides infer the intended types (nulls are typed in tables.py).
            first = [self.value(KINDS[name]) if name != "id" else 1 for name in names]
            first[names.index("f")] = 0.25
            first[names.index("m")] = 1577840523456
            data = self.data(names, [first] + self.rows(names, 25, is_new_table=True), [kind], may_omit=False)
        self.push({"entityId": "t", "makeTableReq": {"data": data, "options": options}})
        self.is_csv = kind == "csv"
        self.push({"entityId": "t", "tableSchemaReq": {}})

    def update(self):
        rng = self.rng
        chance = 0.75 if self.has_nulls else 1
        names = [name for name in KINDS if name == self.index or rng.random() < chance]
        if not names:
            names = ["i"]
        rng.shuffle(names)
        formats = ["rows", "cols", "arrow", "csv", "ndjson"]
        data = self.data(names, self.rows(names, rng.choice([1, 3, 12])), formats, may_omit=self.has_nulls)
        self.push({"entityId": "t", "tableUpdateReq": {"data": data}})

    def update_by_row_number(self):
        row = {"__INDEX__": self.rng.randrange(10), "i": self.value("integer"), "s": self.value("string")}
        self.push({"entityId": "t", "tableUpdateReq": {"data": {"fromRows": json.dumps([row])}}})

    def clear(self):
        self.close_reshaped()
        self.push({"entityId": "t", "tableReplaceReq": {"data": {"fromRows": "[]"}}})

    def close_reshaped(self):
        """Which groups are open after all rows were removed is unspecified."""
        for name in [name for name in self.views if name in self.reshaped]:
            self.close_view(name)

    def replace(self):
        self.close_reshaped()
        names = list(KINDS)
        data = self.data(names, self.rows(names, 12), ["rows", "cols", "arrow"], may_omit=False)
        self.push({"entityId": "t", "tableReplaceReq": {"data": data}})

    def remove(self):
        keys = [self.cell(self.index) for _ in range(self.rng.randint(1, 4))]
        keys = [key for key in keys if key is not None] or [self.value(KINDS[self.index])]
        if self.rng.random() < 0.3:
            data = {"fromArrow": [[self.index, KINDS[self.index], keys]]}
        else:
            data = {"fromRows": json.dumps([json_value(self.index, key) for key in keys])}
        self.push({"entityId": "t", "tableRemoveReq": {"data": data}})

    def random_config(self, is_live):
        return configs.random_config(self.rng, KINDS, is_live, self.value)

    def open_view(self, is_live):
        self.num_views += 1
        name = f"v{self.num_views}"
        config = self.random_config(is_live)
        if is_live:
            # The reference engine's live filters pass cells that a new row leaves out.
            config["filter"] = [term for term in config.get("filter", []) if term["op"] != "is not null"]
        # Live totals count updated rows again.
        if is_live and (self.is_risky(config) or config["groupRollupMode"] == "TOTAL"):
            config = {key: value for key, value in config.items() if key in ("columns", "filter", "sort", "expressions", "windows")}
            config["sort"] = [term for term in config.get("sort", []) if "COL" not in term["op"]]
        if is_live and self.removes and self.index is not None:
            # Removing a row that the filter hides removes another one from the reference engine's view.
            config.pop("filter", None)
        if not is_pivot(config) and not config["columns"]["columns"]["columns"]:
            # In the reference engine a view without columns has all rows that ever existed, so no filter and no limit.
            config.pop("filter", None)
            config["columns"]["columns"]["columns"] = ["i"] if self.limit is not None else []
        self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}})
        if is_live:
            self.views[name] = config
            self.push({"entityId": name, "viewOnUpdateReq": {"mode": "ROW"}})
            if self.rng.random() < 0.5:
                self.push({"entityId": name, "viewOnRemoveReq": {}})
        self.ask(name, config, thorough=True)
        if not is_live:
            self.close_view(name)

    def is_risky(self, config):
        """Whether the reference engine may hang: several live pivots, or a live split of a table that loses rows."""
        pivots = [each for each in [*self.views.values(), config] if is_pivot(each)]
        loses_rows = self.removes and self.index is not None
        return is_pivot(config) and (len(pivots) > 1 or (loses_rows and "splitBy" in config))

    def close_view(self, name):
        self.views.pop(name, None)
        self.push({"entityId": name, "viewDeleteReq": {}})

    def reshape(self):
        for name, config in self.views.items():
            if config.get("groupBy") and config["groupRollupMode"] != "TOTAL" and self.rng.random() < 0.5:
                what = self.rng.choice(["viewExpandReq", "viewCollapseReq", "viewSetDepthReq"])
                self.reshaped.add(name)
                member = "depth" if what == "viewSetDepthReq" else "rowIndex"
                # Whether a total without groups can be collapsed is unspecified.
                least = int(what == "viewCollapseReq" and bool(config.get("filter")))
                self.push({"entityId": name, what: {member: self.rng.randint(least, 3)}})
                self.ask(name, config, thorough=False)

    def viewport(self):
        rng = self.rng
        start, first = rng.randrange(6), rng.randrange(4)
        port = {"startRow": start, "endRow": start + rng.randrange(8)}
        if rng.random() < 0.5:
            port |= {"startCol": first, "endCol": first + rng.randrange(4)}
        return port

    def ask(self, name, config, thorough):
        rng = self.rng
        self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})
        others = [
            {"viewDimensionsReq": {}},
            {"viewToRowsStringReq": {"viewport": self.viewport(), "formatted": rng.random() < 0.5}},
            {"viewToColumnsStringReq": {"viewport": self.viewport(), "formatted": rng.random() < 0.5}},
            {"viewToCsvReq": {"viewport": {}}},
            {"viewToArrowReq": {"viewport": {}, "compression": rng.choice(["", "lz4", "zstd"])}},
            {"viewToArrowReq": {"viewport": self.viewport() | {"machineColumnNames": True}}},
            {"viewColumnPathsReq": {}},
            {"viewSchemaReq": {}},
            {"viewGetConfigReq": {}},
            {"viewToNdjsonStringReq": {"viewport": {}}},
        ]
        others += [{"viewGetMinMaxReq": {"columnName": column}} for column in config["columns"]["columns"]["columns"][:1]]
        for other in rng.sample(others, 4 if thorough else 1):
            self.push({"entityId": name, **other})

    def push(self, step):
        self.steps.append(step)

    def write(self, num_steps):
        rng = self.rng
        self.make_table()
        for _ in range(rng.randint(1, 3)):
            self.open_view(is_live=True)
        for _ in range(num_steps):
            choice = rng.random()
            if choice < 0.5:
                self.update()
            elif choice < 0.58 and self.index is not None and self.removes:
                self.remove()
            elif choice < 0.61:
                self.clear()
            elif choice < 0.65:
                self.replace()
            elif choice < 0.68 and self.index is None and self.limit is None:
                self.update_by_row_number()
            elif choice < 0.75:
                self.reshape()
                continue
            elif choice < 0.9 or not self.views:
                self.open_view(is_live=rng.random() < 0.3)
                continue
            elif choice < 0.93:
                self.close_view(rng.choice(list(self.views)))
                continue
            else:
                self.update()
            self.push({"entityId": "t", "tableSizeReq": {}})
            for name, config in self.views.items():
                self.ask(name, config, thorough=False)
        return self.steps


def is_pivot(config):
    return bool(config.get("groupBy") or config.get("splitBy") or config.get("groupRollupMode") == "TOTAL")


def json_value(name, value):
    if value is None:
        return None
    if KINDS[name] == "date":
        return str(EPOCH + datetime.timedelta(days=value))
    if KINDS[name] == "datetime":
        return iso(value)
    return value


def iso(millis):
    moment = datetime.datetime(1970, 1, 1) + datetime.timedelta(milliseconds=millis)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{moment.microsecond // 1000:03}"


def csv_text(name, value):
    if value is None:
        # A field without anything is null with us, and the empty text with the peer; two quotes are that for both.
        return '""' if KINDS[name] == "string" else ""
    if KINDS[name] == "string":
        return '"' + value.replace('"', '""') + '"'
    if KINDS[name] == "boolean":
        return "true" if value else "false"
    if KINDS[name] == "datetime":
        return iso(value)
    return str(json_value(name, value))


def write(seed, num_steps=12):
    return Script(seed).write(num_steps)
