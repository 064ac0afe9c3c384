// The HTTP endpoints, as a script would use them.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { connect, freshName, startServer } from "./harness.mjs";

let server;

before(async () => {
    server = await startServer("--demo");
});

after(() => server?.stop());

const get = (path, options) => fetch(`${server.http}${path}`, options);

test("health, readiness and metrics are there", async () => {
    assert.equal((await get("/health/live")).status, 200);
    assert.equal((await get("/health/ready")).status, 200);
    const metrics = await get("/metrics");
    assert.match(metrics.headers.get("content-type"), /text\/plain/);
    assert.match(await metrics.text(), /^# TYPE proscenium_\w+ (counter|gauge|histogram)$/m);
});

test("a table is uploaded, listed, downloaded, added to, and deleted", async () => {
    const path = `/api/v1/tables/${freshName("upload")}`;
    const csv = { method: "PUT", headers: { "content-type": "text/csv" }, body: "id,name\n1,ann\n2,bob\n" };
    assert.ok((await get(`${path}?index=id`, csv)).ok);
    const listed = await (await get("/api/v1/tables")).text();
    assert.ok(listed.includes(path.split("/").at(-1)), listed);
    const more = { method: "POST", headers: { "content-type": "application/json" }, body: '[{"id":2,"name":"bo"}]' };
    assert.ok((await get(path, more)).ok);
    assert.deepEqual(await (await get(path)).json(), [
        { id: 1, name: "ann" },
        { id: 2, name: "bo" },
    ]);
    assert.match(await (await get(`${path}?format=csv`)).text(), /^"id","name"\r?\n1,"ann"\r?\n2,"bo"\r?\n?$/);
    assert.ok((await get(path, { method: "DELETE" })).ok);
    assert.equal((await get(path)).status, 404);
});

test("what HTTP uploads a WebSocket client sees", async () => {
    const name = freshName("seen");
    const json = { method: "PUT", headers: { "content-type": "application/json" }, body: '[{"x":1},{"x":2}]' };
    assert.ok((await get(`/api/v1/tables/${name}`, json)).ok);
    const client = await connect(server);
    try {
        assert.equal(await (await client.open_table(name)).size(), 2);
    } finally {
        await client.terminate();
    }
});

test("a bad upload gets an error that names its cause and creates nothing", async () => {
    const path = `/api/v1/tables/${freshName("bad")}`;
    const bad = { method: "PUT", headers: { "content-type": "application/json" }, body: "[{" };
    const answer = await get(path, bad);
    assert.equal(answer.status, 400);
    assert.ok((await answer.text()).length > 0);
    assert.equal((await get(path)).status, 404);
});

test("the page and the engine are served, compressed for those who take it", async () => {
    const page = await get("/");
    assert.match(page.headers.get("content-type"), /text\/html/);
    assert.match(await page.text(), /<title>Proscenium<\/title>/);
    const module = await get("/engine/engine_bg.wasm", { headers: { "accept-encoding": "br" } });
    assert.equal(module.headers.get("content-type"), "application/wasm");
    assert.equal(module.headers.get("content-encoding"), "br");
    assert.ok(await WebAssembly.compile(await module.arrayBuffer()));
    assert.equal((await get("/no/such/file")).status, 404);
});
