// The page in a real browser: the published viewer, unmodified, in all three modes.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";

import { connect, startServer } from "../node/harness.mjs";
import {
    gridCells,
    gridUntil,
    keepPicture,
    launch,
    openPage,
    pictureUntil,
    scrollGrid,
    settled,
    withGrid,
    withViewer,
} from "./browser.mjs";

let server;
let browser;
let client;

before(async () => {
    [server, browser] = await Promise.all([startServer("--demo"), launch()]);
    client = await connect(server);
});

after(async () => {
    await browser?.close();
    await client?.terminate();
    await server?.stop();
});

/** The table's cell as the server has it. */
async function serverCell(table, key, column) {
    const opened = await client.open_table(table);
    const view = await opened.view({ columns: [column], filter: [[await opened.get_index(), "==", key]] });
    try {
        return (await view.to_columns())[column][0];
    } finally {
        await view.delete();
    }
}

/** Edits a cell as a person does: by the grid's own editing. */
async function typeInto(page, column, text) {
    await withViewer(page, async (viewer) => {
        await viewer.restore({ plugin: "Datagrid", plugin_config: { edit_mode: "EDIT" } });
    });
    const box = await withGrid(page, (grid, column) => {
        const head = [...grid.querySelectorAll("thead tr:last-child th")].map((cell) => cell.textContent.trim());
        const at = head.findIndex((name) => name.startsWith(column));
        const cell = grid.querySelector("tbody tr").children[at];
        const { x, y, width, height } = cell.getBoundingClientRect();
        return { x: x + width / 2, y: y + height / 2 };
    }, column);
    await page.mouse.click(box.x, box.y);
    await page.keyboard.press("Control+A");
    await page.keyboard.type(text);
    await page.keyboard.press("Enter");
}

