// The engine's worker. It accepts these messages:
//
//   {cmd: "engine", module}       the compiled engine; the first one counts
//   {cmd: "init", args: [wasm]}   begins the connection, with this engine if there is none; acknowledged by one message
//   {cmd: "port"} + a port        serves the port as a further connection
//   {cmd: "edits"} + a port       posts each edit of a table to the port (see edits.js)
//   an ArrayBuffer                one Request; its Responses are posted back, one message each
//
// Runs as a dedicated or as a shared worker. All connections share the tables; each has its own views, which are closed
// with its port.

import start, { Engine } from "../engine/engine.js";

/** The engine of all connections, created by the first that sends its bytes. */
let engine;

async function startEngine(wasm) {
    await start({ module_or_path: wasm });
    return new Engine();
}

function serve(port) {
    let connection;
    port.onmessage = async ({ data, ports }) => {
        if (data?.cmd === "port") {
            serve(ports[0]);
        } else if (data?.cmd === "engine") {
            engine ??= startEngine(data.module);
        } else if (data?.cmd === "init") {
            engine ??= startEngine(data.args[0]);
            connection = (await engine).connect((bytes) => port.postMessage(bytes, [bytes.buffer]));
            port.postMessage(null);
        } else if (data?.cmd === "edits") {
            const onEdit = (format, data) => ports[0].postMessage({ format, data }, [data.buffer]);
            (await engine).watchEdits(data.table, data.feedPort, onEdit);
        } else if (connection) {
            connection.handle(new Uint8Array(data));
        }
    };
    port.addEventListener?.("close", () => {
        connection?.free();
        connection = undefined;
    });
    port.start?.();
}

if (typeof SharedWorkerGlobalScope !== "undefined" && self instanceof SharedWorkerGlobalScope) {
    self.onconnect = ({ ports }) => serve(ports[0]);
} else {
    serve(self);
}
