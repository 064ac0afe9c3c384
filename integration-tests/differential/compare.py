"""Compares two lists of replies.

Invariant: every accepted difference is described in differences.md under the same name.
"""

import math
from collections import Counter

import config as configs
import wire
from script import KINDS, kind_of

# Aggregates that select one of many values: on parent rows the reference engine's order is its history, or that of its
# split trees.
HISTORY = {"any", "or", "dominant", "last", "max by", "min by"}
# Where no row has a value, the reference engine shows the type's zero, ours null.
ZERO_FOR_NULL = {"any", "or", "distinct leaf"}
ZERO_FOR_NULL_IN_TOTAL = ZERO_FOR_NULL | {"first", "last", "last by index", "dominant", "max", "min", "max by", "min by"}
ZERO_FOR_NULL_IN_TOTAL |= {"unique", "distinct leaf"}
ZEROS = (0, 0.0, "", False, -62167305600000, -719529, "1970-01-01", "0-01-01", "0-01-00", "1970-01-01 00:00:00.000")
# Nulls set by an update sort at the other end than nulls of the creation.
BY_COLUMN = {"min by", "max by"}
# A total whose last row was removed; on a table without rows every aggregate is null.
ZERO_OF_NOTHING = {"count", "distinct count", "sum or zero", "gmv", "join", "and"}
# The same in the engine of 5.5, whose sums are never null.
ZERO_OF_NOTHING_5_5 = ZERO_OF_NOTHING | {"sum"}
OF_NULLS = {"distinct count", "unique", "min", "max"}
WRITES = ("tableUpdateReq", "tableReplaceReq", "tableRemoveReq")
DRIFTING = {"avg", "var", "stddev", "weighted mean", "pct sum parent", "pct sum total"}


class Replay:
    """Replays a script and records what the comparison needs: configs, and whether a view has seen a write."""

    def __init__(self):
        self.views = {}
        self.live = set()
        self.watchers = {}
        # Views of joins, by name: the reference engine lists every row of a join as changed.
        self.joins, self.views_of_joins = set(), {}
        # Views of tables from views: the reference engine may notify them even if none of their rows changed.
        self.derived, self.views_of_derived = set(), set()
        # With a schema of their own, even if the changed column is not in it.
        self.has_schemas = False
        # Whether a write after the creation can have set a cell to null.
        self.has_nulls = False
        self.index = None
        # Whether rows were given by `__INDEX__`: in the reference engine new ones have a key that their column does not
        # show.
        self.has_row_keys = False

    def relevant(self, step, ours, theirs):
        """The reference engine's notifications without empty ones of views of derived tables."""
        received = [msg_id for msg_id, *_ in ours]

        def is_vain(msg_id, kind, body):
            name, _ = self.watchers.get(msg_id, (None, None))
            rows = kind == "view_on_update" and body["delta"] and body["delta"]["rows"]
            is_vain = rows == 0 or self.has_schemas or "tableRemoveReq" in step or "tableReplaceReq" in step
            return name in self.views_of_derived and msg_id not in received and is_vain

        if not self.derived:
            return theirs
        return [each for each in theirs if not is_vain(*each[:3])]

    def joins_in_turn(self, messages, msg_id):
        """The messages with those of views of joins sorted by join within their positions: joins of one table do not
        wait for each other. `msg_id`: the member with the subscription's number."""

        def join(message):
            return self.views_of_joins.get(self.watchers.get(message[msg_id], (None, None))[0])

        sorted_ones = iter(sorted((each for each in messages if join(each)), key=join))
        return [next(sorted_ones) if join(each) else each for each in messages]

    def context(self, name, is_live):
        return Context(self, self.views[name], is_live)

    def take(self, number, step):
        if "close" in step:
            for name in step["gone"]:
                self.views.pop(name, None)
        elif "tableMakeViewReq" in step:
            body = step["tableMakeViewReq"]
            self.views[body["viewId"]] = body["config"]
            self.live.discard(body["viewId"])
            if step["entityId"] in self.joins:
                self.views_of_joins[body["viewId"]] = step["entityId"]
            if step["entityId"] in self.derived:
                self.views_of_derived.add(body["viewId"])
        elif step.get("makeTableReq", {}).get("data", {}).get("fromView"):
            self.derived.add(step["entityId"])
            self.has_schemas |= "viewSchema" in step["makeTableReq"].get("options", {})
        elif "makeJoinTableReq" in step:
            self.joins.add(step["entityId"])
        elif "viewOnUpdateReq" in step or "viewOnRemoveReq" in step:
            self.watchers[number] = step["entityId"], step.get("viewOnUpdateReq", {}).get("mode")
        elif "makeTableReq" in step and step["entityId"] == "t" and self.index is None:
            self.index = step["makeTableReq"].get("options", {}).get("makeIndexTable")
        elif any(key in WRITES for key in step):
            self.live.update(self.views)
            self.has_row_keys |= "__INDEX__" in str(step)
            self.has_nulls |= sets_nulls(step)


