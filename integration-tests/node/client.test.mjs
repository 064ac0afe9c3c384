// The published JavaScript client (the old protocol generation) on the real server.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { tableFromArrays, tableFromIPC, tableToIPC, Utf8, vectorFromArray } from "apache-arrow";

import { connect, expectCall, freshName, startServer } from "./harness.mjs";

let server;
let client;

before(async () => {
    server = await startServer();
    client = await connect(server);
});

after(async () => {
    await client?.terminate();
    await server?.stop();
});

const ROWS = [
    { id: 1, region: "north", product: "tea", amount: 10, price: 1.5 },
    { id: 2, region: "south", product: "tea", amount: 20, price: 2.5 },
    { id: 3, region: "north", product: "rye", amount: 30, price: 3.5 },
    { id: 4, region: "south", product: "rye", amount: 40, price: 4.5 },
    { id: 5, region: "north", product: "tea", amount: 50, price: 5.5 },
];
const SCHEMA = { id: "integer", region: "string", product: "string", amount: "integer", price: "float" };

async function orders(options = { index: "id" }) {
    return client.table(ROWS, { name: freshName("orders"), ...options });
}

/** Opens a view, reads it once, and closes it. */
async function ask(table, config, question = (view) => view.to_json()) {
    const view = await table.view(config);
    try {
        return await question(view);
    } finally {
        await view.delete();
    }
}

test("a table is made from rows, columns, CSV, NDJSON, Arrow and a schema", async () => {
    const columns = { x: [1, 2, 3], y: ["a", "b", "c"] };
    const arrow = tableToIPC(
        tableFromArrays({ x: Int32Array.from(columns.x), y: vectorFromArray(columns.y, new Utf8()) }),
        "stream",
    );
    const sources = [
        ["rows", [{ x: 1, y: "a" }, { x: 2, y: "b" }, { x: 3, y: "c" }], {}],
        ["columns", columns, {}],
        ["CSV", "x,y\n1,a\n2,b\n3,c\n", {}],
        ["NDJSON", '{"x":1,"y":"a"}\n{"x":2,"y":"b"}\n{"x":3,"y":"c"}\n', { format: "ndjson" }],
        ["Arrow", arrow, {}],
    ];
    for (const [kind, data, options] of sources) {
        const table = await client.table(data, { name: freshName(), ...options });
        assert.deepEqual(await table.schema(), { x: "integer", y: "string" }, kind);
        assert.equal(await table.size(), 3, kind);
        assert.deepEqual(await ask(table, {}, (view) => view.to_columns()), columns, kind);
    }
    const empty = await client.table(SCHEMA, { name: freshName() });
    assert.deepEqual(await empty.schema(), SCHEMA);
    assert.deepEqual(await empty.columns(), Object.keys(SCHEMA));
    assert.equal(await empty.size(), 0);
});

test("a table is found by its name, with its index and limit", async () => {
    const name = freshName("named");
    await client.table(SCHEMA, { name, index: "id" });
    const opened = await client.open_table(name);
    assert.equal(await opened.get_index(), "id");
    assert.ok((await client.get_hosted_table_names()).includes(name));
    await assert.rejects(client.open_table("nowhere"), /nowhere/);
    await assert.rejects(client.table(SCHEMA, { name }), /already exists/);
});

test("an indexed table merges rows with the same key, and lists them in key order", async () => {
    const table = await client.table(SCHEMA, { name: freshName(), index: "id" });
    await table.update([ROWS[2], ROWS[0]]);
    await table.update([{ id: 3, amount: 31 }]);
    assert.deepEqual(await ask(table, { columns: ["id", "region", "amount"] }), [
        { id: 1, region: "north", amount: 10 },
        { id: 3, region: "north", amount: 31 },
    ]);
});

test("a limited table keeps the last rows", async () => {
    const table = await client.table({ x: "integer" }, { name: freshName(), limit: 3 });
    for (let x = 0; x < 5; x += 1) {
        await table.update([{ x }]);
    }
    assert.deepEqual(await ask(table, {}, (view) => view.to_columns()), { x: [2, 3, 4] });
});

