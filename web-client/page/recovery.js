// A server that recovers its tables: how far it has come.

import { count, size } from "./dom.js";
import { readStatus } from "./server.js";

const PERIOD_MS = 500;

/** What a reading of the status says about a recovery. */
export function recoveryText({ phase, tables, tables_total, bytes, bytes_total, rows }) {
    const parts = [phase];
    if (tables_total > 0) {
        parts.push(`${count(tables)} of ${count(tables_total)} tables`);
    }
    if (bytes_total > 0) {
        parts.push(`${size(bytes)} of ${size(bytes_total)}`);
    }
    parts.push(`${count(rows)} rows so far`);
    return parts.join(", ");
}

/** Who may not see the status learns of a recovery by requests that are refused meanwhile. */
function withoutRights(error) {
    if (error.code === "not_authorized") {
        return {};
    }
    throw error;
}

/** Resolves once the server has recovered its tables, or `isWanted` is false; calls `show` with the progress meanwhile. */
export async function untilRecovered(show, isWanted) {
    while (isWanted()) {
        const { recovery } = await readStatus().catch(withoutRights);
        if (!recovery) {
            return;
        }
        if (isWanted()) {
            show(recoveryText(recovery));
        }
        await new Promise((resolve) => setTimeout(resolve, PERIOD_MS));
    }
}
