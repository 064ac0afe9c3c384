// A server that recovers its tables: what the page, the status and the health check say meanwhile.
//
// A table's file that is a pipe keeps the start from ending until the test writes to it.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { promisify } from "node:util";

import { startServer } from "../node/harness.mjs";
import { launch, openPage, settled } from "./browser.mjs";

let browser;
let folder;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-recovery-"));
    browser = await launch();
});

after(async () => {
    await browser?.close();
    await rm(folder, { recursive: true, force: true });
});

async function freePort() {
    const listener = createServer();
    await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const { port } = listener.address();
    await new Promise((resolve) => listener.close(resolve));
    return port;
}

/** Reads a URL of a server that may not listen yet. */
async function untilAnswered(url) {
    for (;;) {
        try {
            return await fetch(url);
        } catch {
            await new Promise((resolve) => setTimeout(resolve, 20));
        }
    }
}

test("a recovery is shown on the page, in the status and by the health check", async () => {
    const data = join(folder, "data");
    const first = await startServer("--data", data);
    const kept = await fetch(`${first.http}/api/v1/tables/kept`, {
        method: "PUT",
        headers: { "content-type": "text/csv" },
        body: "x\n1\n2\n3\n",
    });
    assert.equal(kept.status, 201);
    await first.stop();

    const pipe = join(folder, "piped.csv");
    await promisify(execFile)("mkfifo", [pipe]);
    const listen = `127.0.0.1:${await freePort()}`;
    const http = `http://${listen}`;
    const starting = startServer("--data", data, "--table", `piped=${pipe}`, "--listen", listen);
    const ready = await untilAnswered(`${http}/health/ready`);
    assert.equal(ready.status, 503);
    assert.equal((await ready.json()).code, "recovering");
    let recovery;
    do {
        ({ recovery } = await (await fetch(`${http}/api/v1/status`)).json());
    } while (recovery.phase !== "loading files");
    const expected = { phase: "loading files", tables: 0, tables_total: 1, bytes: 0, bytes_total: 0, rows: 3 };
    assert.deepEqual(recovery, expected);
    const { error } = await (await fetch(`${http}/health/ready`)).json();
    assert.equal(error, "the server recovers its tables: loading files, 0 of 1 tables, 3 rows so far");

    const { page, faults } = await openPage(browser, { http }, "server");
    await page.waitForFunction(() => document.querySelector("#curtain h1").textContent === "The server recovers its tables");
    const text = await page.textContent("#curtain");
    assert.match(text, /loading files, 0 of 1 tables, 3 rows so far/);

    await writeFile(pipe, "y\n7\n");
    const server = await starting;
    try {
        await settled(page);
        assert.deepEqual(faults, []);
        const status = await (await fetch(`${http}/api/v1/status`)).json();
        assert.equal(status.recovery, null);
        assert.equal(status.ready, true);
        assert.deepEqual(status.tables.map(({ name, rows }) => [name, rows]).sort(), [["kept", 3], ["piped", 1]]);
    } finally {
        await page.context().close();
        await server.stop();
    }
});
