// What can be done with the open table: share, download, use in a program, delete.

import { openDialog, showError } from "./dialogs.js";
import { byId, copyText, element, setText } from "./dom.js";
import { DOWNLOADS, ENDINGS } from "./formats.js";
import { notify, textOf } from "./notices.js";
import { checkDownload, deleteTable, tableUrl } from "./server.js";
import { snippets } from "./snippets.js";

const bar = byId("table-bar");

/** What the bar acts on; `layout()`, `link()`, `client()`, `release()` and `reopen()` are the page's. */
let target;

/** Shows the bar for an open table; without one it is hidden. */
export function showBar(opened) {
    target = opened;
    showBarError(undefined);
    bar.hidden = !opened;
    if (opened) {
        byId("table-name").textContent = opened.table;
        byId("code-open").hidden = opened.mode === "browser";
    }
}

/** Shows what went wrong under the bar's buttons, until the next of them is used. */
function showBarError(text) {
    setText(byId("table-error"), text ?? "");
}

bar.addEventListener("click", () => showBarError(undefined), true);

byId("link").addEventListener("click", async () => {
    try {
        await copyText(await target.link());
        notify("The link is in the clipboard. It opens this table with this layout.");
    } catch (error) {
        showBarError(textOf(error));
    }
});

/* Downloads: the server's answer goes to a file as it arrives; a table of this tab is written here. */

const menu = byId("download-menu");
menu.append(
    ...Object.entries(DOWNLOADS).map(([format, name]) => {
        const item = element("button", { type: "button", role: "menuitem", textContent: name });
        item.addEventListener("click", () => download(format));
        return item;
    }),
);
menu.addEventListener("toggle", (event) => {
    const isOpen = event.newState === "open";
    byId("download").setAttribute("aria-expanded", String(isOpen));
    if (isOpen) {
        const { bottom, right } = byId("download").getBoundingClientRect();
        Object.assign(menu.style, { top: `${bottom + 4}px`, right: `${innerWidth - right}px` });
        menu.querySelector("button").focus();
    }
});
menu.addEventListener("keydown", (event) => {
    const items = [...menu.children];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step) {
        event.preventDefault();
        items[(items.indexOf(document.activeElement) + step + items.length) % items.length].focus();
    }
});

async function download(format) {
    menu.hidePopover();
    showBarError(undefined);
    byId("download").focus();
    const { table, mode } = target;
    const name = `${table.replaceAll("/", "-")}.${ENDINGS[format]}`;
    try {
        if (mode === "browser") {
            const url = URL.createObjectURL(new Blob([await written(format)]));
            save(url, name);
            setTimeout(() => URL.revokeObjectURL(url), 60_000);
        } else {
            await checkDownload(table, format);
            save(tableUrl(table, { format }), name);
        }
    } catch (error) {
        showBarError(`${table} was not downloaded: ${textOf(error)}`);
    }
}

function save(href, download) {
    const link = element("a", { href, download });
    document.body.append(link);
    link.click();
    link.remove();
}

async function written(format) {
    const view = await (await target.client().open_table(target.table)).view();
    try {
        switch (format) {
            case "csv":
                return await view.to_csv();
            case "json":
                return await view.to_json_string();
            case "columns":
                return await view.to_columns_string();
            case "ndjson":
                return await view.to_ndjson();
            default:
                return await view.to_arrow();
        }
    } finally {
        await view.delete();
    }
}

/* Programs */

const code = byId("code");
let texts;

byId("code-open").addEventListener("click", async () => {
    texts = snippets(target.table, await target.layout());
    openDialog("code");
    byId("code-title").textContent = `${target.table} in a program`;
    showCode();
});
for (const radio of code.querySelectorAll("input[name=language]")) {
    radio.addEventListener("change", showCode);
}
byId("code-copy").addEventListener("click", async () => {
    try {
        await copyText(byId("code-text").textContent);
        byId("code-done").textContent = "Copied";
    } catch (error) {
        showError(code, error);
    }
});

function showCode() {
    byId("code-text").textContent = texts[code.querySelector("input[name=language]:checked").value];
    byId("code-done").textContent = "";
}

/* Deletion: the page's own views are closed first, since a table with views is kept. */

byId("delete-open").addEventListener("click", () => {
    const { table, mode } = target;
    byId("delete-title").textContent = `Delete ${table}?`;
    byId("delete-text").textContent =
        mode === "browser" ? "Its rows are in this tab only." : "Its rows are deleted on the server, for everybody.";
    byId("delete-later").hidden = true;
    openDialog("delete");
});
byId("delete-now").addEventListener("click", () => remove(false));
byId("delete-later").addEventListener("click", () => remove(true));

/** Deletes the table, or with `isLazy` says to delete it when its last view is closed. */
async function remove(isLazy) {
    const dialog = byId("delete");
    const { table, mode } = target;
    const buttons = dialog.querySelectorAll("button");
    buttons.forEach((button) => (button.disabled = true));
    showError(dialog, undefined);
    try {
        await target.release();
        if (isLazy) {
            // Answered only when the last view is closed.
            const doomed = await target.client().open_table(table);
            doomed.delete({ lazy: true }).catch((error) => notify(textOf(error), true));
        } else if (mode === "browser") {
            await (await target.client().open_table(table)).delete();
        } else {
            await deleteTable(table);
        }
        buttons.forEach((button) => (button.disabled = false));
        dialog.close();
        notify(isLazy ? `${table} is deleted when its last view is closed.` : `${table} is deleted.`);
        await target.deleted(table);
    } catch (error) {
        buttons.forEach((button) => (button.disabled = false));
        showError(dialog, error);
        byId("delete-later").hidden = error.code !== "in_use";
        await target.reopen();
    }
}
