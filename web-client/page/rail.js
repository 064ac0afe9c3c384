// The list of tables.

const list = document.getElementById("tables");
const count = document.getElementById("table-count");

const EMPTY = {
    server: ["The server hosts no table yet.", "proscenium serve --table trades=trades.csv,index=id"],
    replica: ["The server hosts no table yet.", "proscenium serve --table trades=trades.csv,index=id"],
    browser: ["No tables yet. Drop a file: it stays in this tab, and no connection is open.", ""],
};

/** Shows the tables: `{name, rows, columns, index, limit}`, rows and columns if known. */
export function showTables(tables, current, mode, onOpen) {
    count.textContent = tables.length > 0 ? tables.length : "";
    list.replaceChildren(...tables.map((table) => item(table, table.name === current, onOpen)));
    if (tables.length === 0) {
        const [text, command] = EMPTY[mode];
        const none = element("li", "none", text);
        if (command) {
            none.append(element("code", "", command));
        }
        list.append(none);
    }
}

function item(table, isCurrent, onOpen) {
    const button = element("button", "");
    button.type = "button";
    button.dataset.table = table.name;
    button.title = table.name;
    button.setAttribute("aria-current", String(isCurrent));
    button.append(element("b", "", table.name), element("small", "", facts(table)));
    button.addEventListener("click", () => onOpen(table.name));
    const entry = element("li", "");
    entry.append(button);
    return entry;
}

function facts({ rows, columns, index, limit }) {
    const parts = [];
    if (rows !== undefined) {
        parts.push(`${rows.toLocaleString("en-US")} rows`, `${columns} columns`);
    }
    if (index) {
        parts.push(`by ${index}`);
    }
    if (limit !== undefined) {
        parts.push(`last ${limit.toLocaleString("en-US")}`);
    }
    return parts.join(" · ") || " ";
}

function element(tag, className, text = "") {
    const node = document.createElement(tag);
    node.className = className;
    node.textContent = text;
    return node;
}
