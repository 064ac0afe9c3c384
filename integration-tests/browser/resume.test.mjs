// A viewer in a plain web page, on the client that `connect` returns: it survives breaks and restarts of its server.

import assert from "node:assert/strict";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { connect as connectPlainly, startServer } from "../node/harness.mjs";
import { gridCells, gridUntil, keepPicture, launch } from "./browser.mjs";

let browser;
let folder;
let server;

before(async () => {
    browser = await launch();
    folder = await mkdtemp(join(tmpdir(), "proscenium-resume-"));
    server = await startServer("--data", folder);
});

after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
});

const PLAIN = `<!doctype html><html lang="en"><title>plain</title>
<link rel="stylesheet" href="/perspective/charts/viewer.css">
<style>perspective-viewer { position: absolute; inset: 0 }</style>
<body><perspective-viewer></perspective-viewer>
<script type="module">
    import { perspective } from "/page/perspective.js";
    import { connect, connectionOf } from "/js/connect.js";
    window.states = [];
    const url = location.origin.replace("http", "ws") + "/websocket";
    const client = await connect(url, { perspective, onState: (state) => states.push(state), onGone: () => states.push("gone") });
    window.client = client;
    window.connection = connectionOf(client);
    window.ready = true;
</script>`;

/** A page of somebody else, with a viewer on the table. */
async function openPlain(config) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 600 } });
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    const faults = [];
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => message.type() === "error" && faults.push(message.text()));
    await page.route("**/plain.html", (route) => route.fulfill({ contentType: "text/html", body: PLAIN }));
    await page.goto(`${server.http}/plain.html`);
    await page.waitForFunction(() => window.ready);
    await page.evaluate(async (config) => {
        const viewer = document.querySelector("perspective-viewer");
        await viewer.load(await client.open_table("trades"));
        await viewer.restore(config);
    }, config);
    return { page, faults };
}

/** Writes by another client. */
async function write(rows) {
    const client = await connectPlainly(server);
    const table = await client.open_table("trades");
    await table.update(rows);
    await client.terminate();
}

const connectionErrors = /WebSocket connection to|ERR_CONNECTION_REFUSED/;

test("a viewer survives a break and a restart of its server without a click", async () => {
    const owner = await connectPlainly(server);
    await owner.table([{ id: 1, desk: "fx", v: 5 }, { id: 2, desk: "eq", v: 7 }], { name: "trades", index: "id" });
    await owner.terminate();
    const layout = { plugin: "Datagrid", group_by: ["desk"], columns: ["v"], title: "kept" };
    const { page, faults } = await openPlain(layout);
    await gridUntil(page, (cells) => cells.some((row) => row.includes("7")));

    // The connection breaks; rows change meanwhile.
    await page.context().setOffline(true);
    await page.evaluate(() => connection.break());
    await page.waitForFunction(() => connection.state !== "online");
    await write([{ id: 2, desk: "eq", v: 70 }]);
    await page.context().setOffline(false);
    await page.waitForFunction(() => connection.state === "online");
    await gridUntil(page, (cells) => cells.some((row) => row.includes("70")));
    assert.deepEqual(await page.evaluate(() => states.includes("gone")), false);

    // The server stands still for a while.
    process.kill(server.pid, "SIGSTOP");
    await page.evaluate(() => connection.break());
    await page.waitForFunction(() => connection.state !== "online");
    process.kill(server.pid, "SIGCONT");
    await write([{ id: 2, desk: "eq", v: 80 }]);
    await gridUntil(page, (cells) => cells.some((row) => row.includes("80")));

    // The server ends for good, and another one has its tables.
    const address = server.http.replace("http://", "");
    process.kill(server.pid, "SIGKILL");
    await page.waitForFunction(() => connection.state !== "online");
    await keepPicture(page, "resume-lost");
    server = await startServer("--data", folder, "--listen", address);
    await page.waitForFunction(() => connection.state === "online" && states.includes("gone"));
    await write([{ id: 3, desk: "rates", v: 900 }]);
    await gridUntil(page, (cells) => cells.some((row) => row.includes("900")));
    await keepPicture(page, "resume-restarted");
    const cells = await gridCells(page);
    assert.deepEqual(cells.flat().filter((cell) => ["5", "80", "900", "985"].includes(cell)).sort(), ["5", "80", "900", "985"].sort());
    const { group_by, title } = await page.evaluate(() => document.querySelector("perspective-viewer").save());
    assert.deepEqual([group_by, title], [["desk"], "kept"]);
    assert.deepEqual(faults.filter((fault) => !connectionErrors.test(fault)), []);
});

test("what was asked when the server ended is asked again, and writes say that their effect is not known", async () => {
    const { page } = await openPlain({});
    const address = server.http.replace("http://", "");
    process.kill(server.pid, "SIGSTOP");
    await page.evaluate(async () => {
        const table = await Promise.race([client.open_table("trades"), new Promise((resolve) => setTimeout(resolve, 0))]);
        window.size = (table ?? window.table)?.size?.();
    });
    await page.evaluate(() => {
        window.answers = (async () => {
            const opened = await client.open_table("trades");
            return opened.size();
        })();
    });
    process.kill(server.pid, "SIGKILL");
    server = await startServer("--data", folder, "--listen", address);
    assert.equal(await page.evaluate(() => window.answers), 3);
});
