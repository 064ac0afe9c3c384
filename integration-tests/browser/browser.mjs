// Headless Chromium on the real page, with the traffic of its sockets.

import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

import { chromium } from "playwright-core";

const CHROMIUM = process.env.PROSCENIUM_CHROMIUM ?? "/usr/bin/chromium";
const ARTIFACTS = process.env.PROSCENIUM_ARTIFACTS ?? fileURLToPath(new URL("../../artifacts", import.meta.url));

/** Further `options` are those of Chromium's command line. */
export function launch(...options) {
    const args = ["--no-sandbox", "--use-gl=angle", "--use-angle=swiftshader", "--enable-unsafe-swiftshader"];
    const quiet = ["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"];
    return chromium.launch({ executablePath: CHROMIUM, headless: true, args: [...args, ...quiet, ...options] });
}

/**
 * Opens the page at `hash` (way of working / table) and waits until the table is on the stage; without a table, until
 * the page stands. `wire` counts what its sockets carry; `faults` are errors of the page.
 */
export async function openPage(browser, server, hash, { colorScheme = "light", width = 1400, height = 820 } = {}) {
    const context = await browser.newContext({ viewport: { width, height }, colorScheme });
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    const wire = { sockets: 0, sent: 0, received: 0 };
    const faults = [];
    page.on("websocket", (socket) => {
        wire.sockets += 1;
        // Texts acknowledge what was received.
        socket.on("framesent", ({ payload }) => (wire.sent += typeof payload === "string" ? 0 : 1));
        socket.on("framereceived", () => (wire.received += 1));
    });
    page.on("pageerror", (error) => faults.push(error.message));
    await page.goto(`${server.http}/#${hash}`);
    if (hash.includes("/")) {
        await settled(page);
    } else {
        await page.waitForSelector("#curtain h1");
    }
    return { page, wire, faults };
}

/** Waits until a table is shown. */
export async function settled(page) {
    await page.waitForFunction(() => document.getElementById("curtain").hidden);
    await page.waitForSelector("perspective-viewer");
}

/** Calls `body(viewer, argument)` in the page. */
export function withViewer(page, body, argument) {
    return page.evaluate(
        ([source, argument]) => {
            const body = new Function(`return (${source})`)();
            return body(document.querySelector("perspective-viewer"), argument);
        },
        [body.toString(), argument],
    );
}

/** Runs in the page: the grid's table element, which may be inside shadow roots. */
function findGrid(root = document) {
    for (const element of root.querySelectorAll("*")) {
        if (element.localName === "regular-table") {
            return element;
        }
        const inside = element.shadowRoot && findGrid(element.shadowRoot);
        if (inside) {
            return inside;
        }
    }
    return undefined;
}

/** Calls `body(grid, argument)` in the page, `grid` being undefined while there is none. */
export function withGrid(page, body, argument) {
    return page.evaluate(
        ([find, source, argument]) => new Function("argument", `${find}; return (${source})(findGrid(), argument)`)(argument),
        [findGrid.toString(), body.toString(), argument],
    );
}

/** The text of the grid's body cells, row by row, as shown on the screen. */
export function gridCells(page) {
    return withGrid(page, (grid) => {
        const text = (row) => [...row.children].map((cell) => cell.textContent.trim());
        return grid ? [...grid.querySelectorAll("tbody tr")].map(text) : [];
    });
}

/**
 * Turns the wheel over the grid until it has gone `distance` pixels, and waits for its last drawing: the published
 * grid draws from the view it scrolled, and reports "View not found" when a pivot takes that view away meanwhile.
 */
export async function scrollGrid(page, distance) {
    await page.mouse.move(700, 450);
    const from = await withGrid(page, (grid) => grid.scrollTop);
    for (let gone = 0; gone < distance; gone += 2000) {
        await page.mouse.wheel(0, 2000);
    }
    await withGrid(
        page,
        async (grid, end) => {
            while (grid.scrollTop < end) {
                await new Promise(requestAnimationFrame);
            }
            // The scroll event of the last step is dispatched in a frame of its own; drawings are sequential.
            await new Promise(requestAnimationFrame);
            await new Promise(requestAnimationFrame);
            await grid.draw();
        },
        from + distance,
    );
}

/** Waits until the grid's cells satisfy `accept`, and returns them. */
export async function gridUntil(page, accept) {
    const deadline = Date.now() + 30_000;
    for (;;) {
        const cells = await gridCells(page);
        if (accept(cells)) {
            return cells;
        }
        if (Date.now() > deadline) {
            throw new Error(`the grid never got there; it shows ${JSON.stringify(cells.slice(0, 5))}`);
        }
        // The grid draws in the browser's animation frames.
        await page.evaluate(() => new Promise(requestAnimationFrame));
    }
}

/** Saves a screenshot of the page to the artifacts. */
export async function keepPicture(page, name) {
    await mkdir(ARTIFACTS, { recursive: true });
    // What moves is shown where it ends.
    await page.screenshot({ path: join(ARTIFACTS, `${name}.png`), animations: "disabled" });
}

/** Waits until a screenshot satisfies `accept`: `bars` is the share of pixels in the color of a chart's bars. */
export async function pictureUntil(page, accept) {
    const deadline = Date.now() + 30_000;
    for (;;) {
        const share = await shares(page, (await page.screenshot()).toString("base64"));
        if (accept(share)) {
            return;
        }
        if (Date.now() > deadline) {
            throw new Error(`the picture never got there; it has ${JSON.stringify(share)}`);
        }
    }
}

function shares(page, png) {
    return page.evaluate(async (png) => {
        const bytes = Uint8Array.from(atob(png), (letter) => letter.charCodeAt(0));
        const picture = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
        const canvas = new OffscreenCanvas(picture.width, picture.height).getContext("2d");
        canvas.drawImage(picture, 0, 0);
        const { data } = canvas.getImageData(0, 0, picture.width, picture.height);
        let bars = 0;
        for (let at = 0; at < data.length; at += 4) {
            if (data[at] < 60 && data[at + 2] > 180) {
                bars += 1;
            }
        }
        return { bars: bars / (data.length / 4) };
    }, png);
}
