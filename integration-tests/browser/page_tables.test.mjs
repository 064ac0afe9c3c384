// What a user does with tables on the page: find, make, load, download and delete them.

import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { connect, startServer } from "../node/harness.mjs";
import { gridUntil, keepPicture, launch, openPage, settled } from "./browser.mjs";

let server;
let browser;
let client;
let folder;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-page-"));
    [server, browser] = await Promise.all([startServer("--demo"), launch()]);
    client = await connect(server);
});

after(async () => {
    await browser?.close();
    await client?.terminate();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
});

const rowsOf = (name) => fetch(`${server.http}/api/v1/tables/${name}`).then((answer) => answer.json());
const namesOf = () => client.get_hosted_table_names();
const entry = (page, name) => page.locator(`#tables button[data-table="${name}"]`);

/** Opens the page at the table, calls `body`, and expects no error of the page's own. */
async function onPage(hash, body) {
    const { page, faults } = await openPage(browser, server, hash);
    try {
        await body(page);
        assert.deepEqual(faults, []);
    } finally {
        await page.context().close();
    }
}

/** Opens the dialog of a new table at one of its three kinds. */
async function newTable(page, kind, name) {
    await page.click("#new");
    await page.getByRole("radio", { name: kind }).check();
    await page.getByLabel("Name", { exact: true }).fill(name);
}