test("a view is flat, sorted, filtered, and windowed", async () => {
    const table = await orders();
    assert.deepEqual(await ask(table, {}), ROWS);
    const sorted = await ask(table, { columns: ["id"], sort: [["product", "asc"], ["amount", "desc"]] });
    assert.deepEqual(sorted.map((row) => row.id), [4, 3, 5, 2, 1]);
    const filtered = await ask(table, { columns: ["id"], filter: [["region", "==", "north"], ["amount", ">", 10]] });
    assert.deepEqual(filtered.map((row) => row.id), [3, 5]);
    const page = await ask(table, { columns: ["id"] }, (view) => view.to_json({ start_row: 1, end_row: 3 }));
    assert.deepEqual(page.map((row) => row.id), [2, 3]);
    const dimensions = await ask(table, { columns: ["id", "price"] }, (view) => view.dimensions());
    assert.equal(dimensions.num_view_rows, 5);
    assert.equal(dimensions.num_view_columns, 2);
});

const AGGREGATES = [
    ["sum", "amount", [150, 90, 60]],
    ["count", "amount", [5, 3, 2]],
    ["avg", "price", [3.5, 3.5, 3.5]],
    ["min", "price", [1.5, 1.5, 2.5]],
    ["max", "price", [5.5, 5.5, 4.5]],
    ["any", "region", ["north", "north", "south"]],
];
for (const [aggregate, column, expected] of AGGREGATES) {
    test(`a grouped view computes ${aggregate}`, async () => {
        const table = await orders();
        const config = { group_by: ["region"], columns: [column], aggregates: { [column]: aggregate } };
        const got = await ask(table, config, (view) => view.to_columns());
        assert.deepEqual(got.__ROW_PATH__, [[], ["north"], ["south"]]);
        // The total of "any" may be any value.
        const from = aggregate === "any" ? 1 : 0;
        assert.deepEqual(got[column].slice(from), expected.slice(from));
    });
}

test("a view is grouped by two columns", async () => {
    const table = await orders();
    const rows = await ask(table, { group_by: ["region", "product"], columns: ["amount"] });
    assert.deepEqual(
        rows.map((row) => [row.__ROW_PATH__, row.amount]),
        [
            [[], 150],
            [["north"], 90],
            [["north", "rye"], 30],
            [["north", "tea"], 60],
            [["south"], 60],
            [["south", "rye"], 40],
            [["south", "tea"], 20],
        ],
    );
});

test("a view is split into columns", async () => {
    const table = await orders();
    const columns = await ask(table, { group_by: ["region"], split_by: ["product"], columns: ["amount"] }, (view) =>
        view.to_columns(),
    );
    assert.deepEqual(columns["rye|amount"], [70, 30, 40]);
    assert.deepEqual(columns["tea|amount"], [80, 60, 20]);
});

test("a view is read as CSV and as Arrow", async () => {
    const table = await orders();
    const csv = await ask(table, { columns: ["id", "region"] }, (view) => view.to_csv());
    assert.deepEqual(csv.trim().split(/\r?\n/).slice(0, 3), ['"id","region"', '1,"north"', '2,"south"']);
    const arrow = await ask(table, {}, (view) => view.to_arrow());
    const rows = tableFromIPC(new Uint8Array(arrow)).toArray().map((row) => ({ ...row.toJSON() }));
    assert.deepEqual(rows, ROWS);
});

test("a pivot has the names and sums that clients of its generation know", async () => {
    const table = await client.table({ region: ["a", "b"], amount: [null, 2] }, { name: freshName("sums") });
    const config = { group_by: ["region"], columns: ["amount", "region"] };
    const csv = await ask(table, config, (view) => view.to_csv());
    assert.equal(csv.split("\n")[0], '"region (Group by 1)","amount","region"');
    assert.deepEqual(await ask(table, config, (view) => view.to_columns()), {
        __ROW_PATH__: [[], ["a"], ["b"]],
        amount: [2, 0, 2],
        region: [2, 1, 1],
    });
});

test("what a view wrote as Arrow makes an equal table", async () => {
    const table = await orders();
    const copy = await client.table(await ask(table, {}, (view) => view.to_arrow()), { name: freshName("copy") });
    assert.deepEqual(await copy.schema(), SCHEMA);
    assert.deepEqual(await ask(copy, {}), ROWS);
});

