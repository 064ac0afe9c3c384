// The page for all: by keyboard, by screen reader, in the dark, on a phone; links, programs, and the operator's status.

import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm, symlink, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";

import { startServer } from "../node/harness.mjs";
import { gridUntil, keepPicture, launch, openPage, pictureUntil, settled, withViewer } from "./browser.mjs";

const AXE = fileURLToPath(new URL("../node_modules/axe-core/axe.min.js", import.meta.url));
const MODULES = fileURLToPath(new URL("../node_modules", import.meta.url));
const PYTHON = process.env.PROSCENIUM_PYTHON ?? fileURLToPath(new URL("../../target/venv/bin/python", import.meta.url));

let server;
let browser;
let folder;

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-people-"));
    await symlink(MODULES, join(folder, "node_modules"));
    [server, browser] = await Promise.all([startServer("--demo"), launch()]);
});

after(async () => {
    await browser?.close();
    await server?.stop();
    await rm(folder, { recursive: true, force: true });
});

async function onPage(hash, options, body) {
    const { page, faults } = await openPage(browser, server, hash, options);
    try {
        await body(page);
        assert.deepEqual(faults, []);
    } finally {
        await page.context().close();
    }
}

/** The serious violations of accessibility rules in the page's own elements. */
async function violations(page) {
    // The page's policy has no place for scripts of others: this one comes by the debugger.
    await page.evaluate(await readFile(AXE, "utf8"));
    const found = await page.evaluate(() => axe.run({ exclude: [["perspective-viewer"]] }, { resultTypes: ["violations"] }));
    return found.violations
        .filter(({ impact }) => impact === "serious" || impact === "critical")
        .map(({ id, nodes }) => `${id}: ${nodes.map(({ html, failureSummary }) => html + failureSummary).join("; ")}`);
}

const focused = (page) => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.slice(0, 40));

test("by keyboard alone: find a table, make one, delete it", () =>
    onPage("server/market", {}, async (page) => {
        const { keyboard } = page;
        await page.evaluate(() => document.activeElement.blur());
        await keyboard.press("/");
        assert.equal(await focused(page), "search");
        await keyboard.type("super");
        await keyboard.press("ArrowDown");
        assert.match(await focused(page), /^superstore/);
        await keyboard.press("Enter");
        await page.waitForFunction(() => document.title.startsWith("superstore"));
        await settled(page);

        await page.focus("#modes [aria-checked=true]");
        await keyboard.press("ArrowRight");
        await page.waitForFunction(() => location.hash.startsWith("#replica/"));
        await settled(page);
        await gridUntil(page, (cells) => cells.length > 10);
        await keyboard.press("ArrowLeft");
        await page.waitForFunction(() => location.hash.startsWith("#server/"));
        await settled(page);

        await page.focus("#search");
        await keyboard.press("Escape");
        await page.focus("#file");
        await keyboard.press("Tab");
        assert.equal(await focused(page), "new");
        await keyboard.press("Enter");
        // The first control is the kind of the source: the arrow chooses the second.
        await page.focus("#create [name=kind]:checked");
        await keyboard.press("ArrowRight");
        await keyboard.press("Tab");
        await keyboard.press("Control+A");
        await keyboard.type("typed");
        await keyboard.press("Tab");
        await keyboard.type("a,b\n1,2\n");
        await keyboard.press("Tab");
        await keyboard.type("a");
        await keyboard.press("Enter");
        await page.waitForFunction(() => document.title.startsWith("typed"));
        await settled(page);

        await page.focus("#download");
        await keyboard.press("Enter");
        await page.waitForFunction(() => document.activeElement.textContent === "CSV");
        await keyboard.press("ArrowDown");
        assert.equal(await focused(page), "JSON, rows");
        await keyboard.press("Escape");
        await page.focus("#delete-open");
        await keyboard.press("Enter");
        await keyboard.press("Tab");
        assert.equal(await focused(page), "delete-now");
        await keyboard.press("Enter");
        await page.waitForFunction(() => !document.querySelector('#tables [data-table="typed"]'));
        assert.equal(await focused(page), "new");
    }));

