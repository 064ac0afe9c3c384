"""Scripts as requests, responses as plain values.

Invariant: a script is a list of requests in protobuf's JSON form, so that it can be printed, shrunk and kept. Arrow
data is written as columns (`{"fromArrow": [[name, type, values], ...]}`) and encoded here.
"""

import base64
import importlib
import io
import json
import pathlib
import sys
import tempfile

import pyarrow as pa
from google.protobuf import json_format

# The generation of clients on both sides.
GENERATION = "5.6"
_ROOT = pathlib.Path(__file__).resolve().parents[2]
_TYPES = {
    "integer": pa.int32(),
    "float": pa.float64(),
    "string": pa.string(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("ms"),
    # Types that only Arrow knows, for tables made of other kinds.
    "int8": pa.int8(),
    "int64": pa.int64(),
    "uint8": pa.uint8(),
    "uint16": pa.uint16(),
    "float32": pa.float32(),
    "large_string": pa.large_string(),
    "dictionary": pa.dictionary(pa.int8(), pa.string()),
    "null": pa.null(),
    "date64": pa.date64(),
    "timestamp[s]": pa.timestamp("s"),
    "timestamp[us]": pa.timestamp("us"),
    "timestamp[ns]": pa.timestamp("ns"),
}
SUBSCRIPTIONS = ("view_on_update_req", "view_on_remove_req", "view_on_delete_req", "table_on_delete_req")
WRITES = ("make_table_req", "make_join_table_req", "table_update_req", "table_replace_req", "table_remove_req")
DELETES = ("table_delete_req", "view_delete_req")


def _compile():
    from grpc_tools import protoc

    protos = _ROOT / "proto" / "protos"
    include = pathlib.Path(protoc.__file__).parent / "_proto"
    with tempfile.TemporaryDirectory(prefix="proscenium-proto-") as folder:
        code = protoc.main(
            ["protoc", f"-I{protos}", f"-I{include}", f"--python_out={folder}", str(protos / "perspective.proto")]
        )
        if code != 0:
            raise RuntimeError("the protocol does not compile")
        sys.path.insert(0, folder)
        module = importlib.import_module("perspective_pb2")
        sys.path.remove(folder)
        return module


proto = _compile()


def _arrow_type(kind):
    """`list<integer>`, `struct<a:integer,b:string>`, or one of the plain kinds."""
    if kind.startswith("list<"):
        return pa.list_(_arrow_type(kind[5:-1]))
    if kind.startswith("struct<"):
        fields = [field.split(":") for field in kind[7:-1].split(",")]
        return pa.struct([(name, _arrow_type(inner)) for name, inner in fields])
    return _TYPES[kind]


TEXTS_AS_BYTES = [
    field.json_name
    for field in proto.MakeTableData.DESCRIPTOR.fields
    if field.type == field.TYPE_BYTES and field.name in ("from_csv", "from_rows", "from_cols", "from_ndjson")
]


def arrow_bytes(columns):
    """An IPC stream of `[[name, type, values], ...]`; dates and datetimes are epoch days and milliseconds."""
    arrays = [pa.array(values, type=_arrow_type(kind)) for _, kind, values in columns]
    table = pa.table(arrays, names=[name for name, _, _ in columns])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


def request(step, msg_id):
    """The message of one step."""
    step = json.loads(json.dumps(step))
    step.pop("session", None)
    for body in step.values():
        data = body.get("data") if isinstance(body, dict) else None
        if not isinstance(data, dict):
            continue
        if "fromArrow" in data:
            data["fromArrow"] = base64.b64encode(arrow_bytes(data["fromArrow"])).decode()
        if "fromArrowBytes" in data:
            data["fromArrow"] = base64.b64encode(data.pop("fromArrowBytes").encode()).decode()
        # Texts that our protocol file declares as bytes are base64 in JSON.
        for text in TEXTS_AS_BYTES:
            if text in data:
                data[text] = base64.b64encode(data[text].encode()).decode()
    message = json_format.ParseDict(step, proto.Request())
    message.msg_id = msg_id
    return message


def _pairs(text):
    """JSON with objects as lists of pairs: key order and repeated keys are compared, too."""
    return json.loads(text, object_pairs_hook=lambda pairs: {"pairs": [list(pair) for pair in pairs]})


def _arrow(data):
    table = pa.ipc.open_stream(data).read_all()
    fields, columns = [], []
    for field, column in zip(table.schema, table.columns):
        kind = field.type.value_type if pa.types.is_dictionary(field.type) else field.type
        values = column.combine_chunks() if column.num_chunks != 1 else column.chunk(0)
        if pa.types.is_dictionary(field.type):
            values = values.dictionary_decode()
        if pa.types.is_date32(kind):
            values = values.cast(pa.int32())
        elif pa.types.is_timestamp(kind):
            values = values.cast(pa.int64())
        fields.append([field.name, str(kind)])
        columns.append(values.to_pylist())
    return {"fields": fields, "columns": columns, "rows": table.num_rows}


def _scalar(scalar):
    which = scalar.WhichOneof("scalar")
    return None if which in (None, "null") else getattr(scalar, which)


def plain(response):
    """A response as `[kind, value]`, decoded as far as comparison needs."""
    kind = response.WhichOneof("client_resp")
    if kind is None:
        return ["nothing", None]
    body = getattr(response, kind)
    kind = kind.removesuffix("_resp")
    if kind == "server_error":
        return ["error", {"status": body.status_code, "text": body.message}]
    if kind in ("view_to_columns_string", "view_to_rows_string"):
        return [kind, _pairs(body.json_string)]
    if kind == "view_to_ndjson_string":
        return [kind, [_pairs(line) for line in body.ndjson_string.split("\n") if line]]
    if kind == "view_to_csv":
        return [kind, body.csv]
    if kind == "view_to_arrow":
        return [kind, _arrow(body.arrow)]
    if kind == "view_column_paths" and GENERATION == "5.5":
        return [kind, list(body.paths)]
    if kind == "view_column_paths":
        return [kind, [[_scalar(value) for value in level.values] for level in body.area]]
    if kind == "view_get_min_max":
        return [kind, [_scalar(body.min), _scalar(body.max)]]
    if kind == "get_hosted_tables":
        # The reference engine gives derived tables the maximum limit.
        return [kind, sorted([each.entity_id, each.index, each.limit % (2**32 - 1)] for each in body.table_infos)]
    if kind == "view_on_update":
        delta = _arrow(body.delta) if body.HasField("delta") else None
        return [kind, {"port": body.port_id, "delta": delta}]
    if kind == "view_on_remove":
        keys = _arrow(body.indices) if body.HasField("indices") else None
        return [kind, {"port": body.port_id, "keys": keys}]
    return [kind, json_format.MessageToDict(body)]


def outcome(number, asking, responses):
    """The outcome of a step, from `(session, response)` in order of arrival."""
    is_answer = [session == asking and response.msg_id == number for session, response in responses]
    answer = [plain(response) for (_, response), mine in zip(responses, is_answer) if mine]
    news = [[r.msg_id, *plain(r), session] for (session, r), mine in zip(responses, is_answer) if not mine]
    return {"answer": answer, "news": news, "order": [[session, r.msg_id] for session, r in responses]}
