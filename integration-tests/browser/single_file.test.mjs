// The packaged binary, alone in an empty folder: it has its page and its engine with it.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { copyFile, mkdtemp, readdir, rm, writeFile } from "node:fs/promises";
import { request } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import zlib from "node:zlib";

import { spawnServer } from "../node/harness.mjs";
import { gridUntil, launch, openPage } from "./browser.mjs";

const PACKAGED =
    process.env.PROSCENIUM_PACKAGED ?? fileURLToPath(new URL("../../target/package/proscenium", import.meta.url));

let folder;
let server;
let browser;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-single-"));
    await copyFile(PACKAGED, join(folder, "proscenium"));
    const listen = ["--listen", "127.0.0.1:0", "--flight", "127.0.0.1:0"];
    const started = spawnServer(join(folder, "proscenium"), ["serve", ...listen, "--demo"], { cwd: folder, env: {} });
    [server, browser] = await Promise.all([started, launch()]);
});

after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true });
});

/** The answer as it was sent: nothing is decompressed. */
function ask(path, headers = {}, method = "GET") {
    return new Promise((resolve, reject) => {
        const sent = request(server.http + path, { method, headers }, async (answer) => {
            const pieces = [];
            for await (const piece of answer) {
                pieces.push(piece);
            }
            resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) });
        });
        sent.on("error", reject).end();
    });
}

test("nothing is beside it", async () => {
    assert.deepEqual(await readdir(folder), ["proscenium"]);
});

test("each coding holds the same file, under a tag of its own", async () => {
    const decode = { br: zlib.brotliDecompressSync, gzip: zlib.gunzipSync, identity: (bytes) => bytes };
    for (const [path, type, begin] of [
        ["/", "text/html; charset=utf-8", "<!doctype html>"],
        ["/engine/engine_bg.wasm", "application/wasm", "\0asm"],
        ["/js/worker.js", "text/javascript; charset=utf-8", "//"],
    ]) {
        const contents = new Set();
        const tags = new Set();
        for (const [coding, unpack] of Object.entries(decode)) {
            const answer = await ask(path, { "accept-encoding": coding });
            assert.equal(answer.status, 200, `${path} ${coding}`);
            assert.equal(answer.headers["content-type"], type);
            assert.equal(answer.headers["content-encoding"], coding === "identity" ? undefined : coding);
            assert.equal(answer.headers["x-content-type-options"], "nosniff");
            assert.match(answer.headers.vary, /accept-encoding/);
            const content = unpack(answer.body).toString("latin1");
            assert.ok(content.startsWith(begin), `${path} ${coding}`);
            contents.add(content);
            tags.add(answer.headers.etag);

            const head = await ask(path, { "accept-encoding": coding }, "HEAD");
            assert.deepEqual([head.status, head.body.length, head.headers.etag], [200, 0, answer.headers.etag]);
            assert.equal(head.headers["content-length"], String(answer.body.length));
            const known = { "accept-encoding": coding, "if-none-match": answer.headers.etag };
            const same = await ask(path, known);
            assert.deepEqual([same.status, same.body.length], [304, 0], `${path} ${coding}`);
        }
        assert.equal(contents.size, 1, path);
        assert.equal(tags.size, 3, path);
    }
    assert.equal((await ask("/", { "accept-encoding": "br;q=0, gzip" })).headers["content-encoding"], "gzip");
    assert.equal((await ask("/no/such/file")).status, 404);
    assert.equal((await ask("/../Cargo.toml")).status, 404);
});

test("the page shows a grid from the server, and from the engine in the tab", async () => {
    for (const hash of ["server/superstore", "replica/market"]) {
        const { page, faults } = await openPage(browser, server, hash);
        const cells = await gridUntil(page, (cells) => cells.length > 10);
        assert.ok(cells[0].length > 5, hash);
        assert.deepEqual(faults, []);
        await page.context().close();
    }
});

test("a folder takes the place of the page inside", async () => {
    const own = await mkdtemp(join(tmpdir(), "proscenium-own-page-"));
    await writeFile(join(own, "index.html"), "<title>mine</title>");
    const args = ["serve", "--listen", "127.0.0.1:0", "--no-flight", "--assets", own];
    const other = await spawnServer(join(folder, "proscenium"), args);
    assert.equal(await (await fetch(other.http)).text(), "<title>mine</title>");
    await other.stop();
    await rm(own, { recursive: true });
});

test("it says what it is", () => {
    const run = (...args) => execFileSync(join(folder, "proscenium"), args, { encoding: "utf8" });
    assert.match(run("--version"), /^proscenium \d+\.\d+\.\d+( \([0-9a-f]{7,}(-dirty)?\))?\n$/);
    assert.match(run("config"), /\nlisten = "127\.0\.0\.1:8080"\n/);
});
