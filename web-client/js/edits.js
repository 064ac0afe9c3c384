// Hearing of edits in a worker's tables, in the words of whoever made them.
//
// A row delta holds whole rows; an edit is a few cells of one. Passing on whole rows would write cells back that have
// ticked meanwhile. So the worker also tells of each update as it was sent.

/** The worker behind each client that `openEngine` made. */
const workers = new WeakMap();

export function rememberWorker(client, worker) {
    workers.set(client, worker);
}

/**
 * Calls `told(format, data)` for every update of `table` through a port other than 0 and `feedPort`; `data` is what the
 * client's `update` takes. Returns a function that ends it, or undefined if the client's worker is not known.
 */
export function watchEdits(client, table, feedPort, told) {
    const worker = workers.get(client);
    if (!worker) {
        return undefined;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data: { format, data } }) => told(format, decode(format, data));
    worker.postMessage({ cmd: "edits", table, feedPort }, [port2]);
    return () => port1.close();
}

function decode(format, data) {
    if (format === "arrow") {
        return data;
    }
    const text = new TextDecoder().decode(data);
    return format === "json" || format === "columns" ? JSON.parse(text) : text;
}