def sets_nulls(step):
    """Whether a write after the creation sets cells of column `f` to null."""
    (body,) = (body for body in step.values() if isinstance(body, dict))
    data = body.get("data", {})
    if "fromArrow" in data:
        return any(None in values for _, _, values in data["fromArrow"])
    text = str(data)
    return "null" in text or "fromCsv" in data


def compare(script, ours, theirs):
    """The first difference as `(step number, what, ours, theirs)`, or None."""
    replay = Replay()
    for number, (step, our, their) in enumerate(zip(script, ours, theirs), start=1):
        replay.take(number, step)
        what = _answers(replay, step, our["answer"], their["answer"])
        if what:
            return number, what, our["answer"], their["answer"]
        their_news = replay.relevant(step, our["news"], their["news"])
        vain = {each[0] for each in their["news"] if each not in their_news}
        our_news, their_news = (replay.joins_in_turn(news, 0) for news in (our["news"], their_news))
        what = _news(replay, our_news, their_news)
        their_order = [each for each in their["order"] if each[1] not in vain]
        our_order, their_order = (replay.joins_in_turn(order, 1) for order in (our["order"], their_order))
        if not what and any(_order(our_order, session) != _order(their_order, session) for session in (0, 1)):
            return number, "the order of answer and news differs", our["order"], their["order"]
        if not what and our.get("overdue"):
            what = "news came after a later answer of the table"
        if what:
            return number, what, our["news"], their["news"]
    return None


def _answers(replay, step, ours, theirs):
    if [kind for kind, _ in ours] != [kind for kind, _ in theirs]:
        return "kinds of answer differ"
    for (kind, our), (_, their) in zip(ours, theirs):
        if kind == "error":
            if our["status"] != their["status"]:
                return "error status differs"
            continue
        name = step.get("entityId")
        context = replay.context(name, name in replay.live) if name in replay.views else None
        if context is not None:
            context.asked_column = step.get("viewGetMinMaxReq", {}).get("columnName")
            if context.loses_rows:
                continue
            context.is_window = any("startRow" in body.get("viewport", {}) for body in step.values() if isinstance(body, dict))
        rule = RULES.get(kind, lambda _context, our, their: _same(our, their) or "answers differ")
        verdict = rule(context, our, their)
        if verdict is not True and verdict is not None:
            return verdict
    return None


