// What stands on the stage: one viewer on one table, by one of the three ways of working.

import { Replica } from "../js/replica.js";
import { viewerTheme } from "./theme.js";

/** How long a server may take to hear that its views are no longer needed. */
const PARTING_MS = 1000;

const stage = document.getElementById("stage");
const curtain = document.getElementById("curtain");

/** What is shown now: `{mode, table, viewer, replica}`. */
let shown;

export function current() {
    return shown;
}

/** Says something instead of a table. */
export function showCurtain(title, text = "", isBad = false) {
    curtain.className = isBad ? "curtain bad" : "curtain";
    const heading = document.createElement("h1");
    heading.textContent = title;
    const line = document.createElement("p");
    line.textContent = text;
    curtain.replaceChildren(heading, line);
    curtain.hidden = false;
}

/**
 * Opens `table` and lifts the curtain. `server` and `local` are clients, as far as the mode needs them.
 */
export async function open({ mode, table, server, local, onError }) {
    await close();
    const opened = { mode, table };
    shown = opened;
    showCurtain(table, mode === "replica" ? "Copying the table into this tab…" : "Opening…");
    let client = mode === "server" ? server : local;
    let name = table;
    if (mode === "replica") {
        // Its own name: a table of this tab may be called the same.
        name = `${table} (replica)`;
        opened.replica = await Replica.open({ server, local, table, name, onError });
        if (shown !== opened) {
            await opened.replica.close();
            return;
        }
    }
    const viewer = document.createElement("perspective-viewer");
    opened.viewer = viewer;
    stage.append(viewer);
    await viewer.load(client);
    await viewer.restore({ ...layoutOf(mode, table), table: name, title: table, theme: viewerTheme() });
    if (shown !== opened) {
        return;
    }
    viewer.addEventListener("perspective-config-update", () => keepLayout(opened));
    curtain.hidden = true;
}

/** Takes the viewer down. Views on a server that is gone cannot be deleted: that is no error. */
export async function close() {
    const old = shown;
    shown = undefined;
    if (!old) {
        return;
    }
    await parting(old.viewer?.delete());
    old.viewer?.remove();
    await parting(old.replica?.close());
}

/** Waits for a promise, not for ever, and not for its success. */
function parting(promise) {
    const late = new Promise((resolve) => setTimeout(resolve, PARTING_MS));
    return Promise.race([promise, late]).catch(() => {});
}

export async function retheme() {
    await shown?.viewer?.restore({ theme: viewerTheme() });
}

const layoutKey = (mode, table) => `proscenium.layout.${mode}.${table}`;

function layoutOf(mode, table) {
    try {
        return JSON.parse(localStorage.getItem(layoutKey(mode, table))) ?? {};
    } catch {
        return {};
    }
}

async function keepLayout({ mode, table, viewer }) {
    if (shown?.viewer !== viewer) {
        return;
    }
    const { theme, table: _, title, version, ...layout } = await viewer.save();
    localStorage.setItem(layoutKey(mode, table), JSON.stringify(layout));
}
