// The viewer: one table, in one of the three modes.

import { Replica } from "../js/replica.js";
import { viewerTheme } from "./theme.js";

/** Time for a server to close the viewer's views. */
const CLOSE_MS = 1000;

const stage = document.getElementById("stage");
const curtain = document.getElementById("curtain");

/** The open table: `{mode, table, viewer, replica}`. */
let shown;
/** Counts what is asked for: an opening that is no longer the last one ends. */
let turn = 0;
/** The running closing, if any. */
let closing = Promise.resolve();

export function current() {
    return shown;
}

/** Shows a message in place of a table. */
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
 * Opens `table` and hides the message. `server` and `local` are clients, as far as the mode needs them. A `layout` that came
 * with a link is shown in place of the one that was kept, and passed to `onLayout` when it changes, instead of being kept.
 */
export async function open({ mode, table, layout, server, local, onError, onLayout }) {
    showCurtain(table, "Opening…");
    turn += 1;
    const mine = turn;
    await closeShown();
    if (mine !== turn) {
        return;
    }
    const opened = { mode, table, onLayout: layout && onLayout };
    shown = opened;
    showCurtain(table, mode === "replica" ? "Copying the table into this tab…" : "Opening…");
    let client = mode === "server" ? server : local;
    let name = table;
    if (mode === "replica") {
        // A name of its own, since a table of this tab may have the same name.
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
    opened.ready = viewer
        .load(client)
        .then(() => viewer.restore({ ...(layout ?? keptLayout(mode, table)), table: name, title: table, theme: viewerTheme() }));
    await opened.ready;
    if (shown !== opened) {
        return;
    }
    viewer.addEventListener("perspective-config-update", () => keepLayout(opened));
    curtain.hidden = true;
}

/** Closes the viewer. Failing to delete views on a lost server is no error. */
export function close() {
    turn += 1;
    return closeShown();
}

function closeShown() {
    const old = shown;
    shown = undefined;
    if (old) {
        closing = closing.then(() => dispose(old));
    }
    return closing;
}

async function dispose(old) {
    if (old.viewer) {
        await deleteViewer(old);
    }
    await withTimeout(old.replica?.close());
}

/**
 * Deletes the viewer with its views. One that is still opening would make a view after its end, which nobody deletes; one
 * that is drawing would read a view that is gone.
 */
async function deleteViewer({ viewer, ready }) {
    const opening = ready
        .then(() => viewer.flush())
        .then(
            () => true,
            () => true,
        );
    if (!(await withTimeout(opening))) {
        opening.then(() => viewer.delete()).catch(() => {});
    }
    await withTimeout(viewer.delete());
    viewer.remove();
}

/** Waits for a promise with a timeout, and ignores its failure. */
function withTimeout(promise) {
    const timeout = new Promise((resolve) => setTimeout(resolve, CLOSE_MS));
    return Promise.race([promise, timeout]).catch(() => {});
}

export async function retheme() {
    await shown?.viewer?.restore({ theme: viewerTheme() });
}

const layoutKey = (mode, table) => `proscenium.layout.${mode}.${table}`;

function keptLayout(mode, table) {
    try {
        return JSON.parse(localStorage.getItem(layoutKey(mode, table))) ?? {};
    } catch {
        return {};
    }
}

/** The layout that the viewer shows: what a link or the browser's storage keeps of it. */
export async function layout() {
    const { theme, table, title, version, ...layout } = (await shown?.viewer?.save()) ?? {};
    return layout;
}

async function keepLayout({ mode, table, viewer, onLayout }) {
    if (shown?.viewer !== viewer) {
        return;
    }
    const changed = await layout();
    if (onLayout) {
        onLayout(changed);
    } else {
        localStorage.setItem(layoutKey(mode, table), JSON.stringify(changed));
    }
}
