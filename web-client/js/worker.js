// The engine's worker. What it is told:
//
//   {cmd: "init", args: [wasm]}   bytes or a compiled module; answered with one message, the acknowledgement
//   {cmd: "port"} + a port        serves that port as one more connection
//   {cmd: "edits"} + a port       posts each update of a table that is an edit to that port (see edits.js)
//   an ArrayBuffer                one Request; its Responses are posted back, one message each
//
// Runs as a dedicated and as a shared worker. All connections share the tables; each has its own views, which go with
// it when its port is closed.

import start, { Engine } from "../engine/engine.js";

/** One engine for all connections, made by the first that brings its bytes. */
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
        } else if (data?.cmd === "init") {
            engine ??= startEngine(data.args[0]);
            connection = (await engine).connect((bytes) => port.postMessage(bytes, [bytes.buffer]));
            port.postMessage(null);
        } else if (data?.cmd === "edits") {
            const tell = (format, data) => ports[0].postMessage({ format, data }, [data.buffer]);
            (await engine).watchEdits(data.table, data.feedPort, tell);
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
