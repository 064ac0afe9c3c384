// Notices: what happened, for eyes and screen readers. Errors that have a control of their own are shown beside it instead.

import { byId, element } from "./dom.js";

const SHOWN_MS = 8000;

export function notify(text, isBad = false) {
    const line = element("p", { class: isBad ? "bad" : "", textContent: text });
    byId(isBad ? "alerts" : "notices").append(line);
    setTimeout(() => line.remove(), SHOWN_MS);
}

export const textOf = (error) => String(error?.message ?? error);
