"""Random scripts about derived tables: joins of every kind, joins of joins, and tables from views.

Invariant: sources change by updates, removes, clears and replaces; after each change every view of every table is read.
"""

import json
import random

KEYS = ["a", "b", "c", "d", "e"]


class Derived:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.steps = []
        self.views = []
        self.sources = {}
        self.replaces, self.clears = 1, True
        self.num = 0

    def push(self, step):
        self.steps.append(step)

    # --------------------------------------------------------------------------------------------------- the sources

    def row(self, name, partial=False):
        rng = self.rng
        number, key, value, text = self.sources[name]["columns"]
        row = {number: rng.randrange(8), key: rng.choice(KEYS), value: rng.randint(-9, 9), text: rng.choice(KEYS) * 2}
        if partial:
            row = {k: v for k, v in row.items() if k == number or rng.random() < 0.7}
        return row

    def make_source(self, name, columns):
        rng = self.rng
        self.sources[name] = {"columns": columns, "index": rng.random() < 0.6}
        number, key, value, text = columns
        schema = [{"name": number, "type": "INTEGER"}, {"name": key, "type": "STRING"}]
        schema += [{"name": value, "type": "INTEGER"}, {"name": text, "type": "STRING"}]
        options = {"makeIndexTable": number} if self.sources[name]["index"] else {}
        if not options and rng.random() < 0.3:
            options = {"makeLimitTable": 6}
            self.sources[name]["limit"] = True
        self.push({"entityId": name, "makeTableReq": {"data": {"fromSchema": {"schema": schema}}, "options": options}})
        if rng.random() < 0.8:
            self.update(name)

    def update(self, name):
        source = self.sources[name]
        # New rows are whole: what they leave out is a null of its own kind at the reference engine.
        partial = False
        rows = [self.row(name, partial) for _ in range(self.rng.choice([1, 2, 6]))]
        if source["index"] and self.rng.random() < 0.5:
            rows = rows[:1]
        self.push({"entityId": name, "tableUpdateReq": {"data": {"fromRows": json.dumps(rows)}}})

    def change(self):
        name = self.rng.choice(list(self.sources))
        choice = self.rng.random() * self.replaces
        if choice < 0.7 or not self.sources[name]["index"]:
            if choice < 0.08 and self.clears:
                self.push({"entityId": name, "tableReplaceReq": {"data": {"fromRows": "[]"}}})
            else:
                self.update(name)
        elif choice < 0.9:
            keys = [self.rng.randrange(8) for _ in range(self.rng.randint(1, 3))]
            self.push({"entityId": name, "tableRemoveReq": {"data": {"fromRows": json.dumps(keys)}}})
        else:
            rows = [self.row(name) for _ in range(3)]
            self.push({"entityId": name, "tableReplaceReq": {"data": {"fromRows": json.dumps(rows)}}})

    # -------------------------------------------------------------------------------------------------------- on top

    def watch(self, table, config):
        self.num += 1
        name = f"v{self.num}"
        self.views.append(name)
        self.push({"entityId": table, "tableMakeViewReq": {"viewId": name, "config": config}})
        self.push({"entityId": name, "viewOnUpdateReq": {"mode": "ROW"}})
        if self.rng.random() < 0.5:
            self.push({"entityId": name, "viewOnRemoveReq": {}})
        return name

    def look(self):
        for name in self.views:
            self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}}})

    def join(self, name, left, right, on, right_on, kind):
        body = {"leftTableId": left, "rightTableId": right, "onColumn": on, "joinType": kind}
        if right_on != on:
            body["rightOnColumn"] = right_on
        self.push({"entityId": name, "makeJoinTableReq": body})
        self.push({"entityId": name, "tableSchemaReq": {}})
        self.push({"entityId": name, "tableUpdateReq": {"data": {"fromRows": "[]"}}})

    def wanted(self, config):
        """Some of the view's columns in another order, an unknown one, and sometimes one of another type."""
        rng = self.rng
        types = {"id": "INTEGER", "k": "STRING", "v": "INTEGER", "w": "STRING", "e": "FLOAT"}
        names = config.get("groupBy", []) + config.get("columns", {}).get("columns", {}).get("columns", list("kvw") + ["id"])
        names = list(dict.fromkeys(names))
        names = rng.sample(names, rng.randint(1, len(names))) if rng.random() < 0.5 else names
        wanted = [{"name": name, "type": types[name]} for name in names]
        if rng.random() < 0.3:
            wanted.insert(rng.randrange(len(wanted) + 1), {"name": "other", "type": rng.choice(["STRING", "FLOAT", "DATE"])})
        if rng.random() < 0.15:
            rng.choice(wanted)["type"] = "BOOLEAN"
        return wanted

    def write(self, num_steps):
        rng = self.rng
        kinds = ["INNER", "LEFT", "OUTER"]
        if rng.random() < 0.6:
            self.make_source("l", ["id", "k", "v", "w"])
            same = rng.random() < 0.5
            self.make_source("r", ["rid", "k" if same else "rk", "rv", "rw"])
            self.join("j", "l", "r", "k", "k" if same else "rk", rng.choice(kinds))
            if rng.random() < 0.5:
                self.watch(rng.choice("lr"), {})
            self.watch("j", {})
            if rng.random() < 0.4:
                self.watch("j", {"groupBy": ["w"], "columns": columns("rv"), "aggregates": {"rv": {"aggregations": ["sum"]}}})
            if rng.random() < 0.4:
                self.watch("j", {"sort": [{"column": "v", "op": "SORT_DESC"}], "columns": columns("v", "k", "rv")})
            if rng.random() < 0.4:
                self.make_source("x", ["xid", "xk", "xv", "xw"])
                self.join("jj", "j", "x", "k", "xk", rng.choice(kinds))
                self.watch("jj", {})
                if rng.random() < 0.5:
                    # Another table derived of the same tables.
                    self.join("jx", "x", "r", "xk", "k" if same else "rk", rng.choice(kinds))
                    self.watch("jx", {})
            for wrong in rng.sample(
                [("e1", "l", "nobody", "k"), ("e2", "l", "r", "nobody"), ("e3", "l", "l", "k"), ("j", "l", "r", "k")], 1
            ):
                self.push({"entityId": wrong[0], "makeJoinTableReq": {"leftTableId": wrong[1], "rightTableId": wrong[2], "onColumn": wrong[3]}})
            self.push({"entityId": "l", "tableDeleteReq": {"isImmediate": True}})
        else:
            self.make_source("l", ["id", "k", "v", "w"])
            config = rng.choice(
                [
                    {},
                    {"columns": columns("k", "v")},
                    {"columns": columns("id", "v"), "filter": [{"column": "v", "op": ">", "value": [{"float": 0}]}]},
                    {"columns": columns("id", "e"), "expressions": {"e": 'float("v") * 2'}},
                    {"columns": columns("id", "k", "v"), "sort": [{"column": "v", "op": "SORT_DESC"}]},
                    {"groupBy": ["k"], "columns": columns("v")},
                    {"groupBy": ["k", "w"], "columns": columns("v", "k"), "aggregates": {"k": {"aggregations": ["count"]}}},
                    {"groupBy": ["k"], "columns": columns("v"), "groupRollupMode": "FLAT"},
                    {"columns": columns("v"), "groupRollupMode": "TOTAL"},
                ]
            )
            source = self.watch("l", config)
            options = {"viewSchema": {"schema": self.wanted(config)}} if rng.random() < 0.4 else {}
            self.push({"entityId": "d", "makeTableReq": {"data": {"fromView": source}, "options": options}})
            self.push({"entityId": "d", "tableSchemaReq": {}})
            self.push({"entityId": "", "getHostedTablesReq": {}})
            if "filter" in config or "groupBy" in config:
                # Groups that a replace keeps: an old row in ours, a new one in the reference engine. And under a filter
                # it takes keys that come back after a clear for rows of the table, whatever the filter says.
                self.replaces, self.clears = 0.89, "filter" not in config
            self.watch("d", {})
            self.push({"entityId": "d", "tableUpdateReq": {"data": {"fromRows": '[{"v":1}]'}}})
            self.push({"entityId": source, "viewDeleteReq": {}})
        self.look()
        for _ in range(num_steps):
            self.change()
            self.look()
        return self.steps


def columns(*names):
    return {"columns": {"columns": list(names)}}


def write(seed, num_steps=12):
    return Derived(seed).write(num_steps)