test("rows are removed, replaced and cleared", async () => {
    const table = await orders();
    const view = await table.view({ columns: ["id"] });
    await table.remove([2, 4]);
    assert.deepEqual((await view.to_columns()).id, [1, 3, 5]);
    await table.replace([ROWS[3]]);
    assert.deepEqual((await view.to_columns()).id, [4]);
    await table.clear();
    assert.equal(await table.size(), 0);
    assert.deepEqual(await table.schema(), SCHEMA);
    await view.delete();
});

test("a grouped view follows its table", async () => {
    const table = await orders();
    const view = await table.view({ group_by: ["region"], columns: ["amount"] });
    await table.update([{ id: 1, amount: 11 }, { id: 6, region: "west", amount: 5 }]);
    assert.deepEqual((await view.to_columns()).amount, [156, 91, 60, 5]);
    await table.update([{ id: 6, region: "north" }]);
    assert.deepEqual((await view.to_columns()).amount, [156, 96, 60]);
    await table.remove([6]);
    assert.deepEqual((await view.to_columns()).amount, [151, 91, 60]);
    await view.delete();
});

test("a subscriber gets the changed rows, with the port they came through", async () => {
    const table = await orders();
    const view = await table.view();
    const port = await table.make_port();
    const { promise, called } = expectCall();
    await view.on_update(called, { mode: "row" });
    await table.update([{ id: 2, amount: 21 }], { port_id: port });
    const news = await promise;
    assert.equal(news.port_id, port);
    const [row] = tableFromIPC(new Uint8Array(news.delta)).toArray();
    assert.deepEqual({ ...row.toJSON() }, { ...ROWS[1], amount: 21 });
    await view.delete();
});

test("a subscriber is notified before the reply to a later request", async () => {
    const table = await orders();
    const view = await table.view();
    let received = 0;
    await view.on_update(() => (received += 1));
    await table.update([{ id: 2, amount: 22 }]);
    await table.size();
    assert.equal(received, 1);
    await view.delete();
});

test("a failing request names its cause and changes nothing", async () => {
    const table = await orders();
    await assert.rejects(table.view({ columns: ["nope"] }), /nope/);
    await assert.rejects(table.view({ group_by: ["nope"] }), /nope/);
    await assert.rejects(table.update([{ id: "seven" }]), /id/);
    assert.deepEqual(await ask(table, {}), ROWS);
});

test("a table is deleted when its views are gone", async () => {
    const table = await orders();
    const name = await table.get_name();
    const view = await table.view();
    // The client invalidates an object with `delete`, even if that fails.
    await assert.rejects(table.delete(), /views/);
    await view.delete();
    const again = await client.open_table(name);
    const { promise, called } = expectCall();
    await (await client.open_table(name)).on_delete(called);
    await again.delete();
    await promise;
    await assert.rejects(client.open_table(name), /Unknown table/);
});

test("two clients see each other's tables and updates", async () => {
    const other = await connect(server);
    try {
        const { promise: listed, called: onList } = expectCall();
        await other.on_hosted_tables_update(onList);
        // Subscribing has no reply; the one to a later request shows that the server has handled it.
        await other.get_hosted_table_names();
        const mine = await orders();
        await listed;
        const theirs = await other.open_table(await mine.get_name());
        const view = await theirs.view({ group_by: ["region"], columns: ["amount"] });
        const { promise, called } = expectCall();
        await view.on_update(called);
        await view.num_rows();
        await mine.update([{ id: 1, amount: 1010 }]);
        await promise;
        assert.deepEqual((await view.to_columns()).amount, [1150, 1090, 60]);
        await theirs.update([{ id: 1, amount: 10 }]);
        assert.deepEqual(await ask(mine, {}), ROWS);
    } finally {
        await other.terminate();
    }
});

test("a closed connection frees its views", async () => {
    const other = await connect(server);
    const mine = await orders();
    const name = await mine.get_name();
    await (await other.open_table(name)).view();
    await assert.rejects(mine.delete(), /views/);
    // Waits for the last view to close, which happens when the server notices the closed connection.
    const deleted = (await client.open_table(name)).delete({ lazy: true });
    await other.terminate();
    await deleted;
    assert.ok(!(await client.get_hosted_table_names()).includes(name));
});
