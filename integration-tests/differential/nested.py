"""Random scripts about nested input: lists, objects, lists of objects, in JSON and Arrow, under every way to flatten.

Invariant: the first batch has a value in every cell, so that the table's types do not depend on missing values.
"""

import json
import random

# Column -> its Arrow type. `k` is never a list, so that it may be the index.
COLUMNS = {
    "k": "integer",
    "x": "list<integer>",
    "y": "list<string>",
    "z": "struct<a:integer,b:string>",
    "w": "list<struct<p:integer,q:string>>",
    "n": "list<list<integer>>",
    "f": "list<float>",
    "b": "list<boolean>",
}
MODES = [None, "LIST_FLATTEN_ZIP", "LIST_FLATTEN_CARTESIAN", "LIST_FLATTEN_STRINGIFY"]
TEXTS = ["a", "b", "", 'q"x', "é", "a,b"]


class Nested:
    def __init__(self, seed):
        self.rng = random.Random(seed)
        self.steps = []
        self.mode = self.rng.choice(MODES)
        self.is_arrow = self.rng.random() < 0.4
        names = [name for name in COLUMNS if name != "k"]
        if self.mode == "LIST_FLATTEN_STRINGIFY":
            # As text, the reference engine accepts no JSON objects, and from Arrow only lists of plain values.
            names = ["x", "y", "f", "b"] + (["z"] if self.is_arrow else [])
        self.names = ["k", *self.rng.sample(names, self.rng.randint(1, 3))]
        self.next_key = 1

    def scalar(self, kind):
        if kind == "integer":
            return self.rng.randint(-5, 9)
        if kind == "float":
            return self.rng.randint(-20, 20) / 4 + 0.125
        if kind == "boolean":
            return self.rng.random() < 0.5
        return self.rng.choice(TEXTS)

    def value(self, kind, length, is_first):
        """A value of an Arrow type; lists have `length` elements where they can."""
        rng = self.rng
        if not is_first and rng.random() < 0.06:
            return None
        if kind.startswith("list<"):
            inner = kind[5:-1]
            if not is_first and rng.random() < 0.08:
                length = rng.choice([0, 1, length + 1])
            return [self.element(inner, is_first) for _ in range(length)]
        if kind.startswith("struct<"):
            fields = [field.split(":") for field in kind[7:-1].split(",")]
            return {name: self.scalar(inner) for name, inner in fields}
        return self.scalar(kind)

    def element(self, kind, is_first):
        if kind.startswith("list<"):
            return [self.scalar(kind[5:-1]) for _ in range(1 if is_first else self.rng.choice([1, 1, 2]))]
        return self.value(kind, 1, True)

    def row(self, is_first):
        length = self.rng.choice([1, 2, 3] if is_first else [1, 1, 2, 3])
        row = {}
        for name in self.names:
            if name == "k":
                row[name] = self.next_key if is_first else self.rng.randint(1, self.next_key + 1)
                self.next_key += 1
            else:
                row[name] = self.value(COLUMNS[name], length, is_first)
        return row

    def data(self, is_first):
        rows = [self.row(is_first) for _ in range(self.rng.randint(1, 3))]
        if not self.is_arrow and any(value is None for value in rows[-1].values()):
            # The reference engine loses a last row whose list is null.
            rows.append(self.row(True))
        if self.is_arrow:
            return {"fromArrow": [[name, COLUMNS[name], [row[name] for row in rows]] for name in self.names]}
        form = self.rng.choice(["fromRows", "fromCols", "fromNdjson"])
        if form == "fromCols":
            return {form: json.dumps({name: [row[name] for row in rows] for name in self.names})}
        if form == "fromNdjson":
            return {form: "\n".join(json.dumps(row) for row in rows)}
        return {form: json.dumps(rows)}

    def push(self, step):
        self.steps.append(step)

    def look(self):
        self.push({"entityId": "t", "tableSizeReq": {}})
        self.push({"entityId": "v", "viewToColumnsStringReq": {"viewport": {}, "id": True}})

    def write(self, num_steps):
        rng = self.rng
        options = {"listFlatten": self.mode} if self.mode else {}
        if rng.random() < 0.3:
            options["makeIndexTable"] = "k"
        elif rng.random() < 0.2:
            options["makeLimitTable"] = 4
        self.push({"entityId": "t", "makeTableReq": {"data": self.data(True), "options": options}})
        self.push({"entityId": "t", "tableSchemaReq": {}})
        self.push({"entityId": "t", "tableMakeViewReq": {"viewId": "v", "config": {}}})
        self.push({"entityId": "v", "viewOnUpdateReq": {"mode": "ROW"}})
        self.look()
        for _ in range(num_steps):
            self.push({"entityId": "t", "tableUpdateReq": {"data": self.data(False)}})
            self.look()
        return self.steps


def write(seed, num_steps=12):
    return Nested(seed).write(num_steps // 2)
