// The server's status, for operators: read every two seconds while it is shown.

import { byId, count, duration, element, setText, size } from "./dom.js";
import { textOf } from "./notices.js";
import { recoveryText } from "./recovery.js";
import { readStatus } from "./server.js";

const PERIOD_MS = 2000;
/** Tables that are listed. */
const MOST = 500;
const panel = byId("server-status");

let timer;
let previous;

export function showStatus() {
    panel.hidden = false;
    clearTimeout(timer);
    previous = undefined;
    refresh();
}

export function hideStatus() {
    panel.hidden = true;
    clearTimeout(timer);
    timer = undefined;
}

async function refresh() {
    try {
        const reading = { ...(await readStatus()), at: performance.now() };
        if (panel.hidden) {
            return;
        }
        show(reading, previous);
        previous = reading;
        setText(byId("status-error"), "");
    } catch (error) {
        setText(byId("status-error"), textOf(error));
    }
    if (!panel.hidden) {
        clearTimeout(timer);
        timer = setTimeout(refresh, PERIOD_MS);
    }
}

/** What grew between two readings, a second. */
function rates(now, before) {
    const seconds = (now.at - before.at) / 1000;
    const versions = new Map(before.tables.map(({ name, version }) => [name, version]));
    const grown = now.tables.map(({ name, version }) => Math.max(0, version - (versions.get(name) ?? version)));
    return {
        requests: (now.requests_total - before.requests_total) / seconds,
        batches: grown.reduce((sum, number) => sum + number, 0) / seconds,
        received: (now.received_bytes_total - before.received_bytes_total) / seconds,
        sent: (now.sent_bytes_total - before.sent_bytes_total) / seconds,
        tables: new Map(now.tables.map(({ name }, at) => [name, grown[at] / seconds])),
    };
}

const state = ({ ready, recovery }) =>
    ready ? "ready" : recovery ? `recovers its tables: ${recoveryText(recovery)}` : "not ready";

const few = (number) => (number < 10 ? number.toFixed(1) : count(Math.round(number)));

function show(now, before) {
    const { sessions, memory, tables } = now;
    const rate = before && rates(now, before);
    const aSecond = (text) => (rate ? text(rate) : "…");
    const refused = Object.entries(memory.refused);
    const sum = (name) => tables.reduce((sum, table) => sum + table[name], 0);
    const cards = [
        ["Server", `version ${now.version}`, `${state(now)}, up ${duration(now.uptime_seconds)}`],
        ["Sessions", count(sessions.open), `${count(sessions.total)} since the start`],
        ["Views", count(now.views), `${count(sum("subscriptions"))} subscriptions`],
        ["Tables", count(tables.length), `${count(sum("rows"))} rows, ${size(sum("bytes"))}`],
        ["Requests", aSecond(({ requests }) => `${few(requests)}/s`), `${count(now.requests_total)} since the start`],
        ["Writes", aSecond(({ batches }) => `${few(batches)}/s`), "batches applied"],
        ["Sent", aSecond(({ sent }) => `${size(sent)}/s`), `${size(now.sent_bytes_total)} since the start`],
        ["Received", aSecond(({ received }) => `${size(received)}/s`), `${size(now.received_bytes_total)} since the start`],
        [
            "Refused",
            count(sessions.refused + refused.reduce((sum, [, number]) => sum + number, 0)),
            [`${count(sessions.refused)} sessions`, ...refused.map(([kind, number]) => `${count(number)} ${kind}`)].join(", "),
        ],
    ];
    showMemory(memory);
    byId("status-cards").replaceChildren(...cards.map(card));
    const rows = tables.slice(0, MOST).map((table) => [
        table.name,
        count(table.rows),
        size(table.bytes),
        count(table.version),
        rate ? few(rate.tables.get(table.name)) : "…",
        count(table.views),
        count(table.subscriptions),
        count(table.waiting),
    ]);
    if (tables.length > MOST) {
        rows.push([`${count(tables.length - MOST)} more`]);
    }
    byId("status-tables").replaceChildren(...rows.map(row));
}

function showMemory({ used_bytes, limit_bytes, reserved_bytes, peak_reserved_bytes }) {
    const meter = byId("memory-meter");
    meter.max = limit_bytes ?? used_bytes;
    meter.high = meter.max * 0.8;
    meter.value = used_bytes;
    const limit = limit_bytes === null ? "no limit" : `${size(used_bytes)} of ${size(limit_bytes)}`;
    setText(byId("memory-text"), `${limit}; requests hold ${size(reserved_bytes)}, at most ${size(peak_reserved_bytes)}`);
}

function card([title, figure, more]) {
    return element("div", { class: "card" }, element("dt", { textContent: title }), element("dd", {}, element("b", { textContent: figure }), element("small", { textContent: more })));
}

function row([name, ...figures]) {
    return element("tr", {}, element("th", { scope: "row", textContent: name }), ...figures.map((textContent) => element("td", { textContent })));
}
