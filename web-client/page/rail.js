// The list of tables, with a search. An entry keeps its element while its figures change, and so the focus.

import { byId, count, element, plural, setText, size } from "./dom.js";

const list = byId("tables");
const search = byId("search");
const none = element("li", { class: "none" });
/** Entries shown at once: the search finds the others. */
const MOST = 500;

const EMPTY = {
    server: ["The server hosts no table yet. Drop a file, or start it with one:", "proscenium serve --table trades=trades.csv,index=id"],
    browser: ["No tables yet. Drop a file: it stays in this tab, and no connection is open.", ""],
};

/** By table: its entry, button and texts. */
const entries = new Map();
let shown = { tables: [], current: undefined, mode: "server", onOpen() {} };

/** Shows the tables: `{name, rows, columns, index, limit, version, bytes, durable}`, as far as they are known. */
export function showTables(tables, current, mode, onOpen) {
    shown = { tables, current, mode, onOpen };
    draw();
}

function draw() {
    const { tables, current } = shown;
    const wanted = search.value.trim().toLowerCase();
    const found = tables.filter(({ name }) => name.toLowerCase().includes(wanted));
    const matching = found.slice(0, MOST);
    const names = new Set(matching.map(({ name }) => name));
    for (const [name, entry] of entries) {
        if (!names.has(name)) {
            entry.node.remove();
            entries.delete(name);
        }
    }
    none.remove();
    matching.forEach((table, at) => {
        const entry = entries.get(table.name) ?? newEntry(table.name);
        fill(entry, table, table.name === current);
        if (list.children[at] !== entry.node) {
            list.insertBefore(entry.node, list.children[at] ?? null);
        }
    });
    if (matching.length === 0) {
        explain(tables.length > 0, wanted);
    } else if (matching.length < found.length) {
        none.replaceChildren(`${count(found.length - matching.length)} more: search for them.`);
        list.append(none);
    }
    const all = count(tables.length);
    setText(byId("table-count"), found.length < tables.length ? `${count(found.length)} of ${all}` : tables.length ? all : "");
}

function explain(hasTables, wanted) {
    const [text, command] = hasTables ? [`No table's name contains “${wanted}”.`, ""] : (EMPTY[shown.mode] ?? EMPTY.server);
    none.replaceChildren(text);
    if (command) {
        none.append(element("code", { textContent: command }));
    }
    list.append(none);
}

function newEntry(name) {
    const [title, facts, more] = [element("b", { textContent: name }), element("small"), element("small")];
    const button = element("button", { type: "button", title: name }, title, facts, more);
    button.dataset.table = name;
    button.addEventListener("click", () => shown.onOpen(name));
    const entry = { node: element("li", {}, button), button, facts, more };
    entries.set(name, entry);
    return entry;
}

function fill({ button, facts, more }, table, isCurrent) {
    button.setAttribute("aria-current", String(isCurrent));
    const { rows, columns, index, limit, version, bytes, durable } = table;
    const first = [plural(rows, "row"), plural(columns, "column")];
    if (index) {
        first.push(`by ${index}`);
    }
    if (limit !== undefined) {
        first.push(`last ${count(limit)}`);
    }
    setText(facts, first.join(" · "));
    setText(more, version === undefined ? "" : `${size(bytes ?? 0)} · version ${count(version)}${durable ? " · durable" : ""}`);
}

/** Arrow keys, Home and End go through the list, and from the search into it. */
function onKey(event) {
    const buttons = [...list.querySelectorAll("button")];
    const at = buttons.indexOf(document.activeElement);
    const to = { ArrowDown: at + 1, ArrowUp: at - 1, Home: 0, End: buttons.length - 1 }[event.key];
    if (to === undefined || (at < 0 && event.key !== "ArrowDown")) {
        return;
    }
    event.preventDefault();
    (to < 0 ? search : buttons[Math.min(to, buttons.length - 1)])?.focus();
}

search.addEventListener("input", draw);
search.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && list.querySelector("button")) {
        event.preventDefault();
        list.querySelector("button").click();
    } else {
        onKey(event);
    }
});
list.addEventListener("keydown", onKey);