test("axe finds nothing serious: list, dialogs, status, in both themes", async () => {
    for (const colorScheme of ["light", "dark"]) {
        await onPage("server/market", { colorScheme }, async (page) => {
            assert.deepEqual(await violations(page), [], "the table");
            await page.click("#new");
            await page.click("#create [name=make]");
            await page.waitForSelector("#create-error:not(:empty)");
            assert.deepEqual(await violations(page), [], "a new table");
            await page.getByRole("radio", { name: "Columns" }).check();
            assert.deepEqual(await violations(page), [], "a schema");
            await page.keyboard.press("Escape");
            await page.click("#code-open");
            await page.waitForSelector("#code[open]");
            assert.deepEqual(await violations(page), [], "a program");
            await page.keyboard.press("Escape");
            await page.click("#delete-open");
            assert.deepEqual(await violations(page), [], "a deletion");
            await page.keyboard.press("Escape");
            await page.click("#status-link");
            await page.waitForSelector("#status-tables tr");
            assert.deepEqual(await violations(page), [], "the status");
        });
    }
});

test("the theme follows the system until the button is used, and the viewer follows the theme", () =>
    onPage("server/market", { colorScheme: "dark" }, async (page) => {
        /** Waits until the page has this theme, and the viewer its own. */
        const both = async (theme, viewerTheme) => {
            const deadline = Date.now() + 20_000;
            for (;;) {
                const found = await page.evaluate(async () => {
                    await new Promise(requestAnimationFrame);
                    const { theme } = await document.querySelector("perspective-viewer").save();
                    return `${document.documentElement.dataset.theme}, ${theme}`;
                });
                if (found === `${theme}, ${viewerTheme}`) {
                    return;
                }
                assert.ok(Date.now() < deadline, found);
            }
        };
        await both("dark", "Pro Dark");
        await page.click("#theme");
        await both("light", "Pro Light");
        await page.reload();
        await settled(page);
        await both("light", "Pro Light");
        // Used once more, the page follows the system again.
        await page.click("#theme");
        await both("dark", "Pro Dark");
        await page.emulateMedia({ colorScheme: "light" });
        await both("light", "Pro Light");
    }));

test("a link carries the layout to another browser, which keeps its own layouts", async () => {
    let link;
    await onPage("server/market", {}, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await withViewer(page, (viewer) => viewer.restore({ group_by: ["sector"], columns: ["volume"], aggregates: { volume: "sum" } }));
        await gridUntil(page, (cells) => cells.length === 7);
        await page.click("#link");
        await page.waitForFunction(() => document.getElementById("notices").textContent.includes("clipboard"));
        link = await page.evaluate(() => navigator.clipboard.readText());
        assert.ok(link.startsWith(`${server.http}/#server/market?layout=`), link);
    });
    await onPage(link.split("#")[1], {}, async (page) => {
        await gridUntil(page, (cells) => cells.length === 7 && cells.some((row) => row.some((cell) => cell.includes("Technology"))));
        // A change goes into the address, so a reload shows it again.
        await withViewer(page, (viewer) => viewer.restore({ group_by: ["sector", "symbol"] }));
        await page.waitForFunction((link) => location.href !== link && location.hash.includes("?layout="), link);
        await page.reload();
        await settled(page);
        assert.deepEqual(await withViewer(page, async (viewer) => (await viewer.save()).group_by), ["sector", "symbol"]);
        // Without it the table is as this browser knows it.
        await page.evaluate(() => (location.hash = "#server/superstore"));
        await page.waitForFunction(() => document.title.startsWith("superstore"));
        await page.evaluate(() => (location.hash = "#server/market"));
        await page.waitForFunction(() => document.title.startsWith("market"));
        await settled(page);
        await gridUntil(page, (cells) => cells.length > 10);
        assert.deepEqual(await withViewer(page, async (viewer) => (await viewer.save()).group_by), []);
    });
    await onPage("server/market?layout=nonsense", {}, (page) => gridUntil(page, (cells) => cells.length > 10));
});

