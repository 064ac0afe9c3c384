"""Every Arrow type: a column of three rows or so, and what a table makes of it (docs/formats.md)."""

import datetime
import decimal
import io
import uuid

import pyarrow as pa
import pyarrow.parquet as parquet

D = decimal.Decimal
LONG = "a text that is too long for a view"
UTC = datetime.timezone.utc
MOMENT = datetime.datetime(2024, 1, 2, 3, 4, 5, 678901)
MOMENT_MS = 1704164645678
OLD = datetime.datetime(1, 1, 1)
OLD_MS = -62135596800000
LATE = datetime.datetime(9999, 12, 31, 23, 59, 59)
LATE_MS = 253402300799000
DAY = datetime.date(1969, 12, 31)
UUID = "00000000-0000-0000-0000-0000000000ff"


class Case:
    """`columns`: what the table has, beside a column `id` that counts the rows of the input."""

    def __init__(self, values, kind, expected, columns=None, ids=None, is_old=True):
        # Whether the type is as old as the old form.
        self.is_old = is_old
        self.values = values
        self.types = {"x": kind} if columns is None else columns
        self.expected = {"x": expected} if columns is None else expected
        self.ids = ids or list(range(1, len(values) + 1))

    def table(self):
        return pa.table({"id": pa.array(range(1, len(self.values) + 1), pa.int64()), "x": self.values})

    def schema(self):
        return {"id": "integer", **self.types}

    def rows(self):
        return {"id": self.ids, **self.expected}


def coded(values, kind, codes=pa.int8()):
    return pa.array(values, kind).dictionary_encode().cast(pa.dictionary(codes, kind))


def runs(values, kind, ends=pa.int32()):
    """Each value twice."""
    ends = pa.array([2 * n + 2 for n in range(len(values))], ends)
    return pa.RunEndEncodedArray.from_arrays(ends, pa.array(values, kind))


def union(mode):
    ids = pa.array([0, 1, 0], pa.int8())
    if mode == "sparse":
        children = [pa.array([7, None, None], pa.int64()), pa.array([None, "a", None])]
        return pa.UnionArray.from_sparse(ids, children, ["n", "s"])
    children = [pa.array([7, None], pa.int64()), pa.array(["a"])]
    return pa.UnionArray.from_dense(ids, pa.array([0, 0, 1], pa.int32()), children, ["n", "s"])


def three(kind, first, third, expected, word):
    return Case(pa.array([first, None, third], kind), word, [expected[0], None, expected[1]])


def number(kind, word="integer", first=1, third=0):
    return three(kind, first, third, (first, third), word)


def moment(kind):
    zone = UTC if kind.tz else None
    late = MOMENT if kind.unit == "ns" else LATE
    late_ms = {"ns": MOMENT_MS}.get(kind.unit, LATE_MS)
    early, early_ms = (datetime.datetime(1969, 12, 31), -86400000) if kind.unit == "ns" else (OLD, OLD_MS)
    values = [early.replace(tzinfo=zone), None, late.replace(tzinfo=zone)]
    return Case(pa.array(values, kind), "datetime", [early_ms, None, late_ms])


def lists(kind):
    """A fixed width is 2; an empty list is a row without a value."""
    if pa.types.is_fixed_size_list(kind):
        values, expected, ids = [[1, 2], None, [3, None]], [1, 2, None, 3, None], [1, 1, 2, 3, 3]
    else:
        values, expected, ids = [[1, 2], None, [3], []], [1, 2, None, 3, None], [1, 1, 2, 3, 4]
    return Case(pa.array(values, kind), "integer", expected, ids=ids)


BYTES = [b"abcd", None, b"\xff\x00\x01\xfe"]
AS_TEXT = ["abcd", None, "/wAB/g=="]
CLOCK = [datetime.time(10, 30), None, datetime.time(23, 59, 59, 250000)]
SPANS = pa.array([(14, 3, 14_706_789_000_000), None, (0, 0, 0)], pa.month_day_nano_interval())
STRUCT = pa.struct([("a", pa.int32()), ("b", pa.string())])

