// Proscenium in the browser: the engine in a Web Worker, under the published Perspective client.
//
//   import perspective from "@perspective-dev/client";
//   import { openEngine, Replica } from "proscenium-web-client";
//
//   const local = await openEngine(perspective);                        // client-only
//   const table = await local.table(csv, { name: "trades" });
//
//   const server = await connect("ws://…/websocket", { perspective });  // server-only; survives breaks
//
//   const replica = await Replica.open({ server, local, table: "market" });  // replicated

import { rememberWorker } from "./edits.js";
import { registerNoEngine } from "./no-engine.js";

export { connect, connectionOf } from "./connect.js";
export { Replica } from "./replica.js";

const WASM = new URL("../engine/engine_bg.wasm", import.meta.url);

/** This module. Bundlers take a URL that is made of `import.meta.url` itself for a file to copy. */
const HERE = import.meta.url;

/**
 * Starts the engine in a Web Worker and returns a published client that is connected to it.
 *
 * A page that also uses the published client's own engine must open that before.
 *
 * @param perspective the published client's module
 * @param options.wasm the URL of engine_bg.wasm, or a Response or a promise of one
 * @param options.worker a Worker, SharedWorker or MessagePort that runs worker.js
 */
export async function openEngine(perspective, { wasm = WASM, worker = newWorker() } = {}) {
    const response = await (typeof wasm === "string" || wasm instanceof URL ? fetchEngine(wasm) : wasm);
    const module = await WebAssembly.compile(await response.arrayBuffer());
    // The client would pass the engine that was registered with it first, which may be another one.
    (worker.port ?? worker).postMessage({ cmd: "engine", module });
    registerNoEngine(perspective);
    const client = await perspective.worker(Promise.resolve(worker));
    rememberWorker(client, worker.port ?? worker);
    return client;
}

/** Creates a dedicated worker for `openEngine`. */
export function newWorker() {
    if (new URL(HERE).origin !== location.origin) {
        return workerOfAnotherSite();
    }
    // Bundlers recognize a worker by this form.
    return new Worker(new URL("./worker.js", import.meta.url), { type: "module", name: "proscenium" });
}

/** A page cannot start a worker from another site, such as a CDN, but from a text that imports it. */
function workerOfAnotherSite() {
    const text = `import ${JSON.stringify(new URL("./worker.js", HERE).href)};`;
    const url = URL.createObjectURL(new Blob([text], { type: "text/javascript" }));
    try {
        return new Worker(url, { type: "module", name: "proscenium" });
    } finally {
        URL.revokeObjectURL(url);
    }
}

/** Opens a further connection to a running worker: a port for another client, with views of its own. */
export function newPort(worker) {
    const { port1, port2 } = new MessageChannel();
    worker.postMessage({ cmd: "port" }, [port2]);
    return port1;
}

async function fetchEngine(url) {
    const response = await fetch(url);
    if (!response.ok) {
        throw new Error(`the engine could not be loaded: ${url} returned ${response.status}`);
    }
    return response;
}
