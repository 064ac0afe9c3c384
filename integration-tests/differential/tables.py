"""Random scripts about tables: wrong values, refused batches, ports, deletes, limits, two clients.

Invariant: after every request the whole table is read through a flat view, so that a refused batch that changes
something is detected.
"""

import json

import script

# JSON values of other kinds; whether they are accepted or refused is part of the comparison.
WRONG = {
    "integer": [2.9, -2.9, "12", "-3", "3.7", "abc", True, [1], {"a": 1}, "2020-01-02", 1e3],
    "float": [3, -7, "1.5", "1e3", True, False, 12345678901, "nan"],
    "string": [1, True, 12345678901, {"x": 1}, "é\n\t\"\\"],
    "boolean": [1, 0, 2, "true", "FALSE", "x", ""],
    "date": [1577836800000, "2020/01/02", "01/02/2020", "2020-01-02T03:04:05", "x", True, ""],
    "datetime": [1577836800000, "2020-01-02", "2020-01-02 03:04", "2020-01-02T03:04:05+05:00", "x", False, 1.5],
}
WRONG_CSV = {
    "integer": ["2.5", "abc", "+2", "NA", "0x10", " 1", "true"],
    "float": ["1.", ".5", "1e3", "abc", "NULL", "+2"],
    "string": ["NA", "null", '"a\nb"', "1.50", " x "],
    "boolean": ["TRUE", "0", "1", "yes", "2", "nan"],
    "date": ["2020/01/02", "x", "2020-01-02T03:04:05", "null", "1577836800000"],
    "datetime": ["2020-01-02", "01/02/2020", "x", "2020-01-02 03:04:05Z", "2020-01-02T03:04:05+05:00"],
}
# Arrow types that a column of the kind may be given.
OTHER_ARROW = {
    "integer": ["int8", "int64", "uint16", "float", "string", "boolean", "null"],
    "float": ["float32", "integer", "uint8", "string", "null"],
    "string": ["large_string", "dictionary", "boolean", "integer", "null"],
    "boolean": ["integer", "string", "null"],
    "date": ["date64", "datetime", "string", "null"],
    "datetime": ["timestamp[s]", "timestamp[us]", "timestamp[ns]", "date", "integer", "null"],
}