test("the list is searched, and its figures are live", () =>
    onPage("server/superstore", async (page) => {
        assert.match(await entry(page, "superstore").textContent(), /9,994 rows.*MB · version 0$/);
        const before = await entry(page, "market").textContent();
        assert.match(before, /48 rows · 9 columns · by symbol.*version [\d,]+$/);
        await page.waitForFunction(
            (before) => document.querySelector('#tables [data-table="market"]').textContent !== before,
            before,
        );
        await page.fill("#search", "TRA");
        assert.equal(await page.locator("#tables button").count(), 1);
        assert.equal(await page.textContent("#table-count"), "1 of 3");
        await page.fill("#search", "nothing like it");
        assert.match(await page.textContent("#tables"), /No table's name contains/);
        await page.fill("#search", "tra");
        await page.press("#search", "Enter");
        await page.waitForFunction(() => document.title.startsWith("trades"));
    }));

test("a pasted text becomes a table with an index", () =>
    onPage("server/market", async (page) => {
        await newTable(page, "Pasted text", "pasted");
        await page.getByLabel("CSV, JSON or NDJSON").fill('[{"id": 1, "name": "ann"}, {"id": 1, "name": "eve"}]');
        await page.getByLabel("Index").fill("id");
        await page.click("#create [name=make]");
        await page.waitForFunction(() => document.title.startsWith("pasted"));
        await settled(page);
        await gridUntil(page, (cells) => cells.length === 1 && cells[0].includes("eve"));
        assert.deepEqual(await rowsOf("pasted"), [{ id: 1, name: "eve" }]);
        assert.match(await page.textContent("#notices"), /pasted is made/);
    }));

test("columns and types make an empty table", () =>
    onPage("server/market", async (page) => {
        await newTable(page, "Columns", "orders");
        await page.getByLabel("Column name").nth(1).fill("price");
        await page.getByLabel("Column type").nth(1).selectOption("float");
        await page.click("#add-column");
        await page.keyboard.type("day");
        await page.getByLabel("Column type").nth(2).selectOption("date");
        await page.getByLabel("Limit").fill("5");
        await page.click("#create [name=make]");
        await page.waitForFunction(() => document.title.startsWith("orders"));
        await settled(page);
        const table = await client.open_table("orders");
        assert.deepEqual(await table.schema(), { id: "integer", price: "float", day: "date" });
        assert.equal(await table.get_limit(), 5);
    }));

test("a mistake is shown beside its control, with the server's words", () =>
    onPage("server/market", async (page) => {
        const name = page.getByLabel("Name", { exact: true });
        await newTable(page, "Pasted text", "market");
        await page.click("#create [name=make]");
        assert.equal(await page.textContent("#create-error"), "there is already a table market");
        assert.equal(await name.getAttribute("aria-invalid"), "true");
        assert.ok(await name.evaluate((input) => input === document.activeElement));
        await name.fill("broken");
        const text = page.getByLabel("CSV, JSON or NDJSON");
        await text.fill("a,b\n1,2\n3");
        await page.click("#create [name=make]");
        await page.waitForFunction(() => document.getElementById("create-error").textContent.includes("line 3"));
        assert.equal(await text.getAttribute("aria-describedby"), "create-error");
        await keepPicture(page, "page-error");
        await page.keyboard.press("Escape");
        assert.ok(!(await namesOf()).includes("broken"));
        assert.ok(await page.evaluate(() => document.activeElement.id === "new"), "the focus returns");
    }));

test("a file that cannot be read says why, where it was dropped", () =>
    onPage("server/market", async (page) => {
        await writeFile(join(folder, "bad.json"), '[{"a": 1}, {"a": ');
        await writeFile(join(folder, "notes.doc"), "what");
        await page.setInputFiles("#file", [join(folder, "bad.json"), join(folder, "notes.doc")]);
        const alerts = page.locator("#uploads [role=alert]");
        await alerts.nth(1).waitFor();
        assert.match(await alerts.nth(0).textContent(), /^bad\.json: .*(EOF|line|end)/i);
        assert.match(await alerts.nth(1).textContent(), /^notes\.doc: only CSV/);
        await page.getByLabel("Dismiss the error of bad.json").click();
        await page.getByLabel("Dismiss the error of notes.doc").click();
        assert.equal(await page.locator("#uploads li").count(), 0);
    }));

test("an upload shows its bytes, and can be cancelled; a second one arrives", () =>
    onPage("server/market", async (page) => {
        const lines = Array.from({ length: 200_000 }, (_, n) => `${n},${"text of a row ".repeat(2)}${n}`);
        await writeFile(join(folder, "large.csv"), `id,note\n${lines.join("\n")}\n`);
        const network = await page.context().newCDPSession(page);
        const slow = { offline: false, latency: 0, downloadThroughput: -1, uploadThroughput: 400_000 };
        await network.send("Network.enable");
        await network.send("Network.emulateNetworkConditions", slow);
        await page.setInputFiles("#file", join(folder, "large.csv"));
        await page.waitForFunction(() => {
            const bar = document.querySelector("#uploads progress");
            return bar && bar.value > bar.max / 5 && bar.value < bar.max;
        });
        assert.match(await page.textContent("#uploads .upload-text"), /^[\d.]+ [kM]?B of [78]\.\d MB$/);
        await keepPicture(page, "page-upload");
        await page.getByLabel("Cancel the upload of large.csv").click();
        await page.waitForFunction(() => document.getElementById("uploads").children.length === 0);
        await network.send("Network.emulateNetworkConditions", { ...slow, uploadThroughput: -1 });
        assert.ok(!(await namesOf()).includes("large"));
        await page.setInputFiles("#file", join(folder, "large.csv"));
        await page.waitForFunction(() => document.title.startsWith("large"));
        await settled(page);
        assert.match(await entry(page, "large").textContent(), /200,000 rows/);
    }));

test("a table is downloaded in each format", () =>
    onPage("server/pasted", async (page) => {
        const wanted = { "CSV": ["pasted.csv", /^"?id"?,"?name"?\n1,"?eve"?\n$/], "JSON, rows": ["pasted.json", /^\[\{"id":1/] };
        Object.assign(wanted, { "JSON, columns": ["pasted.json", /^\{"id":\[1\]/], "NDJSON": ["pasted.ndjson", /^\{"id":1.*\}\n?$/] });
        for (const [item, [file, content]] of Object.entries({ ...wanted, Arrow: ["pasted.arrow", /name/] })) {
            await page.click("#download");
            const [download] = await Promise.all([
                page.waitForEvent("download"),
                page.getByRole("menuitem", { name: item, exact: true }).click(),
            ]);
            assert.equal(download.suggestedFilename(), file);
            assert.match(await readFile(await download.path(), "latin1"), content);
        }
    }));

test("tables of this tab are made in each way, downloaded, and deleted", async () => {
    const { page, faults, wire } = await openPage(browser, server, "browser");
    await writeFile(join(folder, "mine.csv"), "x\n7\n");
    await page.setInputFiles("#file", join(folder, "mine.csv"));
    await settled(page);
    for (const [item, content] of [["CSV", /7/], ["JSON, rows", /\{"x":7\}/], ["JSON, columns", /\[7\]/], ["NDJSON", /7/], ["Arrow", /x/]]) {
        await page.click("#download");
        const [download] = await Promise.all([
            page.waitForEvent("download"),
            page.getByRole("menuitem", { name: item, exact: true }).click(),
        ]);
        assert.match(await readFile(await download.path(), "latin1"), content);
    }
    await newTable(page, "Pasted text", "pasted");
    await page.getByLabel("CSV, JSON or NDJSON").fill('{"x": 1, "y": 2}\n{"x": 1, "y": 3}\n');
    await page.getByLabel("Index").fill("x");
    await page.click("#create [name=make]");
    await page.waitForFunction(() => document.title.startsWith("pasted"));
    await settled(page);
    await gridUntil(page, (cells) => cells.length === 1 && cells[0].includes("3"));
    await newTable(page, "Columns", "empty");
    await page.click("#create [name=make]");
    await page.waitForFunction(() => document.title.startsWith("empty"));
    await settled(page);
    for (const left of [2, 1, 0]) {
        await page.click("#delete-open");
        await page.click("#delete-now");
        await page.waitForFunction((left) => document.querySelectorAll("#tables button").length === left, left);
        if (left > 0) {
            await settled(page);
        }
    }
    assert.equal(wire.sockets, 0);
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("a table is deleted after a question; one that others look at, once they have left", () =>
    onPage("server/pasted", async (page) => {
        await page.click("#delete-open");
        assert.match(await page.textContent("#delete-title"), /pasted/);
        await page.keyboard.press("Enter");
        assert.ok((await namesOf()).includes("pasted"), "the first button is Cancel");
        await page.click("#delete-open");
        await page.click("#delete-now");
        await page.waitForFunction(() => !document.querySelector('#tables [data-table="pasted"]'));
        assert.ok(!(await namesOf()).includes("pasted"));

        const view = await (await client.open_table("orders")).view();
        await entry(page, "orders").click();
        await page.waitForFunction(() => document.title.startsWith("orders"));
        await settled(page);
        await page.click("#delete-open");
        await page.click("#delete-now");
        await page.waitForSelector("#delete-later:not([hidden])");
        assert.match(await page.textContent("#delete-error"), /view/);
        assert.ok((await namesOf()).includes("orders"));
        await page.click("#delete-later");
        await page.waitForFunction(() => !document.getElementById("delete").open);
        await view.delete();
        await page.waitForFunction(() => !document.querySelector('#tables [data-table="orders"]'));
    }));

test("a table of any name is made, read and deleted, also out of a replica", () =>
    onPage("server/market", async (page) => {
        const name = "50% of a/b & 'c' \"d\" <b>ü</b> #1?";
        await newTable(page, "Pasted text", name);
        await page.getByLabel("CSV, JSON or NDJSON").fill("x\n7\n");
        await page.click("#create [name=make]");
        await page.waitForFunction((name) => document.title.startsWith(name), name);
        await settled(page);
        assert.equal(await page.textContent("#table-name"), name);
        assert.deepEqual(await rowsOf(encodeURIComponent(name)), [{ x: 7 }]);
        await page.reload();
        await settled(page);
        await gridUntil(page, (cells) => cells.length === 1 && cells[0].includes("7"));
        await page.click("#download");
        const [download] = await Promise.all([page.waitForEvent("download"), page.getByRole("menuitem", { name: "CSV" }).click()]);
        assert.match(await readFile(await download.path(), "latin1"), /7/);
        await page.getByRole("radio", { name: "Replicated" }).click();
        await page.waitForFunction(() => location.hash.startsWith("#replica/"));
        await settled(page);
        await page.click("#delete-open");
        await page.click("#delete-now");
        await page.waitForFunction(() => document.getElementById("notices").textContent.includes("is deleted"));
        assert.ok(!(await namesOf()).includes(name));
    }));

test("an upload beyond the server's limit says so", async () => {
    const small = join(folder, "small.toml");
    await writeFile(small, "max_upload_bytes = 100000\n");
    const own = await startServer("--config", small);
    const { page, faults } = await openPage(browser, own, "server");
    await writeFile(join(folder, "big.csv"), `x\n${"1234567\n".repeat(500_000)}`);
    await page.setInputFiles("#file", join(folder, "big.csv"));
    const alert = page.locator("#uploads [role=alert]");
    await alert.waitFor();
    assert.match(await alert.textContent(), /100,?000 bytes|too large|limit/);
    assert.deepEqual(faults, []);
    await page.context().close();
    await own.stop();
});

test("going through tables in haste leaves no view behind", () =>
    onPage("server/market", async (page) => {
        const names = ["superstore", "trades", "market", "trades", "superstore", "market", "superstore"];
        for (const name of names) {
            await page.evaluate((name) => document.querySelector(`#tables [data-table="${name}"]`).click(), name);
            // Each is on its way before the next is asked for.
            await page.waitForFunction((name) => document.title.startsWith(name), name);
        }
        await settled(page);
        await gridUntil(page, (cells) => cells.length > 10);
        const views = async () => {
            const { tables } = await (await fetch(`${server.http}/api/v1/status`)).json();
            return Object.fromEntries(tables.map(({ name, views }) => [name, views]));
        };
        const deadline = Date.now() + 20_000;
        for (let found = await views(); found.market + found.trades > 0; found = await views()) {
            assert.ok(Date.now() < deadline, JSON.stringify(found));
        }
        assert.ok((await views()).superstore > 0);
    }));

test("a download that the server refuses says why, under its button", () =>
    onPage("server/market", async (page) => {
        const refusal = { error: "the reply needs 5 GiB: limits.export_bytes", code: "reply_too_long" };
        await page.route("**/api/v1/tables/market?format=csv", (route) => route.fulfill({ status: 413, json: refusal }));
        await page.click("#download");
        await page.getByRole("menuitem", { name: "CSV", exact: true }).click();
        await page.waitForFunction(() => document.getElementById("table-error").textContent);
        assert.equal(await page.textContent("#table-error"), `market was not downloaded: ${refusal.error}`);
        await page.click("#link");
        await page.waitForFunction(() => !document.getElementById("table-error").textContent.includes("not downloaded"));
    }));