class Context:
    def __init__(self, replay, config, is_live):
        has_nulls = replay.has_nulls
        self.config = config
        self.is_live = is_live
        self.groups = config.get("groupBy", [])
        self.splits = config.get("splitBy", [])
        self.is_total = config.get("groupRollupMode") == "TOTAL"
        self.is_column_only = bool(self.splits) and not self.groups and not self.is_total
        self.is_flat = not self.groups and not self.splits and not self.is_total
        self.has_nulls = has_nulls
        self.hidden_key = replay.index if replay.has_row_keys else None
        # Beside a `last`, the reference engine's groups may count an updated row again.
        self.counts_again = is_live and replay.index is not None and self.has({"last"})
        self.is_window = False
        self.zero_of_nothing = ZERO_OF_NOTHING_5_5 if is_older() else ZERO_OF_NOTHING
        # Live sums of 5.5 keep a value that a write removes.
        self.keeps_values = is_older() and is_live and has_nulls and not self.is_flat
        # Live pivots of 5.5 ignore new rows whose expressions equal those of a row without values.
        self.loses_rows = is_older() and is_live and not self.is_flat and bool(config.get("expressions"))
        sort = config.get("sort", [])
        # The order of ties, and of values of equal magnitude, is unspecified.
        self.is_loose = bool(sort) and not self.is_total and (
            (is_live and not self.is_flat)
            or self.is_column_only
            or (has_nulls and any(term["column"] == "f" for term in sort))
            or any(term["op"].endswith("ABS") for term in sort)
        )

    def aggregate(self, name):
        column = name.rsplit("|", 1)[-1]
        computed = [*self.config.get("expressions", {}), *self.config.get("windows", {})]
        kinds = KINDS | {name: kind_of(name) for name in computed if kind_of(name) in KINDS.values()}
        is_known = column in kinds or column in self.config.get("aggregates", {})
        return configs.aggregate_of(self.config, kinds, column) if is_known else None

    def argument(self, name):
        given = self.config.get("aggregates", {}).get(name.rsplit("|", 1)[-1])
        return given["aggregations"][1] if given and len(given["aggregations"]) > 1 else None

    def cell(self, name, path, our, their):
        """Whether one cell agrees. `path` is the row path, None where the view has none."""
        if _same(our, their):
            return True
        if self.is_flat:
            # A count in a table from a pivot that lost its last row: as ZERO_OF_NOTHING.
            return (name == self.hidden_key and their is None) or (name.endswith(" (count)") and our is None and their == 0)
        aggregate = self.aggregate(name)
        if self.is_column_only:
            return our is None and their in ZEROS
        if self.keeps_values and name.rsplit("|", 1)[-1] in ("f", "id"):
            return True
        if aggregate in OF_NULLS and self.has_nulls and name.rsplit("|", 1)[-1] == "f":
            return True
        if aggregate in BY_COLUMN and self.has_nulls and self.argument(name) == "f":
            return True
        is_top = self.is_total or path == []
        if self.is_total and (self.groups or self.splits) and aggregate == "gmv":
            return True
        is_sum_of_nothing = is_older() and aggregate == "sum"
        if is_top and (self.is_live or is_sum_of_nothing) and our is None and aggregate in self.zero_of_nothing and (their is True or their in ZEROS):
            return True
        if self.counts_again and aggregate == "count" and our is not None and their > our:
            return True
        depth = name.count("|")
        is_leaf = not self.is_total and path is not None and len(path) == len(self.groups) and depth == len(self.splits)
        if our is None and their in ZEROS and aggregate in (ZERO_FOR_NULL_IN_TOTAL if is_top else ZERO_FOR_NULL):
            return True
        return not is_leaf and (aggregate == "distinct leaf" or aggregate in BY_COLUMN or (aggregate in HISTORY and (self.is_live or self.splits or self.is_total)))

    def has(self, aggregates):
        shown = configs.shown(self.config)
        return any(self.aggregate(name) in aggregates for name in shown)


def is_older():
    return wire.GENERATION == "5.5"


def _same(our, their):
    if isinstance(our, bool) or isinstance(their, bool):
        return our is their
    if isinstance(our, (int, float)) and isinstance(their, (int, float)):
        if type(our) is not type(their):
            return False
        if isinstance(our, float):
            if math.isnan(our) or math.isnan(their):
                return math.isnan(our) and math.isnan(their)
            return math.isclose(our, their, rel_tol=1e-9, abs_tol=1e-12)
        return our == their
    if isinstance(our, list) and isinstance(their, list):
        return len(our) == len(their) and all(_same(*pair) for pair in zip(our, their))
    if isinstance(our, dict) and isinstance(their, dict):
        return our.keys() == their.keys() and all(_same(our[key], their[key]) for key in our)
    return our == their


def _table(context, names, rows_of_names, our_rows, their_rows):
    """Rows as lists of cells; the path, if any, is the first cell."""
    has_path = rows_of_names and rows_of_names[0] == "__ROW_PATH__"
    if len(our_rows) != len(their_rows):
        return "numbers of rows differ"
    if context.is_loose and context.is_window:
        return None
    # The null key has a position of its own in live column-only views.
    has_null_key = context.is_live and context.is_column_only and any([None] in row for row in our_rows)
    if context.is_loose or has_null_key:
        if has_path:
            our_rows = sorted(our_rows, key=lambda row: repr(row[0]))
            their_rows = sorted(their_rows, key=lambda row: repr(row[0]))
        else:
            return _as_sets(context, rows_of_names, our_rows, their_rows)
    for at, (our, their) in enumerate(zip(our_rows, their_rows)):
        path = our[0] if has_path else None
        for name, our_cell, their_cell in zip(rows_of_names, our, their):
            if name == "__ID__" and context.is_column_only:
                continue
            if not context.cell(name, path, our_cell, their_cell):
                return f"row {at} column {name}: ours {our_cell!r}, theirs {their_cell!r}"
    return None


