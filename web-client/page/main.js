// The page: a list of tables, a viewer, and three modes.
//
//   server    table and pivots on the server
//   replica   table on the server and a copy in this tab, pivots in this tab
//   browser   table and pivots in this tab; no connection is open
//
// The URL's fragment holds the mode and the table: #server/market.

import { Connection } from "./connection.js";
import { acceptDrops, makeTable } from "./files.js";
import { wire } from "./metered-socket.js";
import { showTables } from "./rail.js";
import * as stage from "./stage.js";
import { onTheme, toggleTheme } from "./theme.js";

const MODES = {
    server: "<b>Server</b>: table and pivots live on the server",
    replica: "<b>Replicated</b>: a synchronized copy of the server's table; pivots are computed in this tab",
    browser: "<b>Browser</b>: table and pivots live in this tab; nothing is sent anywhere",
};
const STATES = {
    idle: "not connected",
    connecting: "connecting…",
    connected: "connected",
    waiting: "connection lost, retrying",
};
const WEBSOCKET = Object.assign(new URL("websocket", document.baseURI), {
    protocol: location.protocol === "https:" ? "wss:" : "ws:",
    hash: "",
}).href;

const byId = (id) => document.getElementById(id);
const address = readAddress();
let mode = address.mode;
let table = address.table;
let tables = [];
let local;
let reopening = false;
/** The running change of mode, if any. */
let entering = Promise.resolve();
/** The clients whose list of tables this page is subscribed to. */
const followed = new WeakSet();

document.getElementById("theme").addEventListener("click", toggleTheme);
onTheme(() => stage.retheme());
showMode();

const { perspective, HAS_ENGINE, VIEWER_CSS } = await import("./perspective.js");
await loadStyle(VIEWER_CSS);

const connection = new Connection(perspective, WEBSOCKET, (state) => {
    const pill = byId("connection");
    pill.dataset.state = state;
    pill.lastElementChild.textContent = STATES[state];
    if (state === "waiting" && mode !== "browser" && connection.client === undefined) {
        stage.showCurtain("The server is not responding", "The page reconnects automatically.");
        reopenWhenLost();
    }
});
byId("connection").addEventListener("click", () => connection.retry());

for (const button of byId("modes").children) {
    button.addEventListener("click", () => enter(button.dataset.mode, undefined));
}
byId("file").addEventListener("change", async (event) => {
    await takeFiles([...event.target.files]);
    event.target.value = "";
});
acceptDrops(byId("drop"), takeFiles);
acceptDrops(byId("stage"), takeFiles);
addEventListener("hashchange", () => {
    const wanted = readAddress();
    if (wanted.mode !== mode || wanted.table !== table) {
        enter(wanted.mode, wanted.table);
    }
});
setInterval(showWire, 500);
offerModes();
await enter(mode, table);

/** Changes the mode and opens a table: the wanted one, or else the previous one, or else the first. */
function enter(nextMode, wanted) {
    entering = changeTo(nextMode, wanted);
    return entering;
}

async function changeTo(nextMode, wanted) {
    const before = table;
    await stage.close();
    mode = nextMode;
    table = wanted;
    showMode();
    try {
        if (mode !== "server") {
            await openLocal();
        }
        if (mode === "browser") {
            await connection.close();
        } else {
            stage.showCurtain("Connecting…", WEBSOCKET);
            const client = await connection.open();
            if (!client || mode !== nextMode) {
                return;
            }
            await follow(client);
        }
        await list();
        const names = tables.map(({ name }) => name);
        table ??= [before, names[0]].find((name) => names.includes(name));
        if (names.includes(table)) {
            await open(table);
        } else {
            showAddress();
            waitForTable();
        }
    } catch (error) {
        complain(error);
    }
}

async function open(name) {
    table = name;
    showAddress();
    showRail();
    try {
        await stage.open({ mode, table, server: connection.client, local, onError: complain });
    } catch (error) {
        if (stage.current()?.table === name) {
            await stage.close();
            stage.showCurtain(`${name} could not be opened`, String(error.message ?? error), true);
        }
    }
}

/** Subscribes to the list of tables. */
async function follow(client) {
    if (followed.has(client)) {
        return;
    }
    followed.add(client);
    let pending = Promise.resolve();
    await client.on_hosted_tables_update(() => {
        pending = pending.then(() => onTablesChanged(client)).catch(complain);
    });
}

async function onTablesChanged(client) {
    await entering;
    if (client !== connection.client || mode === "browser") {
        return;
    }
    await list();
    const isThere = tables.some(({ name }) => name === table);
    if (isThere && !stage.current()) {
        await open(table);
    } else if (!isThere && table === undefined && tables.length > 0) {
        await open(tables[0].name);
    } else if (!isThere && stage.current()) {
        await stage.close();
        waitForTable();
    }
}