test("server: the ticking table moves on the screen", async () => {
    const { page, wire, faults } = await openPage(browser, server, "server/market");
    const before = await gridUntil(page, (cells) => cells.length > 10 && cells[0].length >= 9);
    await gridUntil(page, (cells) => JSON.stringify(cells) !== JSON.stringify(before));
    assert.ok(wire.sent > 0);
    await keepPicture(page, "server");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("server: the viewer's own group-by draws groups that keep ticking", async () => {
    const { page, faults } = await openPage(browser, server, "server/market");
    await withViewer(page, (viewer) =>
        viewer.restore({ group_by: ["sector"], columns: ["price", "volume"], aggregates: { price: "avg", volume: "sum" } }),
    );
    const grouped = (cells) => cells.some((row) => row.some((cell) => cell.includes("Technology")));
    const before = await gridUntil(page, (cells) => grouped(cells) && cells.length === 7);
    await gridUntil(page, (cells) => cells.length === 7 && JSON.stringify(cells) !== JSON.stringify(before));
    await keepPicture(page, "server-grouped");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("server: a cell edit reaches a second page and survives a reload", async () => {
    const [first, second] = await Promise.all([
        openPage(browser, server, "server/market"),
        openPage(browser, server, "server/market"),
    ]);
    await gridUntil(first.page, (cells) => cells.length > 10);
    await typeInto(first.page, "note", "seen");
    await gridUntil(second.page, (cells) => cells[0]?.includes("seen"));
    await first.page.reload();
    await settled(first.page);
    const cells = await gridUntil(first.page, (cells) => cells[0]?.includes("seen"));
    assert.equal(await serverCell("market", cells[0][0], "note"), "seen");
    assert.deepEqual([...first.faults, ...second.faults], []);
    await first.page.context().close();
    await second.page.context().close();
});

test("server: a chart over the ticking table is drawn", async () => {
    const { page, faults } = await openPage(browser, server, "server/market");
    await withViewer(page, (viewer) =>
        viewer.restore({ plugin: "Y Bar", group_by: ["sector"], columns: ["volume"], aggregates: { volume: "sum" } }),
    );
    // The bars cover a good part of the screenshot.
    await pictureUntil(page, (share) => share.bars > 0.1);
    await keepPicture(page, "chart");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("replicated: deltas arrive, and scrolling sends no requests", async () => {
    const { page, wire, faults } = await openPage(browser, server, "replica/superstore");
    await gridUntil(page, (cells) => cells.length > 10);
    const sent = wire.sent;
    const top = await gridCells(page);
    await scrollGrid(page, 40_000);
    await gridUntil(page, (cells) => cells.length > 10 && cells[0][0] !== top[0][0]);
    await withViewer(page, (viewer) => viewer.restore({ group_by: ["Region", "State"], columns: ["Sales", "Profit"] }));
    await gridUntil(page, (cells) => cells.some((row) => row.some((cell) => cell.includes("Central"))));
    // It may only compare its copy's size with the server's: at most once a second, and only after a change.
    assert.equal(wire.sent, sent, "scrolling and pivoting sent frames");
    assert.deepEqual(faults, []);

    await page.evaluate(() => (location.hash = "#replica/market"));
    await page.waitForFunction(() => document.title.startsWith("market"));
    await settled(page);
    const before = await gridUntil(page, (cells) => cells.length > 10 && cells[0].length >= 9);
    const sentBefore = wire.sent;
    await gridUntil(page, (cells) => JSON.stringify(cells) !== JSON.stringify(before));
    assert.equal(wire.sent, sentBefore, "following the server sent frames");
    await keepPicture(page, "replicated");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("replicated: an edit goes to the server and comes back to all", async () => {
    const [first, second] = await Promise.all([
        openPage(browser, server, "replica/market"),
        openPage(browser, server, "replica/market"),
    ]);
    await gridUntil(first.page, (cells) => cells.length > 10);
    await typeInto(first.page, "note", "mine");
    const cells = await gridUntil(second.page, (cells) => cells[0]?.includes("mine"));
    assert.equal(await serverCell("market", cells[0][0], "note"), "mine");
    assert.deepEqual([...first.faults, ...second.faults], []);
    await first.page.context().close();
    await second.page.context().close();
});

test("browser: a dropped CSV becomes a table, and no socket is open", async () => {
    const { page, wire, faults } = await openPage(browser, server, "browser");
    await page.waitForSelector("#tables .none");
    const csv = ["day,kind,amount", ...Array.from({ length: 500 }, (_, n) => `2026-01-${1 + (n % 28)},${"abc"[n % 3]},${n}`)];
    await page.evaluate((text) => {
        const files = new DataTransfer();
        files.items.add(new File([text], "dropped.csv", { type: "text/csv" }));
        document.getElementById("stage").dispatchEvent(new DragEvent("drop", { dataTransfer: files, bubbles: true }));
    }, csv.join("\n"));
    await settled(page);
    await gridUntil(page, (cells) => cells.length > 10);
    await withViewer(page, (viewer) => viewer.restore({ group_by: ["kind"], columns: ["amount"] }));
    await gridUntil(page, (cells) => cells.some((row) => row.some((cell) => cell.includes("124,750"))));
    assert.deepEqual(wire, { sockets: 0, sent: 0, received: 0 });
    await keepPicture(page, "browser");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("the published client's worker() runs our engine", async () => {
    const { page } = await openPage(browser, server, "browser");
    const answer = await page.evaluate(async () => {
        const { perspective } = await import("/page/perspective.js");
        const { openEngine } = await import("/js/index.js");
        const client = await openEngine(perspective);
        const table = await client.table({ x: [1, 2, 3, 4], g: ["a", "b", "a", "b"] }, { name: "t", index: "x" });
        const view = await table.view({ group_by: ["g"], columns: ["x"] });
        const updated = new Promise((resolve) => view.on_update(resolve));
        await table.update([{ x: 5, g: "a" }]);
        await updated;
        await table.remove([2]);
        return [await client.get_hosted_table_names(), await table.schema(), await view.to_columns()];
    });
    const columns = { __ROW_PATH__: [[], ["a"], ["b"]], x: [13, 9, 4] };
    assert.deepEqual(answer, [["t"], { x: "integer", g: "string" }, columns]);
    await page.context().close();
});

test("a lost connection is shown and reopened", async () => {
    const own = await startServer("--demo");
    const { page } = await openPage(browser, own, "server/market");
    const port = new URL(own.http).port;
    await own.stop();
    await page.waitForSelector('#connection[data-state="waiting"]');
    const again = await startServer("--demo", "--listen", `127.0.0.1:${port}`);
    try {
        await page.waitForSelector('#connection[data-state="connected"]');
        await settled(page);
        await gridUntil(page, (cells) => cells.length > 10);
    } finally {
        await page.context().close();
        await again.stop();
    }
});

test("the page is dark for those who prefer it", async () => {
    const { page } = await openPage(browser, server, "server/market", { colorScheme: "dark" });
    await gridUntil(page, (cells) => cells.length > 10);
    assert.equal(await page.evaluate(() => document.documentElement.dataset.theme), "dark");
    await keepPicture(page, "dark");
    await page.context().close();
});
