"""Random scripts about computed columns: typed expression text, described, shown, and recomputed by updates.

Invariant: most expressions are well typed; a few mix types or miss brackets, so that refusals are compared too. Left
out are features that the specification calls an accident of the reference engine (`random`, `now`, `vlookup`, order by
pointers).
"""

import json

import script

NUMBERS = ["0", "1", "2", "3", "0.5", "2.5", "10", "7", "100"]
STRINGS = ["'a'", "'Z'", "'zz'", "'x y'", "'b1'", "' / '", "'true'"]
PATTERNS = ["'^a'", "'z+'", "'[a-z]'", "'(.)'", "'b|Z'", "'^$'", "'x*'", "'\\\\w+'"]


# With a group each: whether a search without one is refused depends on its context.
GROUPS = ["'(.)'", "'^(a|z)'", "'([a-z]+)$'", "'(x)?(y)?'"]


class Writer:
    """Text of a wanted type, at most `depth` calls deep."""

    def __init__(self, rng):
        self.rng = rng

    def text(self, kind, depth):
        return getattr(self, kind)(depth)

    def number(self, depth):
        rng = self.rng
        if depth <= 0:
            return rng.choice(['"i"', '"f"', '"id"', '"i"', '"f"', rng.choice(NUMBERS)])
        n, s, b = (lambda: self.number(depth - 1)), (lambda: self.string(depth - 1)), (lambda: self.boolean(depth - 1))
        d, m = (lambda: self.date(depth - 1)), (lambda: self.datetime(depth - 1))
        # Branches of different storage are read as raw bits by the reference engine.
        x = lambda: f"float({n()})"
        return rng.choice(
            [
                lambda: f"({n()} {rng.choice('+-*/')} {n()})",
                lambda: f"({n()} {rng.choice('+-*')} {n()})",
                lambda: f"({n()} % {rng.choice(NUMBERS[1:])})",
                lambda: f"{n()} ^ {rng.choice(['2', '0.5', '1', '3'])}",
                lambda: f"-({n()})",
                lambda: f"{rng.choice(['ceil', 'floor', 'round', 'frac', 'sgn', 'sqrt', 'abs', 'sin', 'cos'])}({n()})",
                lambda: f"{rng.choice(['log10', 'log', 'log1p', 'exp', 'tanh', 'deg2rad', 'rad2deg', 'log2'])}({n()})",
                lambda: f"{rng.choice(['sum', 'avg', 'mul'])}({n()}, {n()}, {n()})",
                lambda: f"{rng.choice(['min', 'max'])}({n()}, {n()})",
                lambda: f"{rng.choice(['pow', 'mod', 'percent_of'])}({n()}, {rng.choice(NUMBERS[1:4])})",
                lambda: f"bucket({n()}, {rng.choice(['2', '5', '0.5', '10'])})",
                lambda: f"clamp(0.5, coalesce(float({n()}), 1.5), 7.5)",
                lambda: f"trunc({self.number(0)})",
                lambda: f"length({s()})",
                lambda: f"order({s()}, 'a', 'Z', 'zz')",
                lambda: f"hour_of_day({rng.choice([d, m])()})",
                lambda: f"if({b()}, {x()}, {x()})",
                lambda: f"if ({b()}) {{{x()}}} else {{{x()}}}",
                lambda: f"({b()} ? {x()} : {x()})",
                lambda: f"coalesce({n()}, {n()})",
                lambda: f"float({rng.choice([n, s, b])()})",
                lambda: f"integer({rng.choice([lambda: self.number(0), s, b])()})",
                lambda: f"~{{var x := {n()}; x + {n()}}}",
                lambda: f"switch {{case {b()}: {x()}; case {b()}: {x()}; default: {x()};}}",
                lambda: f"~{{var k := 0; for (var j := 0; j < 3; j += 1) {{k += {n()}}}; k}}",
            ]
        )()

    def string(self, depth):
        rng = self.rng
        if depth <= 0:
            return rng.choice(['"s"', '"t"', '"s"', rng.choice(STRINGS)])
        n, s, b = (lambda: self.number(depth - 1)), (lambda: self.string(depth - 1)), (lambda: self.boolean(depth - 1))
        d, m = (lambda: self.date(depth - 1)), (lambda: self.datetime(depth - 1))
        return rng.choice(
            [
                lambda: f"{rng.choice(['upper', 'lower'])}({s()})",
                lambda: f"concat({s()}, {s()})",
                lambda: f"substring({s()}, {rng.choice('012')})",
                lambda: f"substring({s()}, 0, {rng.choice('123')})",
                lambda: f"if({b()}, {s()}, {s()})",
                lambda: f"coalesce({s()}, {s()})",
                lambda: f"string({rng.choice([b, s])()})",
                lambda: f"string({rng.choice(['integer(' + self.number(0) + ')', chr(34) + 'i' + chr(34)])})",
                lambda: f"{rng.choice(['day_of_week', 'month_of_year'])}({rng.choice([d, m])()})",
                lambda: f"search(\"s\", {rng.choice(GROUPS)})",
                lambda: f"{rng.choice(['replace', 'replace_all'])}(coalesce(\"s\", 'q'), {rng.choice(PATTERNS)}, {rng.choice(STRINGS)})",
            ]
        )()

    def boolean(self, depth):
        rng = self.rng
        if depth <= 0:
            return rng.choice(['"b"', '"b"', "true", "false"])
        n, s, b = (lambda: self.number(depth - 1)), (lambda: self.string(depth - 1)), (lambda: self.boolean(depth - 1))
        d, m = (lambda: self.date(depth - 1)), (lambda: self.datetime(depth - 1))
        same = rng.choice([n, s, d, m])
        op = rng.choice(["==", "!=", "<", "<=", ">", ">="])
        return rng.choice(
            [
                lambda: f"({same()} {op} {same()})",
                lambda: f"({n()} {op} {n()})",
                lambda: f"({b()} {rng.choice(['and', 'or', 'xor', 'nand', 'nor'])} {b()})",
                lambda: f"not({b()})",
                lambda: f"{rng.choice(['is_null', 'is_not_null'])}({rng.choice([n, s, b, d, m])()})",
                lambda: f"{rng.choice(['match', 'match_all'])}(\"s\", {rng.choice(PATTERNS)})",
                lambda: f"contains(\"t\", {rng.choice(STRINGS)})",
                lambda: f"inrange({n()}, {n()}, {n()})",
                lambda: f"{rng.choice(['equal', 'not_equal'])}({n()}, {n()})",
                lambda: f"boolean({rng.choice([n, s, b])()})",
            ]
        )()

    def date(self, depth):
        rng = self.rng
        if depth <= 0:
            return '"d"'
        n, d, m = (lambda: self.number(depth - 1)), (lambda: self.date(depth - 1)), (lambda: self.datetime(depth - 1))
        return rng.choice(
            [
                lambda: f"bucket({rng.choice([d, m])()}, '{rng.choice(['D', 'W', 'M', '3M', 'Y', '10Y'])}')",
                lambda: f"date(2020, {rng.randint(0, 13)}, {rng.randint(1, 28)})",
                lambda: f"if({self.boolean(depth - 1)}, {d()}, {d()})",
                lambda: f"coalesce({d()}, {d()})",
            ]
        )()

    def datetime(self, depth):
        rng = self.rng
        if depth <= 0:
            return '"m"'
        m = lambda: self.datetime(depth - 1)
        return rng.choice(
            [
                lambda: f"bucket({m()}, '{rng.choice(['s', '15s', 'm', '15m', 'h', '6h'])}')",
                lambda: f"datetime(float({self.number(depth - 1)}) * 1000000)",
                lambda: f"if({self.boolean(depth - 1)}, {m()}, {m()})",
                lambda: f"coalesce({m()}, {m()})",
            ]
        )()

    def any(self, depth):
        kind = self.rng.choice(["number", "number", "string", "boolean", "date", "datetime"])
        text = self.text(kind, depth)
        if self.rng.random() < 0.05:
            # Something is missing, or of another type.
            at = self.rng.randrange(len(text))
            return self.rng.choice([text[:at] + ")", text + " +", f"({text} + 'a')", f"upper({text})", text.replace('"i"', '"nobody"')])
        return text


