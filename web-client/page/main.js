// The page: a list of tables, a viewer, and three modes.
//
//   server    table and pivots on the server
//   replica   table on the server and a copy in this tab, pivots in this tab
//   browser   table and pivots in this tab; no connection is open
//
// The URL's fragment holds what is shown: address.js.

import { addressOf, readAddress } from "./address.js";
import { Connection } from "./connection.js";
import { openCreate } from "./create.js";
import { byId, loadStyle, setText } from "./dom.js";
import { closeDrawer } from "./drawer.js";
import { engineIsThere, offerModes } from "./engine-modes.js";
import { keepFresh } from "./fresh.js";
import { checkLogin, showUser } from "./login.js";
import { notify, textOf } from "./notices.js";
import { checkRadio, radioKeys } from "./radios.js";
import { showTables } from "./rail.js";
import { untilRecovered } from "./recovery.js";
import { WEBSOCKET } from "./server.js";
import "./shortcuts.js";
import * as stage from "./stage.js";
import { hideStatus, showStatus } from "./status.js";
import { showBar } from "./table-bar.js";
import { clientTables, serverTables } from "./tables.js";
import { onTheme, toggleTheme } from "./theme.js";
import { acceptDrops, loadFile } from "./uploads.js";
import { showWire } from "./wire-line.js";

const MODES = {
    server: "<b>Server</b>: table and pivots live on the server",
    replica: "<b>Replicated</b>: a synchronized copy of the server's table; pivots are computed in this tab",
    browser: "<b>Browser</b>: table and pivots live in this tab; nothing is sent anywhere",
};
const STATES = {
    idle: "not connected",
    connecting: "connecting…",
    connected: "connected",
    behind: "connected, behind: updates are merged",
    waiting: "connection lost, retrying",
};
/** The figures in the list are this old at most, while the page is visible. */
const LIST_PERIOD_MS = 2000;

let { mode, table, layout, isStatus } = readAddress();
let tables = [];
let local;
/** The running change of mode, if any. */
let entering = Promise.resolve();
/** The clients whose list of tables this page is subscribed to. */
const followed = new WeakSet();

byId("theme").addEventListener("click", toggleTheme);
onTheme(() => stage.retheme());
showMode();
showUser();

const { perspective, HAS_ENGINE, VIEWER_CSS } = await import("./perspective.js");
await loadStyle(VIEWER_CSS);

const connection = new Connection(perspective, WEBSOCKET, (state) => {
    const pill = byId("connection");
    pill.dataset.state = state;
    setText(pill.lastElementChild, STATES[state]);
    if (state === "waiting") {
        checkLogin();
    }
});
byId("connection").addEventListener("click", () => connection.retry());

for (const button of byId("modes").children) {
    button.addEventListener("click", () => enter({ mode: button.dataset.mode }));
}
radioKeys(byId("modes"));
byId("file").addEventListener("change", async (event) => {
    const files = [...event.target.files];
    event.target.value = "";
    await takeFiles(files);
});
acceptDrops(byId("drop"), takeFiles);
acceptDrops(byId("stage"), takeFiles);
byId("new").addEventListener("click", async () => {
    if (mode === "browser") {
        await entering;
    }
    if (place().client) {
        openCreate({ place: place(), taken: names(), onMade });
    } else {
        complain(new Error("there is no connection to the server"));
    }
});
byId("status-close").addEventListener("click", (event) => {
    event.preventDefault();
    enter({ mode, table });
});
addEventListener("hashchange", () => {
    const wanted = readAddress();
    if (wanted.isStatus !== isStatus || wanted.mode !== mode || wanted.table !== table || wanted.layout) {
        enter(wanted.isStatus ? { mode, isStatus: true } : wanted);
    }
});
setInterval(showWire, 500);
// Without a server there is no list; the connection shows that.
keepFresh(() => list().catch(() => {}), LIST_PERIOD_MS);
offerModes(byId("modes"), HAS_ENGINE);
await enter({ mode, table, layout, isStatus });

/** Changes what is shown: a mode and a table (the wanted one, or else the previous one, or else the first), or the status. */
function enter(next) {
    entering = changeTo(next);
    return entering;
}