test("the programs that the page offers run as they are", () =>
    onPage("server/market", {}, async (page) => {
        await page.context().grantPermissions(["clipboard-read", "clipboard-write"]);
        await withViewer(page, (viewer) => viewer.restore({ columns: ["symbol", "sector"], sort: [["symbol", "desc"]] }));
        await page.click("#code-open");
        const texts = {};
        for (const name of ["curl", "Python", "JavaScript"]) {
            await page.getByRole("radio", { name }).check();
            await page.click("#code-copy");
            await page.waitForFunction(() => document.getElementById("code-done").textContent === "Copied");
            texts[name] = await page.evaluate(() => navigator.clipboard.readText());
        }
        await keepPicture(page, "page-code");
        const run = async (command, ...args) => (await promisify(execFile)(command, args, { cwd: folder })).stdout;
        await run("sh", "-c", texts.curl);
        assert.equal((await readFile(join(folder, "market.csv"), "utf8")).trim().split("\n").length, 49);
        await writeFile(join(folder, "read.mjs"), texts.JavaScript);
        assert.match(await run("node", "read.mjs"), /symbol: 'HYDR', sector: 'Energy'/);
        assert.match(await run(PYTHON, "-c", texts.Python), /^48 \['symbol', 'sector'/);
    }));

test("the status page counts sessions, views, rates and memory", () =>
    onPage("server/market", {}, async (page) => {
        await page.click("#status-link");
        await page.waitForFunction(() => /[1-9][\d.,]*\/s/.test(document.getElementById("status-cards").textContent));
        const card = (name) => page.locator("#status-cards .card", { has: page.getByText(name, { exact: true }) }).textContent();
        assert.match(await card("Server"), /version \d+\.\d+\.\d+.*ready, up/);
        assert.match(await card("Sessions"), /^Sessions1/);
        assert.match(await card("Tables"), /^Tables3/);
        await page.waitForFunction(() => /market48.*[1-9]\d*\.\d/.test(document.getElementById("status-tables").textContent));
        assert.match(await page.textContent("#memory-text"), /MB of [\d.]+ GB|GB of/);
        assert.ok((await page.title()).startsWith("Status"));
        await keepPicture(page, "page-status");
        await page.click("#status-close");
        await page.waitForFunction(() => document.title.startsWith("market"));
        await settled(page);
    }));

test("on a phone the list is a drawer, and nothing is wider than the screen", () =>
    onPage("server/market", { width: 400, height: 780 }, async (page) => {
        const fits = () => page.evaluate(() => document.documentElement.scrollWidth <= innerWidth);
        await gridUntil(page, (cells) => cells.length > 5);
        assert.ok(await fits());
        await keepPicture(page, "phone-grid");
        assert.equal(await page.isVisible("#tables"), false);
        await page.click("#drawer");
        assert.equal(await focused(page), "search");
        await keepPicture(page, "phone-list");
        assert.deepEqual(await violations(page), []);
        await page.keyboard.press("Escape");
        await page.waitForSelector("#tables", { state: "hidden" });
        assert.equal(await focused(page), "drawer");
        await page.click("#drawer");
        await page.click('#tables [data-table="superstore"]');
        await page.waitForFunction(() => document.title.startsWith("superstore"));
        await settled(page);
        await withViewer(page, (viewer) =>
            viewer.restore({ plugin: "Y Bar", group_by: ["Region"], columns: ["Sales"], aggregates: { Sales: "sum" } }),
        );
        await pictureUntil(page, (share) => share.bars > 0.05);
        await keepPicture(page, "phone-chart");
        await page.click("#drawer");
        await page.click("#new");
        await page.click("#create [name=make]");
        await page.waitForSelector("#create-error:not(:empty)");
        await keepPicture(page, "phone-error");
        await page.keyboard.press("Escape");
        await page.keyboard.press("Escape");
        await page.click("#status-link");
        await page.waitForSelector("#status-tables tr");
        assert.ok(await fits());
        await keepPicture(page, "phone-status");
    }));