def _as_sets(context, names, our_rows, their_rows):
    left = list(their_rows)
    for our in our_rows:
        for at, their in enumerate(left):
            cells = zip(names, our, their)
            if all(name == "__ID__" and context.is_column_only or context.cell(name, None, *c) for name, *c in cells):
                del left[at]
                break
        else:
            return f"no such row at the peer: {our!r}"
    return None


def _columns(context, our, their):
    our, their = our["pairs"], their["pairs"]
    names = [name for name, _ in our]
    if names != [name for name, _ in their]:
        return f"columns differ: ours {names}, theirs {[name for name, _ in their]}"
    if any(len({len(values) for _, values in side}) > 1 for side in (our, their)):
        return "columns of unequal length"
    return _table(context, names, names, _turn(our), _turn(their))


def _turn(pairs):
    return [list(row) for row in zip(*(values for _, values in pairs))]


def _rows(context, our, their):
    if context.is_flat and context.is_window and all(not _cells(row) for row in our + their):
        # A window of no columns: with keys or without rows.
        return None
    if len(our) != len(their):
        return "numbers of rows differ"
    if not our:
        return None
    names = [name for name, _ in our[0]["pairs"]]
    for row in our + their:
        if [name for name, _ in row["pairs"]] != names:
            return f"keys differ: {names} against {[name for name, _ in row['pairs']]}"
    return _table(
        context,
        names,
        names,
        [[value for _, value in row["pairs"]] for row in our],
        [[value for _, value in row["pairs"]] for row in their],
    )


def _cells(row):
    return [name for name, _ in row["pairs"] if not name.startswith("__")]


def _arrow(context, our, their):
    for field in their["fields"]:
        field[0] = field[0].replace(" by by ", " by ")
    if our["fields"] != their["fields"]:
        return f"fields differ: ours {our['fields']}, theirs {their['fields']}"
    if our["rows"] != their["rows"]:
        return "numbers of rows differ"
    names = [name for name, _ in our["fields"]]
    our_rows = [list(row) for row in zip(*our["columns"])]
    their_rows = [list(row) for row in zip(*their["columns"])]
    keys = len(context.groups)
    if context.is_flat:
        return _table(context, names, names, our_rows, their_rows)
    if context.is_loose or context.has(HISTORY | ZERO_FOR_NULL_IN_TOTAL) or context.is_column_only:
        # Paths are ambiguous here; the JSON forms are compared cell by cell.
        return None
    names = names[:keys] + [name.split(" (")[0] for name in names[keys:]]
    return _table(context, names, names, our_rows, their_rows)


def _csv(context, our, their):
    forgiven = HISTORY | ZERO_FOR_NULL_IN_TOTAL | DRIFTING | (OF_NULLS if context.has_nulls else set())
    if context.is_loose or context.has(forgiven) or context.is_column_only or context.counts_again or context.keeps_values:
        return None
    if context.is_total and context.has({"gmv"}):
        return None
    if (context.is_live or is_older()) and context.has(context.zero_of_nothing) and our.count("\n") <= 2:
        return None
    return our == their.replace(" by by ", " by ") or "texts differ"


def _min_max(context, our, their):
    if context.is_flat and kind_of(context.asked_column or "") == "date":
        return None
    if _same(our, their) or not context.is_flat:
        return None
    return "answers differ"


def _config(context, our, their):
    our, their = our.get("config", {}), their.get("config", {})
    if any(term["op"] in ("in", "not in") for term in context.config.get("filter", [])):
        our, their = our | {"filter": None}, their | {"filter": None}
    if any("COL" in term["op"] for term in context.config.get("sort", [])):
        our, their = our | {"sort": None}, their | {"sort": None}
    # The reference engine does not return the windows of a configuration.
    our = our | {"windows": None}
    their = their | {"windows": None}
    if not configs.shown(context.config):
        our = our | {"columns": None}
        their = their | {"columns": None}
    return _same(our, their) or "configs differ"


def _changed(context, our, their):
    plain = context.groups and not context.splits and context.config.get("groupRollupMode", "ROLLUP") == "ROLLUP"
    return _same(our, their) or not plain or "numbers of rows changed differ"


# The reference engine's errors for well-formed nonsense, or for text of which it misinterprets a part.
BY_ITS_OWN_RULES = ("Type Error", "Value Error - Input column", "Invalid string token", "Invalid token sequence: '.' and")