async function changeTo(next) {
    const before = table;
    showBar(undefined);
    await stage.close();
    ({ mode, table, layout, isStatus = false } = next);
    showMode();
    if (isStatus) {
        table = before;
        stage.showCurtain("");
        showStatus();
        showAddress();
    } else {
        hideStatus();
    }
    try {
        if (mode !== "server") {
            await openLocal();
        }
        if (mode === "browser") {
            await connection.close();
        } else {
            if (!isStatus) {
                stage.showCurtain("Connecting…", WEBSOCKET);
            }
            const client = await connection.open();
            const isWanted = () => client && mode === next.mode && isStatus === Boolean(next.isStatus);
            const show = (text) => isStatus || stage.showCurtain("The server recovers its tables", text);
            await untilRecovered(show, isWanted);
            if (!isWanted()) {
                return;
            }
            await follow(client);
        }
        await list();
        if (isStatus) {
            return;
        }
        table ??= [before, tables[0]?.name].find((name) => names().has(name));
        if (names().has(table)) {
            await open(table, layout);
        } else {
            showAddress();
            waitForTable();
        }
    } catch (error) {
        complain(error);
    }
}

async function open(name, linked) {
    if (isStatus) {
        await enter({ mode, table: name });
        return;
    }
    table = name;
    layout = linked;
    showAddress();
    showRail();
    showBar({ mode, table, layout: stage.layout, link, client: () => place().client, release: stage.close, reopen, deleted });
    try {
        const onLayout = (changed) => {
            layout = changed;
            showAddress();
        };
        await stage.open({ mode, table, layout, server: connection.client, local, onError: complain, onLayout });
    } catch (error) {
        if (stage.current()?.table === name) {
            await stage.close();
            stage.showCurtain(`${name} could not be opened`, textOf(error), true);
        }
    }
}

async function openFromList(name) {
    closeDrawer();
    await open(name);
}

async function link() {
    const layout = await stage.layout();
    return new URL(addressOf({ mode, table, layout }), location.href).href;
}

function reopen() {
    return open(table, layout);
}

async function deleted(name) {
    (byId("rail").inert ? byId("drawer") : byId("new")).focus();
    if (table === name) {
        table = undefined;
        await enter({ mode });
    } else {
        await list();
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
    // What is shown may have been changed meanwhile.
    await entering;
    // While the dialog deletes the open table, it decides what is shown next.
    if (isStatus || byId("delete").open) {
        return;
    }
    const isThere = names().has(table);
    if (isThere && !stage.current()) {
        await open(table, layout);
    } else if (!isThere && table === undefined && tables.length > 0) {
        await open(tables[0].name);
    } else if (!isThere && stage.current()) {
        showBar(undefined);
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

function names() {
    return new Set(tables.map(({ name }) => name));
}

/** Where tables are made and read: the mode and its client. */
function place() {
    return { mode, client: mode === "browser" ? local : connection.client };
}

async function list() {
    const { mode: asked, client } = place();
    if (!client) {
        return;
    }
    const found = await (asked === "browser" ? clientTables(client) : serverTables());
    if (asked === mode) {
        tables = found;
        showRail();
    }
}

async function openLocal() {
    if (local) {
        return;
    }
    if (!HAS_ENGINE && !(await engineIsThere())) {
        throw new Error("this server has no engine for the browser; if it is being built, wait a few minutes");
    }
    stage.showCurtain("Starting the engine in this tab…");
    const { openEngine } = await import("../js/index.js");
    local = await openEngine(perspective);
}

async function takeFiles(files) {
    if (mode === "browser") {
        // The engine may still be starting.
        await entering;
    }
    if (!place().client) {
        complain(new Error("no connection: the file was not loaded"));
        return;
    }
    for (const file of files) {
        const name = await loadFile(place(), file, names());
        if (name !== undefined) {
            await onMade(name);
        }
    }
}

async function onMade(name) {
    try {
        await list();
        notify(`${name} is made.`);
        closeDrawer();
        await open(name);
    } catch (error) {
        complain(error);
    }
}

function showMode() {
    checkRadio(byId("modes"), (button) => button.dataset.mode === mode);
    byId("status-where").innerHTML = MODES[mode];
    byId("drop-hint").textContent =
        mode === "browser" ? "CSV, JSON, NDJSON, Arrow: stays in this tab" : "CSV, JSON, Arrow, Parquet: to the server";
    byId("status-link").toggleAttribute("aria-current", isStatus);
}

function showRail() {
    showTables(tables, isStatus ? undefined : table, mode, openFromList);
}

function complain(error) {
    notify(textOf(error), true);
    if (!stage.current() && !isStatus) {
        stage.showCurtain("An error occurred", textOf(error), true);
    }
}

function showAddress() {
    const hash = isStatus ? "#status" : addressOf({ mode, table, layout });
    if (location.hash !== hash) {
        history.replaceState(null, "", hash);
    }
    const title = isStatus ? "Status" : table;
    document.title = title === undefined ? "Proscenium" : `${title} · Proscenium`;
}
