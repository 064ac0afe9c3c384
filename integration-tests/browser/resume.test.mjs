// A viewer in a plain web page, on the client that `connect` returns: it survives breaks and restarts of its server.

import assert from "node:assert/strict";
import { cp, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { connect as connectPlainly, startServer } from "../node/harness.mjs";
import { gridCells, gridUntil, keepPicture, launch } from "./browser.mjs";

const PAGE = process.env.PROSCENIUM_ASSETS ?? fileURLToPath(new URL("../../target/page", import.meta.url));

let browser;
let folder;
let assets;
let server;

/** Starts a server on the same tables. */
function start(...extra) {
    return startServer("--data", join(folder, "data"), "--assets", assets, ...extra);
}

before(async () => {
    browser = await launch();
    folder = await mkdtemp(join(tmpdir(), "proscenium-resume-"));
    assets = join(folder, "assets");
    await cp(PAGE, assets, { recursive: true });
    await writeFile(join(assets, "plain.html"), HTML);
    await writeFile(join(assets, "plain.js"), SCRIPT);
    server = await start();
});

after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
});

const HTML = `<!doctype html><html lang="en"><title>plain</title>
<link rel="stylesheet" href="/perspective/charts/viewer.css">
<body><perspective-viewer style="position: absolute; inset: 0"></perspective-viewer>
<script type="module" src="/plain.js"></script>`;

const SCRIPT = `
import { perspective } from "/page/perspective.js";
import { connect, connectionOf } from "/js/connect.js";

window.states = [];
const url = location.origin.replace("http", "ws") + "/websocket";
const onState = (state) => states.push(state);
window.client = await connect(url, { perspective, onState, onGone: () => states.push("gone") });
window.connection = connectionOf(client);
window.ready = true;
`;

/** A page of somebody else, with a viewer on the table. */
async function openPlain(config) {
    const context = await browser.newContext({ viewport: { width: 1000, height: 600 } });
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    const faults = [];
    page.on("pageerror", (error) => faults.push(error.message));
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
    await server.kill();
    await page.waitForFunction(() => connection.state !== "online");
    await keepPicture(page, "resume-lost");
    server = await start("--listen", address);
    await page.waitForFunction(() => connection.state === "online" && states.includes("gone"));
    await write([{ id: 3, desk: "rates", v: 900 }]);
    await gridUntil(page, (cells) => cells.some((row) => row.includes("900")));
    await keepPicture(page, "resume-restarted");
    const cells = await gridCells(page);
    assert.deepEqual(cells.flat().filter((cell) => ["5", "80", "900", "985"].includes(cell)).sort(), ["5", "80", "900", "985"].sort());
    const { group_by, title } = await page.evaluate(() => document.querySelector("perspective-viewer").save());
    assert.deepEqual([group_by, title], [["desk"], "kept"]);
    assert.deepEqual(faults, []);
});

test("what was asked when the server ended is asked again, and writes say that their effect is not known", async () => {
    const { page, faults } = await openPlain({});
    await page.evaluate(async () => (window.table = await client.open_table("trades")));
    const address = server.http.replace("http://", "");
    // It receives the requests and answers none.
    process.kill(server.pid, "SIGSTOP");
    await page.evaluate(() => {
        window.size = table.size();
        window.written = table.update([{ id: 4, desk: "fx", v: 1 }]).then(
            () => "written",
            (error) => String(error),
        );
    });
    await server.kill();
    server = await start("--listen", address);
    assert.equal(await page.evaluate(() => size), 3);
    assert.match(await page.evaluate(() => written), /not known/);
    // Later ones are as ever.
    await page.evaluate(() => table.update([{ id: 5, desk: "fx", v: 2 }]));
    assert.equal(await page.evaluate(() => table.size()), 4);
    assert.deepEqual(faults, []);
});

test("a replica gets what it missed in a break, and a copy when the server was started again", async () => {
    const { page, faults } = await openPlain({});
    const rows = () => page.evaluate(async () => (await (await replica.table.view({ sort: [["id", "asc"]] })).to_json()).map(({ id, v }) => [id, v]));
    await page.evaluate(async () => {
        const { openEngine, Replica } = await import("/js/index.js");
        const { perspective } = await import("/page/perspective.js");
        const local = await openEngine(perspective);
        window.replica = await Replica.open({ server: client, local, table: "trades" });
        window.until = async (wanted) => {
            for (const deadline = Date.now() + 20_000; ; ) {
                await replica.settled();
                const view = await replica.table.view({ sort: [["id", "asc"]] });
                const found = (await view.to_json()).map(({ id, v }) => `${id}:${v}`).join();
                await view.delete();
                if (Date.now() > deadline) {
                    throw new Error(`the replica never got there: ${found} ${JSON.stringify(replica.counts)} ${connection.state} ${states}`);
                }
                if (found === wanted) {
                    return replica.counts.copies;
                }
                await new Promise(requestAnimationFrame);
            }
        };
    });
    const writer = await connectPlainly(server);
    const table = await writer.open_table("trades");
    await page.evaluate(() => connection.break());
    await table.remove([1]);
    await table.update([{ id: 3, desk: "fx", v: 3 }]);
    await writer.terminate();
    assert.equal(await page.evaluate(() => until("2:80,3:3,5:2")), 1, "nothing is copied again");

    const address = server.http.replace("http://", "");
    await server.kill();
    server = await start("--listen", address);
    const again = await connectPlainly(server);
    const durable = await again.open_table("trades");
    await durable.remove([2]);
    await durable.update([{ id: 4, desk: "fx", v: 4 }]);
    await again.terminate();
    assert.ok((await page.evaluate(() => until("3:3,4:4,5:2"))) > 1);
    assert.deepEqual(await rows(), [[3, 3], [4, 4], [5, 2]]);
    assert.deepEqual(faults, []);
});