CASES = {
    **{f"int{bits}": number(getattr(pa, f"int{bits}")(), third=-5) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": number(getattr(pa, f"uint{bits}")()) for bits in (8, 16, 32, 64)},
    "int64 beyond a double": number(pa.int64(), first=2**53 + 1, third=-(2**63)),
    "uint64 beyond int64": number(pa.uint64(), first=2**64 - 1, third=2**63),
    "float16": Case(pa.array([1.5, None, -0.25]).cast(pa.float16()), "float", [1.5, None, -0.25]),
    "float32": number(pa.float32(), "float", 1.5, -0.25),
    "float64": number(pa.float64(), "float", 0.1, -1e300),
    "bool": number(pa.bool_(), "boolean", True, False),
    "null": Case(pa.nulls(3), "string", [None, None, None]),
    "string": number(pa.string(), "string", "a", ""),
    "large_string": number(pa.large_string(), "string", "a", LONG),
    "string_view": number(pa.string_view(), "string", "a", LONG),
    "binary": Case(pa.array(BYTES, pa.binary()), "string", AS_TEXT),
    "binary of text": three(pa.binary(), b"a", "é".encode(), ("a", "é"), "string"),
    "large_binary": Case(pa.array(BYTES, pa.large_binary()), "string", AS_TEXT),
    "binary_view": Case(pa.array(BYTES, pa.binary_view()), "string", AS_TEXT),
    "fixed_size_binary": Case(pa.array(BYTES, pa.binary(4)), "string", AS_TEXT),
    "decimal32": three(pa.decimal32(7, 2), D("674.81"), D("-0.07"), (674.81, -0.07), "float"),
    "decimal64": three(pa.decimal64(18, 4), D("16042.055"), D("-0.1"), (16042.055, -0.1), "float"),
    "decimal128": three(pa.decimal128(38, 18), D("674912.81"), D("0.3"), (674912.81, 0.3), "float"),
    "decimal128 below 0": three(pa.decimal128(10, -2), D("12300"), D("-500"), (12300.0, -500.0), "float"),
    "decimal256": three(pa.decimal256(60, 20), D("2648.002"), D("1e30"), (2648.002, 1e30), "float"),
    "date32": three(pa.date32(), DAY, datetime.date(9999, 12, 31), (-86400000, 253402214400000), "date"),
    "date64": three(pa.date64(), DAY, datetime.date(2024, 1, 2), (-86400000, 1704153600000), "date"),
    **{f"timestamp {unit}": moment(pa.timestamp(unit)) for unit in ("s", "ms", "us", "ns")},
    "timestamp with a zone": moment(pa.timestamp("us", "America/New_York")),
    "timestamp below a millisecond": Case(
        pa.array([-1_500, 1_500, -999], pa.timestamp("us")), "datetime", [-1, 1, 0]
    ),
    "time32 s": Case(pa.array(CLOCK, pa.time32("s")), "string", ["10:30:00", None, "23:59:59"]),
    "time32 ms": Case(pa.array(CLOCK, pa.time32("ms")), "string", ["10:30:00", None, "23:59:59.250"]),
    "time64 us": Case(pa.array(CLOCK, pa.time64("us")), "string", ["10:30:00", None, "23:59:59.250"]),
    "time64 ns": Case(
        pa.array([1, None, 37_800_000_001_000], pa.time64("ns")),
        "string",
        ["00:00:00.000000001", None, "10:30:00.000001"],
    ),
    "duration s": three(pa.duration("s"), 3, -1, (3000, -1000), "integer"),
    "duration ms": three(pa.duration("ms"), 3, -1, (3, -1), "integer"),
    "duration us": three(pa.duration("us"), 3_999, -1_500, (3, -1), "integer"),
    "duration ns": three(pa.duration("ns"), 3_999_999, -1, (3, 0), "integer"),
    "interval": Case(SPANS, "string", ["P1Y2M3DT4H5M6.789S", None, "PT0S"]),
    "list": lists(pa.list_(pa.int64())),
    "large_list": lists(pa.large_list(pa.int64())),
    "fixed_size_list": lists(pa.list_(pa.int64(), 2)),
    "list_view": lists(pa.list_view(pa.int64())),
    "large_list_view": lists(pa.large_list_view(pa.int64())),
    "list of structs": Case(
        pa.array([[{"a": 1, "b": "p"}, {"a": 2, "b": None}], None], pa.list_(STRUCT)),
        None,
        {"x.a": [1, 2, None], "x.b": ["p", None, None]},
        columns={"x.a": "integer", "x.b": "string"},
        ids=[1, 1, 2],
    ),
    "struct": Case(
        pa.array([{"a": 1, "b": "p"}, None, {"a": None, "b": "q"}], STRUCT),
        None,
        {"x.a": [1, None, None], "x.b": ["p", None, "q"]},
        columns={"x.a": "integer", "x.b": "string"},
    ),
    "map": Case(
        pa.array([[("k", 1), ("l", None)], None, []], pa.map_(pa.string(), pa.int64())),
        "string",
        ['{"k":1,"l":null}', None, "{}"],
    ),
    "map of dates": Case(
        pa.array([[(1, [DAY])]], pa.map_(pa.int32(), pa.list_(pa.date32()))),
        "string",
        ['{"1":["1969-12-31"]}'],
    ),
    "sparse union": Case(union("sparse"), "string", ["7", '"a"', None]),
    "dense union": Case(union("dense"), "string", ["7", '"a"', None]),
    "dictionary of text": Case(coded(["a", None, "b"], pa.string()), "string", ["a", None, "b"]),
    "dictionary of large text": Case(
        coded(["a", None, "b"], pa.large_string(), pa.uint16()), "string", ["a", None, "b"]
    ),
    "dictionary with a null entry": Case(
        pa.DictionaryArray.from_arrays(pa.array([0, 1, None, 0]), pa.array(["a", None])),
        "string",
        ["a", None, None, "a"],
    ),
    "dictionary of integers": Case(coded([5, None, 6], pa.int64()), "integer", [5, None, 6]),
    "dictionary of booleans": Case(coded([True, None, False], pa.bool_()), "boolean", [True, None, False]),
    "dictionary of moments": Case(
        coded([MOMENT, None, OLD], pa.timestamp("us"), pa.uint8()), "datetime", [MOMENT_MS, None, OLD_MS]
    ),
    "dictionary of days": Case(coded([DAY, None], pa.date32()), "date", [-86400000, None]),
    "dictionary of decimals": Case(coded([D("0.3"), None], pa.decimal128(9, 1)), "float", [0.3, None]),
    "dictionary of bytes": Case(coded(BYTES, pa.binary()), "string", AS_TEXT),
    "runs of integers": Case(runs([1, None, 3], pa.int64()), "integer", [1, 1, None, None, 3, 3], is_old=False),
    "runs of text": Case(runs(["a", None], pa.string(), pa.int16()), "string", ["a", "a", None, None], is_old=False),
    "runs of moments": Case(runs([OLD], pa.timestamp("ms"), pa.int64()), "datetime", [OLD_MS, OLD_MS], is_old=False),
    "uuid": Case(pa.array([uuid.UUID(UUID).bytes, None], pa.uuid()), "string", [UUID, None]),
    "bool8": Case(
        pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, None, 0], pa.int8())),
        "boolean",
        [True, None, False],
    ),
    "json": Case(
        pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"a":1}', None])), "string", ['{"a":1}', None]
    ),
}


