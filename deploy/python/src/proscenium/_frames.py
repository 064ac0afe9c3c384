"""Frames of pandas, polars, pyarrow and plain Python become Arrow tables."""

from typing import Any, TypeAlias

import pyarrow as pa

#: A frame of pandas or polars, a table, record batch or reader of pyarrow, anything else with Arrow's C stream
#: interface, a dict of columns, or a list of rows.
Frame: TypeAlias = Any


def to_arrow(frame: Frame) -> pa.Table:
    """Copies nothing that Arrow already holds.

    >>> to_arrow({"x": [1, 2]}).num_rows
    2
    >>> to_arrow([{"x": 1, "name": "ann"}]).column_names
    ['x', 'name']
    >>> to_arrow(7)
    Traceback (most recent call last):
    TypeError: a table is made from a frame of pandas, polars or pyarrow, a dict of columns or a list of rows, not from int
    """
    if isinstance(frame, pa.Table):
        return frame
    if isinstance(frame, pa.RecordBatch):
        return pa.Table.from_batches([frame])
    if isinstance(frame, pa.RecordBatchReader):
        return frame.read_all()
    if isinstance(frame, dict):
        return pa.table(frame)
    if isinstance(frame, list):
        return pa.Table.from_pylist(frame)
    if _is_pandas(frame):
        return _from_pandas(frame)
    if hasattr(frame, "__arrow_c_stream__") and hasattr(frame, "columns"):
        return pa.RecordBatchReader.from_stream(frame).read_all()
    raise TypeError(
        "a table is made from a frame of pandas, polars or pyarrow, a dict of columns or a list of rows, "
        f"not from {type(frame).__name__}"
    )


def _is_pandas(frame: Frame) -> bool:
    return type(frame).__module__.partition(".")[0] == "pandas" and hasattr(frame, "columns")


def _from_pandas(frame: Frame) -> pa.Table:
    """Named levels of the index are columns; unnamed ones only number the rows and are left out."""
    named = [name for name in frame.index.names if name is not None]
    unnamed = [level for level, name in enumerate(frame.index.names) if name is None]
    if named and unnamed:
        frame = frame.reset_index(level=unnamed, drop=True)
    return pa.Table.from_pandas(frame, preserve_index=bool(named)).replace_schema_metadata(None)