class Tables(script.Script):
    def __init__(self, seed):
        super().__init__(seed)
        self.removes = True
        self.has_nulls = self.rng.random() < 0.5
        self.ports = []
        self.alive = True

    # ----------------------------------------------------------------------------------------------- what is asked

    def look(self):
        self.push({"entityId": "t", "tableSizeReq": {}})
        for name in self.views:
            self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})

    def send(self, kind, body):
        """A write, by either client, to some port."""
        if kind == "tableUpdateReq" and self.rng.random() < 0.3:
            # Writes through an unknown port are dropped, but advance the reference engine's row counter.
            body["portId"] = self.rng.choice([0, 1, 1, 2, 3, 9] if self.index is not None else self.ports or [0])
        step = {"entityId": "t", kind: body}
        if self.rng.random() < 0.2:
            step["session"] = 1
        self.push(step)
        self.look()

    def open_flat(self):
        self.num_views += 1
        name = f"v{self.num_views}"
        config = {"columns": {"columns": {"columns": list(script.KINDS)}}}
        if self.rng.random() < 0.4:
            config["sort"] = [{"column": self.rng.choice([name for name in "sibdm" if name != self.index]), "op": self.rng.choice(["SORT_ASC", "SORT_DESC"])}]
        if self.has_nulls:
            # Nulls of a later write sort separately in the reference engine.
            config.pop("sort", None)
        self.views[name] = config
        step = {"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}}
        if self.num_views > 1 and self.rng.random() < 0.3:
            step["session"] = 1
        self.push(step)
        for what in ("viewOnUpdateReq", "viewOnRemoveReq", "viewOnDeleteReq"):
            for session in (0, 1):
                if self.rng.random() < (0.7 if session == 0 else 0.2):
                    body = {"mode": "ROW"} if what == "viewOnUpdateReq" and self.rng.random() < 0.7 else {}
                    self.push({"entityId": name, what: body} | ({"session": 1} if session else {}))

    # ----------------------------------------------------------------------------------------------------- updates

    def some_names(self):
        names = [name for name in script.KINDS if name == self.index or self.rng.random() < 0.6]
        self.rng.shuffle(names)
        return names or ["i"]

    def wrong_json(self):
        """A batch of rows in which one cell is of another kind."""
        rng = self.rng
        names = self.some_names()
        rows = self.rows(names, 4)
        table = [{n: script.json_value(n, v) for n, v in zip(names, row)} for row in rows]
        name = rng.choice([n for n in names if n != self.index] or names)
        # Integers of a table made from CSV have 64 bits, and conversions of their own at the reference engine.
        wrong = ["12", "-3"] if self.is_csv and script.KINDS[name] == "integer" else WRONG[script.KINDS[name]]
        # An object gives columns of its own; rows without another one are refused.
        wrong = [value for value in wrong if len(names) > 1 or not isinstance(value, dict)]
        rng.choice(table)[name] = rng.choice(wrong)
        form = rng.choice(["fromRows", "fromCols", "fromNdjson"])
        if form == "fromRows":
            text = json.dumps(table)
        elif form == "fromCols":
            text = json.dumps({n: [row[n] for row in table] for n in names})
        else:
            text = "\n".join(json.dumps(row) for row in table)
        self.send("tableUpdateReq", {"data": {form: text}})

    def wrong_csv(self):
        rng = self.rng
        names = self.some_names()
        lines = [[script.csv_text(n, v) for n, v in zip(names, row)] for row in self.rows(names, 4)]
        at = rng.randrange(len(names))
        if names[at] != self.index:
            rng.choice(lines)[at] = rng.choice(WRONG_CSV[script.KINDS[names[at]]])
        text = "\n".join(",".join(line) for line in [names] + lines) + "\n"
        self.send("tableUpdateReq", {"data": {"fromCsv": text}})

    def other_arrow(self):
        rng = self.rng
        names = self.some_names()
        rows = self.rows(names, 4)
        columns = [[n, script.KINDS[n], [row[at] for row in rows]] for at, n in enumerate(names)]
        column = rng.choice(columns)
        if column[0] != self.index:
            column[1] = rng.choice([kind for kind in OTHER_ARROW[column[1]] if self.has_nulls or kind != "null"])
            column[2] = [None if self.has_nulls and rng.random() < 0.2 else arrow_value(column[1], rng) for _ in rows]
        self.send("tableUpdateReq", {"data": {"fromArrow": columns}})

    def broken(self):
        """Bytes in another format than declared."""
        known = self.index or "i"
        data = self.rng.choice(
            [
                {"fromCsv": "id,i\n1\n"},
                {"fromCsv": "id,i\n1,2,3\n"},
                {"fromArrowBytes": "hello"},
                {"fromCols": '{"i": 5}'},
                {"fromCols": "[1]"},
                {"fromSchema": {"schema": [{"name": "i", "type": "INTEGER"}]}},
                {"fromRows": "[]"},
                {"fromCols": "{}"},
                {"fromCsv": "id,i\n"},
                {"fromRows": json.dumps([{"nobody": 1, known: script.json_value(known, self.value(script.KINDS[known]))}])},
            ]
        )
        self.send("tableUpdateReq", {"data": data})

    def shared(self):
        """The same rows in one of five formats, which must have the same result."""
        names = self.some_names()
        self.send(
            "tableUpdateReq",
            {"data": self.data(names, self.rows(names, 6), ["rows", "cols", "arrow", "csv", "ndjson"], may_omit=False)},
        )

    def by_row_number(self):
        if self.limit is not None:
            return self.shared()
        rng = self.rng
        keys = range(10) if self.index is None else [k for k in (self.cell(self.index) for _ in range(4)) if k is not None]
        names = [n for n in ("i", "s", "b", "t") if n != self.index]
        rows = []
        for key in rng.sample(list(keys), min(2, len(list(keys)))):
            row = {"__INDEX__": key} | {n: self.value(script.KINDS[n]) for n in names if rng.random() < 0.6}
            rows.append(row)
        if rows:
            self.send("tableUpdateReq", {"data": {"fromRows": json.dumps(rows)}})

    def bad_remove(self):
        data = self.rng.choice(
            [
                {"fromRows": '[{"id": 1}]'},
                {"fromRows": "5"},
                {"fromCsv": "id\n1\n"},
                {"fromNdjson": "1\n2"},
                {"fromArrow": [["nobody", "integer", [1]]]},
                {"fromRows": "[]"},
            ]
        )
        self.send("tableRemoveReq", {"data": data})

    def remove_rows(self):
        keys = [self.cell(self.index) for _ in range(self.rng.randint(1, 4))]
        keys = [key for key in keys if key is not None] or [self.value(script.KINDS[self.index])]
        form = self.rng.choice(["fromRows", "fromRows", "fromCols", "fromArrow"])
        if form == "fromArrow":
            data = {form: [[self.index, script.KINDS[self.index], keys]]}
        else:
            data = {form: json.dumps([script.json_value(self.index, key) for key in keys])}
        self.send("tableRemoveReq", {"data": data})

    # ------------------------------------------------------------------------------------------------ other requests

    def strange(self):
        """Requests about tables, views and columns that do not exist, or with wrong options."""
        listens = any(step.get("getHostedTablesReq", {}).get("subscribe") for step in self.steps)
        # The reference engine notifies of the deletion of a table that never existed.
        vain = [] if listens else [{"entityId": "nobody", "tableDeleteReq": {"isImmediate": True}}]
        step = self.rng.choice(
            vain
            + [
                {"entityId": "nobody", "tableSizeReq": {}},
                {"entityId": "nobody", "tableSchemaReq": {}},
                {"entityId": "nobody", "viewDimensionsReq": {}},
                {"entityId": "nobody", "viewDeleteReq": {}},
                {"entityId": "nobody", "tableUpdateReq": {"data": {"fromRows": "[]"}}},
                {"entityId": "nobody", "viewRemoveOnUpdateReq": {"id": 1}},
                {"entityId": "nobody", "viewRemoveOnRemoveReq": {"id": 1}},
                {"entityId": "nobody", "viewRemoveDeleteReq": {"id": 1}},
                {"entityId": "nobody", "tableRemoveDeleteReq": {"id": 1}},
                {"entityId": "nobody", "viewOnUpdateReq": {}},
                {"entityId": "t", "makeTableReq": {"data": {"fromRows": '[{"x":1}]'}}},
                {"entityId": "u", "makeTableReq": {"data": {"fromCsv": ""}}},
                {"entityId": "u", "makeTableReq": {"data": {"fromRows": '[{"x":1}]'}, "options": {"makeIndexTable": "y"}}},
                {"entityId": "u", "makeTableReq": {"data": {"fromCols": '{"x":[true]}'}, "options": {"makeIndexTable": "x"}}},
                {"entityId": "u", "makeTableReq": {"data": {"fromRows": "[1]"}}},
                {"entityId": "t", "tableMakeViewReq": {"viewId": "bad", "config": {"columns": {"columns": {"columns": ["q"]}}}}},
                {"entityId": "t", "tableMakeViewReq": {"viewId": "bad", "config": {"groupBy": ["q"]}}},
                {"entityId": "t", "tableMakeViewReq": {"viewId": "bad", "config": {"sort": [{"column": "q", "op": "SORT_ASC"}]}}},
                {"entityId": "v1", "viewGetMinMaxReq": {"columnName": "q"}},
                {"entityId": "v1", "viewToArrowReq": {"viewport": {}, "compression": "gzip"}},
                {"entityId": "t", "tableDeleteReq": {"isImmediate": True}},
            ]
        )
        self.push(step)
        self.look()

    def unsubscribe(self):
        subscriptions = [
            (number, step)
            for number, step in enumerate(self.steps, start=1)
            if any(key.startswith("viewOn") for key in step) and step["entityId"] in self.views
        ]
        if not subscriptions:
            return
        number, step = self.rng.choice(subscriptions)
        (kind,) = (key for key in step if key.startswith("viewOn"))
        undo = {"viewOnUpdateReq": "viewRemoveOnUpdateReq", "viewOnRemoveReq": "viewRemoveOnRemoveReq"}
        undo["viewOnDeleteReq"] = "viewRemoveDeleteReq"
        session = {"session": 1} if step.get("session") else {}
        self.push({"entityId": step["entityId"], undo[kind]: {"id": number}} | session)

    def hosted(self):
        session = {"session": 1} if self.rng.random() < 0.5 else {}
        self.push({"entityId": "", "getHostedTablesReq": {"subscribe": self.rng.random() < 0.5}} | session)

    def delete_lazily(self):
        """The table is deleted with its last view; until then it accepts requests."""
        self.push({"entityId": "t", "tableOnDeleteReq": {}})
        self.push({"entityId": "t", "tableDeleteReq": {"isImmediate": False}})
        self.push({"entityId": "", "getHostedTablesReq": {}})
        if self.views:
            self.shared()
        for name in list(self.views):
            self.close_view(name)
        self.push({"entityId": "", "getHostedTablesReq": {}})
        self.push({"entityId": "t", "tableSizeReq": {}})
        self.alive = False

    def write(self, num_steps):
        rng = self.rng
        if rng.random() < 0.3:
            self.hosted()
        self.make_table()
        for _ in range(rng.randint(0, 2)):
            self.ports.append(len(self.ports) + 1)
            self.push({"entityId": "t", "tableMakePortReq": {}} | ({"session": 1} if rng.random() < 0.3 else {}))
        for _ in range(rng.randint(1, 3)):
            self.open_flat()
        acts = [self.wrong_json] * 4 + [self.wrong_csv, self.other_arrow] * 2 + [self.shared] * 3
        acts += [self.broken, self.strange, self.by_row_number, self.unsubscribe, self.hosted]
        acts += [self.remove_rows] * 2 if self.index is not None else []
        acts += [self.bad_remove, self.replace_all]
        for _ in range(num_steps):
            rng.choice(acts)()
        if rng.random() < 0.3:
            self.delete_lazily()
        return self.steps

    def replace_all(self):
        if self.rng.random() < 0.5:
            return self.send("tableReplaceReq", {"data": {"fromRows": "[]"}})
        names = list(script.KINDS)
        data = self.data(names, self.rows(names, 6), ["rows", "cols", "arrow"], may_omit=False)
        self.send("tableReplaceReq", {"data": data})


def arrow_value(kind, rng):
    if kind == "null":
        return None
    if kind in ("int8", "int64", "uint16", "uint8", "integer"):
        return rng.randint(0, 100)
    if kind in ("float", "float32"):
        return rng.randint(-20, 20) / 4
    if kind in ("string", "large_string", "dictionary"):
        return rng.choice(script.TEXTS)
    if kind == "boolean":
        return rng.random() < 0.5
    if kind == "date":
        return rng.choice([18262, -365])
    if kind == "date64":
        return rng.choice([18262, -365]) * 86_400_000
    units = {"timestamp[s]": 1, "timestamp[us]": 10**6, "timestamp[ns]": 10**9, "datetime": 1000}
    return rng.choice([1577840523, -31536000]) * units[kind] + (units[kind] // 4 if units[kind] > 1 else 0)


def write(seed, num_steps=12):
    return Tables(seed).write(num_steps)
