// Subscribes to edits of a worker's tables, in the form in which they were sent.
//
// A row delta contains whole rows, an edit a few cells of one. Forwarding whole rows would overwrite cells that have
// changed meanwhile, so the worker also posts each update as it was sent.

/** The worker of each client that `openEngine` returned. */
const workers = new WeakMap();

export function rememberWorker(client, worker) {
    workers.set(client, worker);
}

/**
 * Calls `onEdit(format, data)` for every update of `table` through a port other than 0 and `feedPort`; `data` has the
 * form that the client's `update` accepts. Returns a function that ends the subscription, or undefined if the client's
 * worker is unknown.
 */
export function watchEdits(client, table, feedPort, onEdit) {
    const worker = workers.get(client);
    if (!worker) {
        return undefined;
    }
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = ({ data: { format, data } }) => onEdit(format, decode(format, data));
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
