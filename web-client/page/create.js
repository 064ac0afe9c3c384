// The dialog that makes a table: from a file, a pasted text, or a list of columns.

import { openDialog, showError } from "./dialogs.js";
import { byId, element, setText, size } from "./dom.js";
import { formatOf, formatOfText, freeName } from "./formats.js";
import { load, makeEmpty } from "./load.js";

const dialog = byId("create");
const form = dialog.querySelector("form");
const { elements } = form;
const TYPES = ["string", "integer", "float", "boolean", "date", "datetime"];

let context;
let abort;

/** Opens the dialog. `place` is `{mode, client}`, `taken` the names in use; `onMade(name)` is called with the new table. */
export function openCreate({ place, taken, onMade }) {
    context = { place, taken, onMade };
    form.reset();
    byId("columns").replaceChildren(newColumn("id", "integer"), newColumn("", "string"));
    openDialog("create");
    showKind();
    setBusy(false);
    elements.name.value = freeName("table", taken);
    elements.name.select();
}

function showKind() {
    for (const panel of form.querySelectorAll("[data-kind]")) {
        panel.hidden = panel.dataset.kind !== elements.kind.value;
    }
    listColumns();
    showError(dialog, undefined);
}

function newColumn(name, type) {
    const input = element("input", { type: "text", value: name, "aria-label": "Column name", placeholder: "column", spellcheck: false });
    const select = element("select", { "aria-label": "Column type" }, ...TYPES.map((type) => element("option", { value: type, textContent: type })));
    select.value = type;
    const remove = element("button", { type: "button", class: "icon", textContent: "×", "aria-label": "Remove this column", title: "Remove this column" });
    const row = element("div", { class: "column" }, input, select, remove);
    input.addEventListener("input", listColumns);
    remove.addEventListener("click", () => {
        const next = row.nextElementSibling ?? row.previousElementSibling;
        row.remove();
        listColumns();
        (next?.querySelector("input") ?? byId("add-column")).focus();
    });
    return row;
}

/** Offers the schema's columns as the index. */
function listColumns() {
    const names = elements.kind.value === "schema" ? columns().map(({ name }) => name) : [];
    byId("index-names").replaceChildren(...names.filter(Boolean).map((value) => element("option", { value })));
}

const columns = () =>
    [...byId("columns").children].map((row) => ({
        input: row.querySelector("input"),
        name: row.querySelector("input").value.trim(),
        type: row.querySelector("select").value,
    }));

/** A mistake in the form; `control` is the one at fault. */
class FormError extends Error {
    constructor(text, control) {
        super(text);
        this.control = control;
    }
}

function readForm() {
    const name = elements.name.value.trim();
    if (!name) {
        throw new FormError("the table needs a name", elements.name);
    }
    if (context.taken.has(name)) {
        throw new FormError(`there is already a table ${name}`, elements.name);
    }
    const limit = elements.limit.value === "" ? undefined : Number(elements.limit.value);
    if (limit !== undefined && !(Number.isInteger(limit) && limit > 0 && limit < 2 ** 32)) {
        throw new FormError("the limit is a number of rows", elements.limit);
    }
    const index = elements.index.value.trim() || undefined;
    if (index !== undefined && limit !== undefined) {
        throw new FormError("a table has an index or a limit, not both", elements.limit);
    }
    return { name, index, limit };
}

function schema() {
    const found = {};
    for (const { name, type, input } of columns().filter(({ name }) => name)) {
        if (name in found) {
            throw new FormError(`there are two columns ${name}`, input);
        }
        found[name] = type;
    }
    if (Object.keys(found).length === 0) {
        throw new FormError("the table needs a column", byId("columns").querySelector("input") ?? byId("add-column"));
    }
    return found;
}

async function make() {
    const { name, index, limit } = readForm();
    const kind = elements.kind.value;
    const options = { index, limit };
    if (kind === "schema") {
        const columns = schema();
        if (index !== undefined && !(index in columns)) {
            throw new FormError(`the index ${index} is none of the columns`, elements.index);
        }
        await makeEmpty(context.place, name, columns, options);
        return name;
    }
    const control = kind === "file" ? elements.source : elements.text;
    const body = kind === "file" ? control.files[0] : control.value;
    if (!body || (kind === "paste" && !body.trim())) {
        throw new FormError(kind === "file" ? "choose a file" : "paste CSV, JSON or NDJSON", control);
    }
    try {
        const format = kind === "file" ? formatOf(body.name).format : formatOfText(body);
        await load(context.place, name, body, { format, ...options }, showProgress, abort.signal);
    } catch (error) {
        error.control ??= error.name === "AbortError" ? undefined : control;
        throw error;
    }
    return name;
}

function showProgress(sent, total) {
    byId("create-progress").hidden = false;
    Object.assign(byId("create-bar"), { max: total || 1, value: sent });
    setText(byId("create-sent"), sent < total ? `${size(sent)} of ${size(total)}` : "the server reads it…");
}

function setBusy(isBusy) {
    elements.make.disabled = isBusy;
    byId("create-progress").hidden = true;
}

form.addEventListener("submit", async (event) => {
    event.preventDefault();
    abort = new AbortController();
    showError(dialog, undefined);
    setBusy(true);
    try {
        const name = await make();
        dialog.close();
        context.onMade(name);
    } catch (error) {
        if (error.name !== "AbortError") {
            setBusy(false);
            showError(dialog, error, error.control);
        }
    } finally {
        setBusy(false);
    }
});
dialog.addEventListener("close", () => abort?.abort());
elements.kind.forEach((radio) => radio.addEventListener("change", showKind));
elements.source.addEventListener("change", () => {
    const file = elements.source.files[0];
    if (file && /^table(-\d+)?$/.test(elements.name.value)) {
        elements.name.value = freeName(file.name.replace(/\.[^.]+$/, ""), context.taken);
    }
});
byId("add-column").addEventListener("click", () => {
    const row = newColumn("", "string");
    byId("columns").append(row);
    row.querySelector("input").focus();
});
