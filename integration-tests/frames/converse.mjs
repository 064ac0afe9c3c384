// Makes every call of the published JavaScript client once: `node converse.mjs ws://…`. Recorded by record.py.

import perspective from "@perspective-dev/client";

const ROWS = [
    { id: 1, g: "x", v: 1.5 },
    { id: 2, g: "y", v: 2.5 },
];
const WINDOW = { column: "v", aggregate: "sum", partition_by: ["g"], order_by: ["id", "desc"], rows: 2 };
const CONFIG = {
    columns: ["v", "e", "w"],
    group_by: ["g"],
    split_by: ["id"],
    filter: [
        ["v", ">", 0.5],
        ["g", "in", ["x", "y"]],
    ],
    sort: [
        ["v", "desc"],
        ["id", "col asc abs"],
    ],
    expressions: { e: '"v" * 2' },
    aggregates: { v: ["max by", ["id"]] },
    windows: { w: WINDOW },
    group_by_depth: 1,
    group_rollup_mode: "rollup",
    split_rollup_mode: "rollup",
    filter_op: "or",
};
const PORT = { start_row: 0, end_row: 5, start_col: 0, end_col: 3 };
const ignore = () => {};

const client = await perspective.websocket(process.argv[2]);
const hosted = await client.on_hosted_tables_update(ignore);
await client.system_info();
const table = await client.table(ROWS, { name: "t", index: "id" });
await client.table({ id: "integer", n: "string" }, { name: "s", limit: 5 });
const right = await client.table({ id: [1, 2], z: [null, true] }, { name: "r", index: "id" });
const csv = await client.table("a,b\n1,x\n", { name: "c" });
await client.join(table, right, "id", { join_type: "left", name: "j" });
await client.get_hosted_table_names();
await client.remove_hosted_tables_update(hosted);
await table.schema();
await table.size();
await table.columns();
const port = await table.make_port();
await table.validate_expressions({ e: '"v" + 1' });
const gone = await table.on_delete(ignore);
await table.remove_delete(gone);
const view = await table.view(CONFIG);
const updates = await view.on_update(ignore, { mode: "row" });
await view.on_update(ignore);
const removed = await view.on_remove?.(ignore);
const deleted = await view.on_delete(ignore);
await table.update(ROWS, { port_id: port });
await table.update("id,g\n3,z\n");
await table.remove([2]);
await table.replace(ROWS);
await view.schema();
await view.expression_schema();
await view.dimensions();
await view.get_config();
await view.column_paths();
await view.get_min_max("v");
await view.expand(0);
await view.collapse(0);
await view.set_depth(1);
const options = { ...PORT, id: true, index: true, formatted: true };
await view.to_columns(options);
await view.to_json(options);
await view.to_ndjson(options);
await view.to_csv(PORT);
await view.to_arrow({ ...PORT, compression: "lz4" });
if (view.with_typed_arrays) {
    // The calls by which charts read.
    await view.with_typed_arrays(PORT, ignore);
}
await view.remove_update(updates);
if (removed !== undefined) {
    await (view.remove_on_remove ?? view.remove_remove).call(view, removed);
}
await view.remove_delete(deleted);
const flat = await table.view({ columns: ["id", "v"] });
await client.table(flat, { name: "d" });
await view.delete();
await table.clear();
await csv.delete();
await (await client.open_table("s")).delete({ lazy: true });
await client.terminate();
process.exit(0);
