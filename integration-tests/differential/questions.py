"""Random scripts about views of a static table: every aggregate, filter, sort and mode, in every export format.

Invariant: nothing changes after the creation, so features that differ in live views only are tested here: nulls in
every column, sorts by every deterministic aggregate, expansion step by step, slices of rows and columns in every
format.
"""

import config as configs
import script


class Questions(script.Script):
    def write(self, num_steps):
        rng = self.rng
        # Every other script has no nulls, which allows stricter checks of ties, bounds and order-like aggregates.
        self.has_nulls = rng.random() < 0.5
        self.index = rng.choice([None, "id", "s", "m"])
        names = list(script.KINDS)
        first = [self.value(script.KINDS[name]) if name != "id" else 1 for name in names]
        # So that the intended types are inferred from text.
        first[names.index("f")], first[names.index("m")] = 0.25, 1577840523456
        rows = [first] + self.rows(names, rng.choice([0, 1, 5, 40]) or 1, is_new_table=True)
        options = {"makeIndexTable": self.index} if self.index else {}
        data = self.data(names, rows, ["arrow", "rows", "cols", "csv"], False)
        self.push({"entityId": "t", "makeTableReq": {"data": data, "options": options}})
        for number in range(num_steps):
            self.question(f"v{number}")
        return self.steps

    def question(self, name):
        rng = self.rng
        config = configs.random_config(rng, script.KINDS, False, self.value)
        columns = configs.shown(config)
        if not script.is_pivot(config) and not columns:
            config.pop("filter", None)
        if rng.random() < 0.3:
            config["expressions"] = {"x": rng.choice(['"i" + 1', 'upper("s")', '"i" > 1', 'bucket("d", \'M\')', 'bucket("m", \'D\')'])}
            if not script.is_pivot(config):
                columns.append("x")
            elif rng.random() < 0.6:
                config["groupBy" if rng.random() < 0.7 else "splitBy"] = ["x"]
                if "splitBy" in config:
                    # `col` sorts use the shown columns only.
                    config["sort"] = [term for term in config.get("sort", []) if "COL" not in term["op"]]
        self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}})
        self.exports(name, config)
        if config.get("groupBy") and config["groupRollupMode"] == "ROLLUP" and rng.random() < 0.6:
            for _ in range(rng.randint(1, 4)):
                what = rng.choice(["viewExpandReq", "viewCollapseReq", "viewCollapseReq", "viewSetDepthReq"])
                member = "depth" if what == "viewSetDepthReq" else "rowIndex"
                self.push({"entityId": name, what: {member: rng.randrange(1, 6) if member == "rowIndex" else rng.randrange(4)}})
                self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})
                self.push({"entityId": name, "viewDimensionsReq": {}})
        self.push({"entityId": name, "viewDeleteReq": {}})

    def exports(self, name, config):
        rng = self.rng
        self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}, "id": True}})
        port = self.viewport
        asked = [
            {"viewToColumnsStringReq": {"viewport": port(), "id": rng.random() < 0.5, "formatted": rng.random() < 0.5}},
            {"viewToRowsStringReq": {"viewport": port(), "id": rng.random() < 0.5, "formatted": rng.random() < 0.5}},
            {"viewToRowsStringReq": {"viewport": {}}},
            {"viewToNdjsonStringReq": {"viewport": {}}},
            {"viewToCsvReq": {"viewport": {}}},
            {"viewToCsvReq": {"viewport": port()}},
            {"viewToArrowReq": {"viewport": {}, "compression": rng.choice(["", "lz4", "zstd"])}},
            {"viewToArrowReq": {"viewport": port()}},
            {"viewToArrowReq": {"viewport": {"machineColumnNames": True}}},
            {"viewColumnPathsReq": {}},
            {"viewSchemaReq": {}},
            {"viewExpressionSchemaReq": {}},
            {"viewDimensionsReq": {}},
            {"viewGetConfigReq": {}},
            {"viewGetMinMaxReq": {"columnName": rng.choice(list(script.KINDS))}},
        ]
        for step in rng.sample(asked, 5):
            if "viewGetMinMaxReq" in step and script.is_pivot(config):
                continue
            self.push({"entityId": name, **step})


def write(seed, num_steps=12):
    return Questions(seed).write(num_steps)