class Expressions(script.Script):
    def value(self, kind):
        # In the reference engine, splitting a letter of two bytes gives invalid text.
        value = super().value(kind)
        return "e" if value == "é" else value

    def write(self, num_steps):
        rng = self.rng
        self.index = rng.choice([None, "id"])
        # One of each kind: in the reference engine the first row decides the type of some expressions.
        self.has_nulls = rng.random() < 0.7
        names = list(script.KINDS)
        first = [self.value(script.KINDS[name]) if name != "id" else 1 for name in names]
        rows = [first] + self.rows(names, 12, is_new_table=True)
        options = {"makeIndexTable": self.index} if self.index else {}
        self.push({"entityId": "t", "makeTableReq": {"data": self.data(names, rows, ["arrow"], False), "options": options}})
        writer = Writer(rng)
        texts = {f"e{at}": writer.any(rng.choice([1, 1, 2, 2, 3])) for at in range(num_steps)}
        nothing = {"columns": {"columns": {"columns": []}}}
        self.push({"entityId": "t", "tableDescribeReq": {"config": nothing | {"expressions": texts}}})
        for name, text in texts.items():
            config = {"columns": {"columns": {"columns": [name]}}, "expressions": {name: text}}
            self.push({"entityId": "t", "tableMakeViewReq": {"viewId": name, "config": config}})
            self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}}})
            self.push({"entityId": name, "viewToArrowReq": {"viewport": {}}})
            self.push({"entityId": name, "viewSchemaReq": {}})
        for _ in range(2):
            self.has_nulls = False
            names = [name for name in script.KINDS if name == self.index or rng.random() < 0.6] or ["i"]
            self.push({"entityId": "t", "tableUpdateReq": {"data": self.data(names, self.rows(names, 5), ["rows", "arrow"], False)}})
            for name in texts:
                self.push({"entityId": name, "viewToColumnsStringReq": {"viewport": {}}})
        return self.steps


def write(seed, num_steps=12):
    return Expressions(seed).write(num_steps)
