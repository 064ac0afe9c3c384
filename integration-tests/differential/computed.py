"""Random scripts of live pivots, sorts and filters over computed columns, on a table that changes.

Invariant: as in script.py; views have expressions (flat ones also windows) and use them like any other column. They are
never null (differences.md: the reference engine treats nulls of later writes differently), and grouped numbers are few.
"""

import config as configs
import expressions
import script

# For each kind, the wrapper of an expression that gives it a value, and few different ones.
WHOLE = {
    "integer": "coalesce(integer(float(\"i\") % {n}), 1)",
    "float": "coalesce(float({text}) % 8, 0.5)",
    "string": "coalesce({text}, 'none')",
    "boolean": "{text}",
    "date": "coalesce({text}, date(2020, 1, 2))",
    "datetime": "coalesce({text}, datetime(1577836800000))",
}
# Expressions that cannot overflow or split a letter.
PLAIN = {
    "float": ['"f"', '"i" + "f"', '"f" * "i"', 'if("b", "f", 1.5)', 'abs("f") - 1', 'floor("f")', 'length("s") * 1.5', 'bucket("f", 2)'],
    "string": ['upper("s")', 'concat("s", "t")', 'if("i" > 1, "s", \'low\')', 'day_of_week("d")', 'string("i")', 'if("b", "t", "s")', 'lower("t")', 'replace("s", \'z\', \'y\')'],
    "boolean": ['"i" > 1', '"b" and "f" > 0', 'is_null("f")', 'contains("s", \'z\')', '"s" == "t"', 'not("b")', '"d" > date(2020, 1, 2)'],
    "date": ['"d"', 'bucket("d", \'M\')', 'bucket("m", \'D\')', 'bucket("d", \'Y\')'],
    "datetime": ['"m"', 'bucket("m", \'h\')', 'bucket("m", \'15m\')'],
}


# The reference engine's deltas of live views with windows list every row, and its Arrow has other types for windows:
# see windows.py.
WITH_WINDOWS = False


class Computed(script.Script):
    def __init__(self, seed):
        super().__init__(seed)
        self.kinds = {}
        # The same few expressions in all views: columns are shared.
        rng = self.rng
        self.texts = {}
        for at in range(4):
            kind = rng.choice(list(WHOLE))
            text = rng.choice(PLAIN.get(kind, ['"i"']))
            # The name encodes the kind: see script.kind_of.
            self.texts[f"{kind}{at}"] = (kind, WHOLE[kind].format(text=text, n=rng.choice([2, 3])))

    def value(self, kind):
        value = super().value(kind)
        return "e" if value == "é" else value

    def cell(self, name, is_new_table=False):
        # Keys that later become null change quantiles.
        cell = super().cell(name, is_new_table)
        return 1 if name == "id" and cell is None else cell

    def reshape(self):
        """In views with expressions the reference engine opens new groups after one was opened or closed."""

    def random_config(self, is_live):
        rng = self.rng
        used = dict(rng.sample(sorted(self.texts.items()), rng.randint(1, 3)))
        kinds = script.KINDS | {name: kind for name, (kind, _) in used.items()}
        windows = {}
        if WITH_WINDOWS and rng.random() < 0.3:
            windows[f"integer{len(self.texts)}"] = self.window()
        # Mostly the computed ones.
        few = {name: kinds[name] for name in kinds if name in used or name in "idsbf" or rng.random() < 0.3}
        few |= {name: "integer" for name in windows}
        config = configs.random_config(rng, few, is_live, self.value)
        # Quantiles of even numbers of `integer()`, and the order of columns by text, are unspecified.
        for name, given in config.get("aggregates", {}).items():
            if name.startswith("integer") and given["aggregations"][0] in ("median", "q1", "q3"):
                given["aggregations"] = ["sum"]
        config["sort"] = [term for term in config.get("sort", []) if "COL" not in term["op"]]
        config["expressions"] = {name: text for name, (_, text) in used.items()}
        if windows:
            config["windows"] = windows
        return config

    def window(self):
        """One that is never null. Not by text: the reference engine confuses partitions when a batch adds texts."""
        rng = self.rng
        spec = {"source": rng.choice(["i", "f", "s"]), "op": rng.choice(["count", "row_number"])}
        if rng.random() < 0.5:
            spec["partitionBy"] = [rng.choice(["b", "d"])]
        if rng.random() < 0.5:
            spec["orderBy"] = {"column": rng.choice(["i", "f", "m", "id"]), "desc": rng.random() < 0.4}
        if spec["op"] == "count" and rng.random() < 0.5:
            spec["rows"] = rng.randrange(4)
        else:
            spec["cumulative"] = None
        return spec


def write(seed, num_steps=12):
    return Computed(seed).write(num_steps)
