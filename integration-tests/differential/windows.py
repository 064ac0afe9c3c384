"""Random scripts about window columns: every operation, frame, partition and order, fresh and after updates."""

import script

NUMERIC_OPS = ["sum", "avg", "count", "min", "max", "stddev", "var", "lag", "lead", "diff", "ema", "row_number", "rate"]
OTHER_OPS = ["count", "min", "max", "lag", "lead", "row_number"]


class Windows(script.Script):
    def window(self):
        rng = self.rng
        source = rng.choice(["i", "f", "id", "i", "f", "s", "b", "d", "m"])
        op = rng.choice(NUMERIC_OPS if script.KINDS[source] in ("integer", "float") else OTHER_OPS)
        spec = {"source": source, "op": op}
        if rng.random() < 0.6:
            spec["partitionBy"] = rng.sample(["s", "t", "b", "d"], rng.choice([1, 1, 2]))
        if rng.random() < 0.6 or op == "rate":
            spec["orderBy"] = {"column": rng.choice(["i", "f", "d", "m", "id"]), "desc": rng.random() < 0.4}
        frames = ["none", "cumulative"]
        if op in ("sum", "avg", "count", "min", "max", "stddev", "var"):
            frames += ["rows", "rows"] + (["range"] if "orderBy" in spec else [])
        frame = "range" if op == "rate" else rng.choice(frames)
        if op in ("lag", "lead", "diff"):
            frame = "none"
            if rng.random() < 0.6:
                spec["offset"] = rng.randrange(4)
        if op == "ema":
            spec["alpha"] = rng.choice([0.25, 0.5, 1.0])
        if frame == "rows":
            spec["rows"] = rng.randrange(4)
        elif frame == "range":
            unit = 86_400_000.0 if spec["orderBy"]["column"] == "m" else 1.0
            spec["range"] = rng.choice([0.5, 1.0, 3.0, 400.0]) * unit
        elif frame == "cumulative":
            spec["cumulative"] = None
        if rng.random() < 0.05:
            spec |= rng.choice([{"op": "fish"}, {"source": "nobody"}, {"partitionBy": ["nobody"]}, {"alpha": 2.0, "op": "ema"}])
        return spec

    def write(self, num_steps):
        rng = self.rng
        self.index = rng.choice([None, "id", "id"])
        self.has_nulls = rng.random() < 0.6
        names = list(script.KINDS)
        first = [self.value(script.KINDS[name]) if name != "id" else 1 for name in names]
        rows = [first] + self.rows(names, 15, is_new_table=True)
        # All texts from the start: the reference engine confuses its partitions when a batch adds new texts.
        for at, text in enumerate(script.TEXTS):
            rows.append([text if name in "st" else 100 + at if name == "id" else self.value(script.KINDS[name]) for name in names])
        options = {"makeIndexTable": self.index} if self.index else {}
        self.push({"entityId": "t", "makeTableReq": {"data": self.data(names, rows, ["arrow"], False), "options": options}})
        views = []
        for number in range(num_steps // 2):
            windows = {f"w{at}": self.window() for at in range(rng.randint(1, 3))}
            config = {"columns": {"columns": {"columns": [*windows, "id"]}}, "windows": windows}
            if rng.random() < 0.3:
                config["filter"] = [{"column": "b", "op": "==", "value": [{"bool": True}]}]
            name = f"v{number}"
            views.append(name)
            self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}})
            self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})
            self.push({"entityId": name, "viewToArrowReq": {"viewport": {}}})
            self.push({"entityId": name, "viewSchemaReq": {}})
        self.has_nulls = False
        for _ in range(num_steps // 3):
            if self.index is not None and rng.random() < 0.3:
                self.remove()
            else:
                names = [name for name in script.KINDS if name == self.index or rng.random() < 0.6] or ["i"]
                data = self.data(names, self.rows(names, 5), ["rows", "arrow"], False)
                self.push({"entityId": "t", "tableUpdateReq": {"data": data}})
            for name in views:
                self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})
        return self.steps


def write(seed, num_steps=12):
    return Windows(seed).write(num_steps)
