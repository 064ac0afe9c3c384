// The server's HTTP endpoints: tables and status.

const base = (path) => new URL(path, document.baseURI.split("#")[0]).href;

export const HTTP = base(".").replace(/\/$/, "");

/** The sealed link by which the page was opened: it shows one table, whoever is logged in. */
export const LINK = new URLSearchParams(location.search).get("link");
export const WEBSOCKET = base("websocket").replace(/^http/, "ws") + (LINK ? `?token=${LINK}` : "");
const headers = LINK ? { authorization: `Bearer ${LINK}` } : {};

export const tableUrl = (name, query = {}) => {
    const given = Object.entries(query).filter(([, value]) => value !== undefined && value !== "");
    const parameters = new URLSearchParams(given).toString();
    return `${HTTP}/api/v1/tables/${encodeURIComponent(name)}${parameters ? `?${parameters}` : ""}`;
};

/** An error that the server answered; `code` is one of docs/errors.md. */
export class ServerError extends Error {
    constructor(text, code, status) {
        super(text);
        this.code = code;
        this.status = status;
    }
}

function errorOf(status, text) {
    try {
        const { error, code } = JSON.parse(text);
        return new ServerError(error, code, status);
    } catch {
        return new ServerError(`the server answered ${status}`, undefined, status);
    }
}

async function ask(url, options) {
    let response;
    try {
        response = await fetch(url, { headers, ...options });
    } catch {
        throw new Error("the server is not responding");
    }
    if (!response.ok) {
        throw errorOf(response.status, await response.text());
    }
    return response;
}

export const listTables = async () => (await ask(`${HTTP}/api/v1/tables`, { cache: "no-store" })).json();
export const readStatus = async () => (await ask(`${HTTP}/api/v1/status`, { cache: "no-store" })).json();
export const readSession = async () => (await ask(`${HTTP}/api/v1/session`, { cache: "no-store" })).json();
export const deleteTable = (name) => ask(tableUrl(name), { method: "DELETE" });

/** Fails with the server's error if a table cannot be downloaded. */
export async function checkDownload(name, format) {
    const url = tableUrl(name, { format });
    const head = await fetch(url, { method: "HEAD", cache: "no-store" }).catch(() => undefined);
    if (!head?.ok) {
        // The answer to HEAD has no text.
        await (await ask(url, { cache: "no-store" })).body?.cancel();
    }
}

/**
 * Sends `body` as a new table. `onProgress(sent, total)` is called with bytes; aborting `signal` ends the upload, of which
 * the server then keeps nothing.
 */
export function upload(name, body, { format, index, limit }, onProgress, signal) {
    return new Promise((resolve, reject) => {
        const request = new XMLHttpRequest();
        const cancelled = () => reject(new DOMException("cancelled", "AbortError"));
        request.open("PUT", tableUrl(name, { format, index, limit }));
        request.upload.addEventListener("progress", ({ loaded, total }) => onProgress(loaded, total));
        request.addEventListener("load", () =>
            request.status < 300 ? resolve() : reject(errorOf(request.status, request.responseText)),
        );
        request.addEventListener("error", () => reject(new Error("the connection to the server was lost")));
        request.addEventListener("abort", cancelled);
        signal.addEventListener("abort", () => request.abort());
        if (signal.aborted) {
            cancelled();
        } else {
            request.send(body);
        }
    });
}
