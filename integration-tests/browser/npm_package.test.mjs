// The npm package as its users have it: packed, installed into empty projects, type-checked, bundled, and opened.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createServer } from "node:http";
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { extname, join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { startServer } from "../node/harness.mjs";
import { gridUntil, keepPicture, launch } from "./browser.mjs";

const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const PACKAGE = process.env.PROSCENIUM_NPM_PACKAGE ?? fromRoot("target/package/npm");
const EXAMPLES = fromRoot("web-client/examples");
const CDN = "https://cdn.jsdelivr.net/npm/";
const TYPES = { ".html": "text/html", ".js": "text/javascript", ".css": "text/css", ".wasm": "application/wasm" };

let folder;
let browser;
let server;
const sites = [];

/** A site whose files `find(path)` names; every other site may read them. */
async function serveFiles(find) {
    const site = createServer(async (request, response) => {
        const path = find(new URL(request.url, "http://site").pathname);
        const content = await readFile(path).catch(() => undefined);
        const type = TYPES[extname(path)] ?? "application/octet-stream";
        response.writeHead(content ? 200 : 404, { "content-type": type, "access-control-allow-origin": "*" });
        response.end(content);
    });
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    sites.push(site);
    return `http://127.0.0.1:${site.address().port}`;
}

/** Runs a command in the folder; what it printed is its error. */
function run(where, command, ...args) {
    try {
        return execFileSync(command, args, { cwd: join(folder, where), encoding: "utf8", stdio: "pipe" });
    } catch (error) {
        throw new Error(`${command} ${args.join(" ")}\n${error.stdout}\n${error.stderr}`);
    }
}

const bin = (name) => join(folder, "node_modules/.bin", name);

let viteSite;
let reactSite;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-npm-"));
    const packed = (await readdir(PACKAGE)).find((name) => name.endsWith(".tgz"));
    // Both examples have the packages of one installation.
    const wanted = {};
    for (const example of ["vite", "react"]) {
        await cp(join(EXAMPLES, example), join(folder, example), { recursive: true });
        const { dependencies, devDependencies } = JSON.parse(await readFile(join(folder, example, "package.json"), "utf8"));
        Object.assign(wanted, dependencies, devDependencies);
    }
    wanted["proscenium-web-client"] = `file:${join(PACKAGE, packed)}`;
    await writeFile(join(folder, "package.json"), JSON.stringify({ private: true, dependencies: wanted }));
    run(".", "npm", "install", "--no-audit", "--no-fund");
    const [vite, react] = ["vite", "react"].map((name) => (path) => join(folder, name, "dist", path.replace(/\/$/, "/index.html")));
    [viteSite, reactSite] = await Promise.all([serveFiles(vite), serveFiles(react)]);
    browser = await launch();
});

after(async () => {
    await browser?.close();
    await server?.stop();
    for (const site of sites) {
        site.close();
    }
    await rm(folder, { recursive: true, force: true });
});

/** Opens a page and waits for its grid; returns its status line and first cells. */
async function look(url, picture) {
    const page = await (await browser.newContext({ viewport: { width: 1000, height: 500 } })).newPage();
    const faults = [];
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(url);
    await page.waitForFunction(() => / rows$|^failed/.test(document.getElementById("status")?.textContent));
    const status = await page.textContent("#status");
    assert.doesNotMatch(status, /^failed/);
    const cells = await gridUntil(page, (cells) => cells.length > 1 && cells[0].some(Boolean));
    await keepPicture(page, picture);
    assert.deepEqual(faults, []);
    await page.context().close();
    return { status, cells };
}

test("the types of a program are checked", async () => {
    run("vite", bin("tsc"), "--noEmit");
    run("react", bin("tsc"), "--noEmit");
    await writeFile(
        join(folder, "vite/wrong.ts"),
        `import { openEngine, Replica } from "proscenium-web-client";
         import perspective from "@perspective-dev/client";
         const local = await openEngine(perspective, { wasm: 7 });
         const replica = await Replica.open({ local, table: "market" });
         replica.counts.deltas = "many";\n`,
    );
    assert.throws(() => run("vite", bin("tsc"), "--noEmit"), (error) => {
        const lines = error.message.match(/wrong\.ts\(\d+/g);
        assert.deepEqual(lines, ["wrong.ts(3", "wrong.ts(4", "wrong.ts(5"], error.message);
        return true;
    });
    await rm(join(folder, "vite/wrong.ts"));
});

test("a page built by Vite has a table of its own, and a replica", async () => {
    run("vite", bin("vite"), "build");
    const alone = await look(`${viteSite}/`, "npm-vite");
    assert.equal(alone.status, "trades: 2 rows");
    assert.deepEqual(alone.cells.slice(0, 2).map((row) => row[0]), ["a", "b"]);

    server = await startServer("--demo", "--origin", viteSite, "--origin", reactSite);
    const replica = await look(`${viteSite}/?server=${server.websocket}`, "npm-vite-replica");
    assert.match(replica.status, /^market: \d+ rows$/);
});

test("a page of React has a replica", async () => {
    run("react", bin("vite"), "build");
    const { status } = await look(`${reactSite}/?server=${server.websocket}`, "npm-react");
    assert.match(status, /^market: \d+ rows$/);
});

test("one HTML file has all of it from another site", async () => {
    // `/name@version/path` as a CDN has it.
    const cdn = await serveFiles((path) => join(folder, "node_modules", path.replace(/@\d+\.\d+\.\d+\//, "/")));
    const text = await readFile(join(EXAMPLES, "cdn.html"), "utf8");
    assert.ok(text.split(CDN).length > 4);
    await writeFile(join(folder, "cdn.html"), text.replaceAll(CDN, `${cdn}/`));
    const site = await serveFiles(() => join(folder, "cdn.html"));
    const { status } = await look(`${site}/`, "npm-cdn");
    assert.equal(status, "trades: 2 rows");
});
