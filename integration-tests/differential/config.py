"""Random view configs, and the properties of them that compare.py needs."""

NUMERIC = ("integer", "float")
ANY_TYPE = ["count", "distinct count", "unique", "any", "dominant", "first", "last by index", "last", "max", "min"]
ANY_TYPE += ["distinct leaf", "or"]
ONLY = {
    "integer": ["sum", "avg", "abs sum", "sum abs", "sum or zero", "var", "stddev", "gmv", "median", "q1", "q3"],
    "float": ["sum", "avg", "abs sum", "sum abs", "sum or zero", "var", "stddev", "gmv", "pct sum parent"]
    + ["pct sum total", "last minus first"],
    "string": ["join", "median", "q1", "q3"],
    "boolean": ["and"],
    "date": ["median", "q1", "q3"],
    "datetime": ["median", "q1", "q3"],
}
# The order by these is unspecified (differences.md).
NOT_SORTED = {"any", "or", "abs sum", "distinct leaf", "last minus first", "first", "last by index", "last", "dominant"}
NOT_SORTED |= {"max by", "min by"}
PASSES_NULL = {"!=", "not in", "is null"}
ORDERED = ["==", "!=", ">", ">=", "<", "<="]
TEXTUAL = ["begins with", "not begins with", "contains", "not contains", "ends with", "not ends with"]


def default_aggregate(kind):
    return "sum" if kind in NUMERIC else "count"


def _aggregate(rng, kind):
    if kind in NUMERIC and rng.random() < 0.06:
        return ["weighted mean", "f"]
    if rng.random() < 0.08:
        return [rng.choice(["max by", "min by"]), rng.choice(["i", "f"])]
    return [rng.choice(ANY_TYPE + ONLY[kind])]


def _scalar(value):
    if value is None:
        return {"null": None}
    if isinstance(value, bool):
        return {"bool": value}
    if isinstance(value, str):
        return {"string": value}
    return {"float": value}


def _filter(rng, kinds, may_pass_null, value):
    column = rng.choice(list(kinds))
    kind = kinds[column]
    ops = ORDERED + ["in", "not in", "is null", "is not null"] + (TEXTUAL * 2 + ["matches"] if kind == "string" else [])
    if kind == "boolean":
        ops = ["==", "!=", "is null", "is not null"]
    op = rng.choice([op for op in ops if may_pass_null or op not in PASSES_NULL])
    if op in ("is null", "is not null"):
        return {"column": column, "op": op, "value": [_scalar(None)]}
    if op == "matches":
        return {"column": column, "op": op, "value": [_scalar(rng.choice(["^a", "z+", "[", "é|b"]))]}
    count = rng.randint(1, 3) if op in ("in", "not in") else 1
    values = [value(kind) for _ in range(count)]
    if kind == "date":
        values = [each * 86_400_000 for each in values]
    return {"column": column, "op": op, "value": [_scalar(each) for each in values]}


def random_config(rng, kinds, is_live, value):
    """The JSON form of a `ViewConfig`. Live views avoid features that the reference engine does not update."""
    names = list(kinds)
    columns = rng.sample(names, rng.randint(0 if rng.random() < 0.1 else 1, 4))
    config = {"columns": {"columns": {"columns": columns}}}
    pivots = [name for name in names if name != "f" and name != "id"]
    if rng.random() < 0.65:
        config["groupBy"] = rng.sample(pivots, rng.choice([1, 1, 2, 3]))
    if rng.random() < 0.3:
        config["splitBy"] = rng.sample([name for name in pivots if name != "s"], rng.choice([1, 1, 2]))
        config["splitRollupMode"] = rng.choice(["SPLIT_ROLLUP_MODE_FLAT"] * 3 + ["SPLIT_ROLLUP_MODE_ROLLUP"])
    config["groupRollupMode"] = rng.choice(["ROLLUP"] * 5 + ["FLAT", "TOTAL"])
    if rng.random() < 0.15:
        config["groupByDepth"] = rng.randint(0, 3)
    is_pivot = "groupBy" in config or "splitBy" in config or config["groupRollupMode"] == "TOTAL"
    if is_pivot:
        aggregates = {name: {"aggregations": _aggregate(rng, kinds[name])} for name in columns if rng.random() < 0.7}
        if aggregates:
            config["aggregates"] = aggregates
    terms = [_filter(rng, kinds, not (is_live and is_pivot), value) for _ in range(rng.choice([0, 0, 0, 1, 1, 2]))]
    if terms:
        config["filter"] = terms
        # Under `or` the reference engine is wrong about text that is, or is not, equal.
        is_text = any(kinds[term["column"]] == "string" and term["op"] in ("==", "!=") for term in terms)
        if len(terms) > 1 and rng.random() < 0.4 and not is_text:
            config["filterOp"] = "OR"
    sort = _sort(rng, config, kinds, columns, is_live)
    if sort:
        config["sort"] = sort
    return config


def aggregate_of(config, kinds, column):
    """The name of the aggregate that a column has in a pivot."""
    if config.get("splitBy") and not config.get("groupBy") and config.get("groupRollupMode") != "TOTAL":
        return "any"
    given = config.get("aggregates", {}).get(column)
    return given["aggregations"][0] if given else default_aggregate(kinds[column])


def _sort(rng, config, kinds, columns, is_live):
    terms, seen = [], set()
    for _ in range(rng.choice([0, 0, 1, 1, 2])):
        column = rng.choice(list(kinds))
        if column in seen or aggregate_of(config, kinds, column) in NOT_SORTED:
            continue
        seen.add(column)
        ops = ["SORT_ASC", "SORT_DESC"]
        if kinds[column] in NUMERIC:
            ops += ["SORT_ASC_ABS", "SORT_DESC_ABS"]
        if config.get("splitBy") and column in columns and not is_live:
            ops += ["SORT_COL_ASC", "SORT_COL_DESC"]
        terms.append({"column": column, "op": rng.choice(ops)})
    return terms


def shown(config):
    """The names of the chosen columns; none where the default is taken."""
    return config.get("columns", {}).get("columns", {}).get("columns", [])