def ipc(case, file=False, **options):
    out = io.BytesIO()
    write = pa.ipc.new_file if file else pa.ipc.new_stream
    table = case.table()
    with write(out, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    return out.getvalue()


OLD_FORM = {"metadata_version": pa.ipc.MetadataVersion.V4, "use_legacy_format": True}

# How a column is written: the format's name, and the writer.
FORMS = {
    "stream": ("arrow", lambda case: ipc(case)),
    "stream lz4": ("arrow", lambda case: ipc(case, compression="lz4")),
    "file": ("arrow", lambda case: ipc(case, file=True)),
    "file zstd": ("arrow", lambda case: ipc(case, file=True, compression="zstd")),
    "old stream": ("arrow", lambda case: ipc(case, **OLD_FORM)),
    "old file": ("arrow", lambda case: ipc(case, file=True, **OLD_FORM)),
    "parquet": ("parquet", lambda case: as_parquet(case)),
}


def as_parquet(case):
    out = io.BytesIO()
    parquet.write_table(case.table(), out)
    return out.getvalue()


def written():
    """Every case in every form that can hold it: its names, the format, the bytes, the case."""
    for name, case in CASES.items():
        for form, (kind, write) in FORMS.items():
            if form.startswith("old") and not case.is_old:
                continue
            try:
                data = write(case)
            except (pa.ArrowException, OSError):
                # Parquet has no such type.
                assert form == "parquet", (name, form)
                continue
            yield name, form, kind, data, case
