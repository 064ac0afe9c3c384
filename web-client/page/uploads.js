// Files on their way: a line for each, with its bytes, a way to cancel it, and its error if it fails.

import { byId, element, setText, size } from "./dom.js";
import { formatOf, freeName } from "./formats.js";
import { load } from "./load.js";
import { textOf } from "./notices.js";

const lines = byId("uploads");

/**
 * Loads a file into a table named after it and resolves to the table's name, or to undefined if it was cancelled or
 * failed, which its line says.
 */
export async function loadFile(place, file, taken) {
    const line = newLine(file.name);
    try {
        const { stem, format } = formatOf(file.name);
        const name = freeName(stem, taken);
        await load(place, name, file, { format }, line.progress, line.signal);
        line.remove();
        return name;
    } catch (error) {
        if (error.name === "AbortError") {
            line.remove();
        } else {
            const text = textOf(error);
            line.fail(text.startsWith(file.name) ? text : `${file.name}: ${text}`);
        }
        return undefined;
    }
}

function newLine(fileName) {
    const abort = new AbortController();
    const text = element("span", { class: "upload-text", textContent: "reading…" });
    const bar = element("progress", { max: 1, value: 0, "aria-label": `Upload of ${fileName}` });
    const button = element("button", { type: "button", textContent: "Cancel", "aria-label": `Cancel the upload of ${fileName}` });
    const node = element("li", { class: "upload" }, element("b", { textContent: fileName }), button, bar, text);
    button.addEventListener("click", () => {
        abort.abort();
        node.remove();
        byId("new").focus();
    });
    lines.append(node);
    return {
        signal: abort.signal,
        progress(sent, total) {
            bar.max = total || 1;
            bar.value = sent;
            setText(text, sent < total ? `${size(sent)} of ${size(total)}` : `${size(total)} sent; the server reads it…`);
        },
        fail(message) {
            bar.remove();
            node.classList.add("bad");
            text.setAttribute("role", "alert");
            text.textContent = message;
            button.textContent = "Dismiss";
            button.setAttribute("aria-label", `Dismiss the error of ${fileName}`);
        },
        remove: () => node.remove(),
    };
}

/** Accepts files dropped on `zone`, which has the class `over` while files are dragged over it. */
export function acceptDrops(zone, onFiles) {
    let depth = 0;
    zone.addEventListener("dragenter", (event) => {
        event.preventDefault();
        depth += 1;
        zone.classList.add("over");
    });
    zone.addEventListener("dragover", (event) => event.preventDefault());
    zone.addEventListener("dragleave", () => {
        depth -= 1;
        if (depth === 0) {
            zone.classList.remove("over");
        }
    });
    zone.addEventListener("drop", (event) => {
        event.preventDefault();
        depth = 0;
        zone.classList.remove("over");
        onFiles([...event.dataTransfer.files]);
    });
}
