"""Tables of a server, over Arrow Flight."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Literal, TypeAlias, get_args

import pyarrow as pa
import pyarrow.flight as flight

from proscenium._frames import Frame, to_arrow

#: What a load does with the rows that are there: `append` adds to them, `upsert` merges by the index, `replace` takes
#: their place in one step, `create` refuses a table that exists.
Mode: TypeAlias = Literal["append", "upsert", "replace", "create"]
#: How lists become rows: side by side, as all combinations, or not at all, as texts.
Lists: TypeAlias = Literal["zip", "cartesian", "stringify"]

#: Rows of one message.
_ROWS_A_MESSAGE = 65_536
#: Below this no bar is shown unless it is asked for.
_ROWS_WITH_PROGRESS = 200_000


class Table:
    """A table of a server. Making one sends nothing; the table need not exist.

    >>> import proscenium
    >>> with proscenium.serve() as server:
    ...     trades = server.table("trades")
    ...     trades.load({"id": [1, 2], "price": [1.5, 2.5]}, index="id")
    ...     trades.load([{"id": 2, "price": 3.5}], mode="upsert")
    ...     trades.read({"columns": ["price"], "sort": [["price", "desc"]]}).to_pydict()
    2
    1
    {'price': [3.5, 1.5]}
    """

    def __init__(self, url: str, name: str) -> None:
        """`url` is the server's Flight address, such as `grpc://127.0.0.1:8815`."""
        self.url = flight_address(url)
        self.name = name

    def __repr__(self) -> str:
        return f"proscenium.Table({self.url!r}, {self.name!r})"

    def load(
        self,
        frame: Frame,
        *,
        mode: Mode = "append",
        index: str | None = None,
        limit: int | None = None,
        lists: Lists | None = None,
        ignore_unknown: bool = False,
        progress: bool | None = None,
    ) -> int:
        """Sends a frame's rows and returns how many were applied, once they are visible.

        A table that does not exist is made, with the column `index` as its key or at most `limit` rows. Lists become
        rows as `lists` says (`zip` unless the table says otherwise). `progress` shows a bar (with tqdm, if it is installed); by default for 200,000 rows and more.

        Raises an error of `pyarrow` with the server's text if the rows are refused; it says how many are kept.
        """
        if mode not in get_args(Mode):
            raise ValueError(f"mode is one of {', '.join(get_args(Mode))}, not {mode!r}")
        rows = to_arrow(frame)
        order: dict[str, Any] = {"table": self.name, "mode": mode}
        order |= {"index": index} if index is not None else {}
        order |= {"limit": limit} if limit is not None else {}
        order |= {"lists": lists} if lists is not None else {}
        order |= {"ignore_unknown": True} if ignore_unknown else {}
        is_shown = rows.num_rows >= _ROWS_WITH_PROGRESS if progress is None else progress
        with flight.connect(self.url) as client, _bar(self.name, rows.num_rows, is_shown) as advance:
            return _put(client, json.dumps(order), rows, advance)

    def read(self, view: Mapping[str, Any] | None = None) -> pa.Table:
        """The rows; with `view`, a view configuration of Perspective's clients, those of the view.

        Raises `KeyError` if there is no such table.
        """
        ticket = {"table": self.name} | ({"view": dict(view)} if view is not None else {})
        with flight.connect(self.url) as client:
            try:
                return client.do_get(flight.Ticket(json.dumps(ticket).encode())).read_all()
            except pa.ArrowKeyError as error:
                raise KeyError(str(error)) from error


def read(url: str, table: str, view: Mapping[str, Any] | None = None) -> pa.Table:
    """The rows of a server's table, or of a view of it, as an Arrow table.

    >>> import proscenium
    >>> with proscenium.serve({"trades": {"symbol": ["a", "b", "a"], "price": [1.0, 2.0, 3.0]}}) as server:
    ...     proscenium.read(server.flight, "trades", {"columns": ["price"], "filter": [["symbol", "==", "a"]]}).to_pydict()
    {'price': [1.0, 3.0]}
    """
    return Table(url, table).read(view)


def table_names(url: str) -> list[str]:
    """The names of a server's tables."""
    with flight.connect(flight_address(url)) as client:
        return sorted(found.descriptor.path[0].decode() for found in client.list_flights())


def flight_address(url: str) -> str:
    """Checks that an address is one of Flight.

    >>> flight_address("http://127.0.0.1:8080")
    Traceback (most recent call last):
    ValueError: http://127.0.0.1:8080: tables are read and loaded over Arrow Flight, at an address such as grpc://127.0.0.1:8815
    """
    if not url.startswith(("grpc://", "grpc+tcp://", "grpc+tls://")):
        raise ValueError(
            f"{url}: tables are read and loaded over Arrow Flight, at an address such as grpc://127.0.0.1:8815"
        )
    return url


def _put(client: flight.FlightClient, order: str, rows: pa.Table, advance: Callable[[int], None]) -> int:
    writer, acknowledgements = client.do_put(flight.FlightDescriptor.for_command(order), rows.schema)
    applied = 0
    failure: list[BaseException] = []

    def receive() -> None:
        nonlocal applied
        try:
            while (message := acknowledgements.read()) is not None:
                count = json.loads(message.to_pybytes())["rows"]
                advance(count - applied)
                applied = count
        except BaseException as error:
            failure.append(error)

    # Received while rows are sent, so that the bar shows what the server has applied.
    receiver = threading.Thread(target=receive, name="proscenium acknowledgements", daemon=True)
    receiver.start()
    try:
        for batch in rows.to_batches(max_chunksize=_ROWS_A_MESSAGE):
            writer.write_batch(batch)
        writer.done_writing()
    except pa.ArrowException as error:
        # The server's reason, which the receiver has, says more than that the stream is broken.
        failure.append(error)
    receiver.join()
    try:
        writer.close()
    except pa.ArrowException as error:
        failure.append(error)
    if failure:
        raise failure[0]
    return applied


@contextmanager
def _bar(name: str, total: int, is_shown: bool) -> Iterator[Callable[[int], None]]:
    if is_shown:
        try:
            from tqdm.auto import tqdm
        except ImportError:
            pass
        else:
            with tqdm(total=total, desc=name, unit=" rows", unit_scale=True) as bar:
                yield bar.update
            return
    yield lambda _rows: None
