// Small helpers for elements and numbers.

export const byId = (id) => document.getElementById(id);

/** An element with these properties and children; `class` and names with a dash are attributes. */
export function element(tag, properties = {}, ...children) {
    const node = document.createElement(tag);
    for (const [name, value] of Object.entries(properties)) {
        if (name === "class" || name === "for" || name === "role" || name.includes("-")) {
            node.setAttribute(name, value);
        } else {
            node[name] = value;
        }
    }
    node.append(...children);
    return node;
}

/** Sets an element's text if it is another one: an unchanged live region is not announced again. */
export function setText(node, text) {
    if (node.textContent !== text) {
        node.textContent = text;
    }
}

export const count = (number) => number.toLocaleString("en-US");

export const plural = (number, noun) => `${count(number)} ${noun}${number === 1 ? "" : "s"}`;

export function size(bytes) {
    const units = ["B", "kB", "MB", "GB", "TB"];
    let at = 0;
    for (; bytes >= 1000 && at < units.length - 1; at += 1) {
        bytes /= 1000;
    }
    return `${at === 0 || bytes >= 100 ? Math.round(bytes) : bytes.toFixed(1)} ${units[at]}`;
}

export function duration(seconds) {
    const [days, hours, minutes] = [seconds / 86400, (seconds / 3600) % 24, (seconds / 60) % 60].map(Math.floor);
    if (days > 0) {
        return `${days} d ${hours} h`;
    }
    return hours > 0 ? `${hours} h ${minutes} min` : minutes > 0 ? `${minutes} min` : `${Math.floor(seconds)} s`;
}

/** Copies a text to the clipboard, also where the page is not in a secure context. */
export async function copyText(text) {
    try {
        await navigator.clipboard.writeText(text);
    } catch {
        const box = element("textarea", { value: text, readOnly: true, class: "offscreen" });
        const host = document.querySelector("dialog[open]") ?? document.body;
        const before = document.activeElement;
        host.append(box);
        box.select();
        const isCopied = document.execCommand("copy");
        box.remove();
        before?.focus();
        if (!isCopied) {
            throw new Error("the browser does not let this page write to the clipboard");
        }
    }
}

/** Loads a style sheet; one that cannot be loaded is left out. */
export function loadStyle(href) {
    return new Promise((resolve) => {
        const link = element("link", { rel: "stylesheet", href, crossOrigin: "anonymous" });
        link.onload = link.onerror = resolve;
        document.head.append(link);
    });
}