def _description(_context, our, their):
    if _same(our, their):
        return True
    names = [*our.get("expressionErrors", {}), *our.get("expressionSchema", {})]
    if not names or not all(name.startswith("broken") for name in names):
        return "answers differ"
    said = [answer.get("expressionErrors", {}).get(names[0], {}).get("errorMessage", "") for answer in (our, their)]
    is_nonsense = any(text.startswith(BY_ITS_OWN_RULES) for text in said)
    # The name alone of a function with any number of arguments.
    is_name = said[0].startswith("Failed parameter type check") and said[0].endswith("call set: ''")
    return is_nonsense or is_name or "refusals differ"


def _validation(_context, our, their):
    if _same(our, their):
        return True
    refused, accepted = (side.get("errors", {}) for side in (our, their))
    # Which of several unknown columns is named; 5.5 also accepts expressions without a value on any row.
    return refused.keys() >= accepted.keys() and bool(refused) or "answers differ"


def _schema(context, our, their):
    # 5.5 has no columns in a pivot without split values.
    return _same(our, their) or (is_older() and bool(context and context.splits) and not their) or "answers differ"


RULES = {
    "table_validate_expr": _validation,
    "view_schema": _schema,
    "table_describe": _description,
    "view_to_columns_string": _columns,
    "view_to_rows_string": _rows,
    "view_to_ndjson_string": _rows,
    "view_to_arrow": _arrow,
    "view_to_csv": _csv,
    "view_get_min_max": _min_max,
    "view_get_config": _config,
    "view_expand": _changed,
    "view_collapse": _changed,
}


def _news(replay, ours, theirs):
    if any(_heard(ours, session) != _heard(theirs, session) for session in (0, 1)):
        return "news differ"
    ours, theirs = (sorted(side, key=lambda each: each[3]) for side in (ours, theirs))
    for (msg_id, kind, our, _), (_, _, their, _) in zip(ours, theirs):
        name, mode = replay.watchers.get(msg_id, (None, None))
        if name is None or name not in replay.views:
            continue
        if our["port"] != their["port"]:
            return "ports differ"
        context = replay.context(name, True)
        if context.loses_rows:
            continue
        if kind == "view_on_update" and mode is None and not (our["delta"] and their["delta"]):
            # Once one subscriber wants rows, they may be sent to all.
            what = None
        elif kind == "view_on_update":
            what = _delta(context, our["delta"], their["delta"], name in replay.views_of_joins or name in replay.views_of_derived)
        else:
            what = None if _key_set(our["keys"]) == _key_set(their["keys"]) else "removed keys differ"
        if what:
            return f"news of {name}: {what}"
    return None


def _order(order, session):
    """One client's messages; clients do not wait for each other."""
    return [msg_id for receiver, msg_id in order if receiver == session]


def _heard(news, session):
    return [(msg_id, kind) for msg_id, kind, _, receiver in news if receiver == session]


def _key_set(keys):
    return keys and (keys["fields"], sorted(map(repr, keys["columns"][0])))


def _delta(context, our, their, is_part=False):
    if our["fields"] != their["fields"]:
        return f"fields of the delta differ: ours {our['fields']}, theirs {their['fields']}"
    if not context.is_flat:
        if context.splits or context.keeps_values or context.has(HISTORY | ZERO_FOR_NULL_IN_TOTAL | DRIFTING | OF_NULLS):
            return None
    shown = [at for at, (name, _) in enumerate(our["fields"]) if name != context.hidden_key and not name.endswith(" (count)")]
    # A live sum over no rows, see ZERO_OF_NOTHING_5_5.
    cell = (lambda value: value or None) if is_older() and not context.is_flat else (lambda value: value)
    our_rows, their_rows = ([repr([cell(row[at]) for at in shown]) for row in zip(*side["columns"])] for side in (our, their))
    if not context.is_flat and is_part:
        return None
    if not context.is_flat or is_part:
        # The reference engine may list rows without a changed cell.
        missing = Counter(our_rows) - Counter(their_rows)
        return None if not missing else f"rows of the delta that the peer has not: {missing}"
    if context.config.get("sort"):
        our_rows, their_rows = sorted(our_rows), sorted(their_rows)
    return None if our_rows == their_rows else f"rows of the delta differ: ours {our_rows}, theirs {their_rows}"
