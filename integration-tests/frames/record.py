"""Records what the published clients send: `python record.py --binary target/debug/proscenium`.

Writes `proto/tests/golden/{python-5.6.1,javascript-5.5.1}.txt`, one frame per line. Run by hand for a new release of a
client; `proto/tests/recorded.rs` reads the files in every test run.
"""

import argparse
import asyncio
import pathlib
import subprocess

import perspective
import websockets

HERE = pathlib.Path(__file__).resolve().parent
GOLDEN = HERE.parents[1] / "proto" / "tests" / "golden"
ROWS = [{"id": 1, "g": "x", "v": 1.5}, {"id": 2, "g": "y", "v": 2.5}]
WINDOW = {"column": "v", "aggregate": "sum", "partition_by": ["g"], "order_by": ["id", "desc"], "rows": 2}
CONFIG = {
    "columns": ["v", "e", "w"],
    "group_by": ["g"],
    "split_by": ["id"],
    "filter": [["v", ">", 0.5], ["g", "in", ["x", "y"]]],
    "sort": [["v", "desc"], ["id", "col asc abs"]],
    "expressions": {"e": '"v" * 2'},
    "aggregates": {"v": ["max by", ["id"]]},
    "windows": {"w": WINDOW},
    "group_by_depth": 1,
    "group_rollup_mode": "rollup",
    "split_rollup_mode": "rollup",
    "filter_op": "or",
}
PORT = {"start_row": 0, "end_row": 5, "start_col": 0, "end_col": 3}


def ignore(*_arguments, **_named):
    pass


async def talk(client):
    """Every call of the Python client, once."""
    hosted = await client.on_hosted_tables_update(ignore)
    await client.system_info()
    table = await client.table(ROWS, name="t", index="id")
    await client.table({"id": "integer", "n": "string"}, name="s", limit=5)
    await client.table({"id": [1, 2], "z": [None, True]}, name="r", index="id")
    await client.table("a,b\n1,x\n", name="c")
    await client.join(table, await client.open_table("r"), "id", join_type="left", name="j")
    await client.get_hosted_table_names()
    await client.remove_hosted_tables_update(hosted)
    await table.schema(), await table.size(), await table.columns()
    port = await table.make_port()
    await table.validate_expressions({"e": '"v" + 1', "bad": '"q"'})
    gone = await table.on_delete(ignore)
    await table.remove_delete(gone)
    view = await table.view(**CONFIG)
    updates = await view.on_update(ignore, mode="row")
    await view.on_update(ignore)
    removed = await view.on_remove(ignore)
    deleted = await view.on_delete(ignore)
    await table.update(ROWS, port_id=port)
    await table.update("id,g\n3,z\n")
    await table.remove([2])
    await table.replace(ROWS)
    await view.schema(), await view.expression_schema(), await view.dimensions(), await view.get_config()
    await view.column_paths({}), await view.get_min_max("v")
    await view.expand(0), await view.collapse(0)
    window = PORT | {"id": True, "index": True, "formatted": True}
    await view.to_columns_string(**window), await view.to_json_string(window), await view.to_ndjson(window)
    await view.to_csv(**PORT)
    await view.to_arrow(**PORT, compression="lz4")
    await view.to_arrow(machine_column_names=True)
    await view.remove_update(updates)
    await view.remove_remove(removed)
    await view.remove_delete(deleted)
    flat = await table.view(columns=["id", "v"])
    await client.table(flat, name="d")
    await view.delete()
    await table.clear()
    await (await client.open_table("c")).delete()
    await (await client.open_table("s")).delete(lazy=True)


async def python(url):
    frames = []
    async with websockets.connect(url, max_size=None) as socket:

        async def send(message):
            frames.append(bytes(message))
            await socket.send(bytes(message))

        client = perspective.AsyncClient(send)

        async def pump():
            async for message in socket:
                await client.handle_response(message)

        task = asyncio.create_task(pump())
        try:
            await asyncio.wait_for(talk(client), 60)
        finally:
            task.cancel()
    return frames


async def javascript(url):
    """Records the frames of `converse.mjs`."""
    frames = []

    async def overhear(client):
        async with websockets.connect(url, max_size=None) as server:

            async def forth():
                async for message in client:
                    frames.append(message)
                    await server.send(message)

            async def back():
                async for message in server:
                    await client.send(message)

            tasks = [asyncio.create_task(each()) for each in (forth, back)]
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async with websockets.serve(overhear, "127.0.0.1", 0, max_size=None) as proxy:
        port = proxy.sockets[0].getsockname()[1]
        child = await asyncio.create_subprocess_exec("node", str(HERE / "converse.mjs"), f"ws://127.0.0.1:{port}/websocket")
        if await asyncio.wait_for(child.wait(), 60) != 0:
            raise SystemExit("the JavaScript client broke off")
    return frames


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--binary", required=True)
    options = parser.parse_args()
    for name, record in (("python-5.6.1", python), ("javascript-5.5.1", javascript)):
        command = [options.binary, "serve", "--listen", "127.0.0.1:0", "--no-flight"]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        try:
            for line in child.stdout:
                if line.startswith("listening http://"):
                    url = line.strip().replace("listening http", "ws") + "/websocket"
                if line.startswith("ready"):
                    break
            frames = asyncio.run(record(url))
        finally:
            child.terminate()
            child.wait(20)
        (GOLDEN / f"{name}.txt").write_text("".join(frame.hex() + "\n" for frame in frames))
        print(f"{name}: {len(frames)} frames")


if __name__ == "__main__":
    main()