function waitForTable() {
    if (table !== undefined) {
        stage.showCurtain(`There is no table ${table}`, "It opens as soon as it is created.");
    } else if (mode === "browser") {
        stage.showCurtain("No table", "Drop a CSV, JSON, NDJSON or Arrow file here.");
    } else {
        stage.showCurtain("Waiting for a table", "It opens as soon as one is created.");
    }
}

async function list() {
    const client = mode === "browser" ? local : connection.client;
    if (!client) {
        return;
    }
    const names = (await client.get_hosted_table_names()).filter((name) => !name.endsWith(" (replica)"));
    const found = await Promise.all(names.sort().map((name) => describe(client, name)));
    tables = found.filter(Boolean);
    showRail();
}

/** Resolves to undefined if the table was deleted meanwhile. */
async function describe(client, name) {
    try {
        const table = await client.open_table(name);
        const [rows, columns, index, limit] = await Promise.all([
            table.size(),
            table.columns(),
            table.get_index(),
            table.get_limit(),
        ]);
        return { name, rows, columns: columns.length, index: index ?? undefined, limit: limit ?? undefined };
    } catch {
        return undefined;
    }
}

async function reopenWhenLost() {
    if (reopening) {
        return;
    }
    reopening = true;
    try {
        await enter(mode, table);
    } finally {
        reopening = false;
    }
}

async function openLocal() {
    if (local) {
        return;
    }
    if (!(await engineIsThere())) {
        throw new Error("this server has no engine for the browser; if it is being built, wait a few minutes");
    }
    stage.showCurtain("Starting the engine in this tab…");
    const { openEngine } = await import("../js/index.js");
    local = await openEngine(perspective);
}

/** Whether the server has the engine for the browser, which a server that was just built may get later. */
async function engineIsThere() {
    return HAS_ENGINE || (await fetch("engine/engine.js", { cache: "no-store" })).ok;
}

/** Marks the modes that need the engine until it is there. */
async function offerModes() {
    const waiting = [...byId("modes").children].filter((button) => button.dataset.mode !== "server");
    while (!(await engineIsThere().catch(() => false))) {
        for (const button of waiting) {
            button.classList.add("later");
            button.setAttribute("aria-description", "the engine for the browser is not there yet");
        }
        await new Promise((resolve) => setTimeout(resolve, 5000));
    }
    for (const button of waiting) {
        button.classList.remove("later");
        button.removeAttribute("aria-description");
    }
}

async function takeFiles(files) {
    const client = mode === "browser" ? local : connection.client;
    if (!client) {
        complain(new Error("no connection: the file was not loaded"));
        return;
    }
    for (const file of files) {
        try {
            const taken = new Set(tables.map(({ name }) => name));
            const name = await makeTable(client, file, taken);
            await list();
            await open(name);
        } catch (error) {
            complain(error);
        }
    }
}

function showMode() {
    for (const button of byId("modes").children) {
        button.setAttribute("aria-checked", String(button.dataset.mode === mode));
    }
    byId("status-where").innerHTML = MODES[mode];
    byId("drop-hint").textContent =
        mode === "browser" ? "CSV, JSON, NDJSON, Arrow: stays in this tab" : "CSV, JSON, NDJSON, Arrow: to the server";
}

function showRail() {
    showTables(tables, table, mode, open);
}

function showWire() {
    const size = (bytes) => (bytes < 1e6 ? `${(bytes / 1e3).toFixed(1)} kB` : `${(bytes / 1e6).toFixed(1)} MB`);
    const count = (messages) => messages.toLocaleString("en-US");
    const { sent, received, bytesSent, bytesReceived } = wire;
    byId("status-wire").textContent =
        sent + received === 0
            ? "no traffic"
            : `sent ${count(sent)} (${size(bytesSent)}) · received ${count(received)} (${size(bytesReceived)})`;
    const replica = stage.current()?.replica;
    byId("status-table").textContent = replica
        ? `${replica.counts.deltas.toLocaleString("en-US")} deltas applied · ${replica.counts.edits} edits sent`
        : "";
}

function complain(error) {
    const line = document.createElement("p");
    line.className = "bad";
    line.textContent = String(error?.message ?? error);
    byId("toasts").append(line);
    setTimeout(() => line.remove(), 8000);
    if (!stage.current()) {
        stage.showCurtain("An error occurred", line.textContent, true);
    }
}

function readAddress() {
    const [mode, ...rest] = decodeURIComponent(location.hash.slice(1)).split("/");
    return { mode: mode in MODES ? mode : "server", table: rest.join("/") || undefined };
}

function showAddress() {
    const hash = table === undefined ? `#${mode}` : `#${mode}/${encodeURIComponent(table)}`;
    if (location.hash !== hash) {
        history.replaceState(null, "", hash);
    }
    document.title = table === undefined ? "Proscenium" : `${table} · Proscenium`;
}

function loadStyle(href) {
    return new Promise((resolve) => {
        const link = Object.assign(document.createElement("link"), { rel: "stylesheet", href, crossOrigin: "anonymous" });
        link.onload = link.onerror = resolve;
        document.head.append(link);
    });
}
