// The browser's engine, as WebAssembly, behind standard input: one line in, one line out.
//
//   {"reset": true}                       a new engine with two connections
//   {"session": 0, "frame": "base64"}     a request; returns all its messages, [[session, "base64"], ...]
//   {"close": 1}                          closes a connection and opens another
//
// `node worker.mjs <directory of engine.js> <generation of the clients>`

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { createInterface } from "node:readline";
import { pathToFileURL } from "node:url";

const [folder, client] = [resolve(process.argv[2]), process.argv[3]];
const { default: start, Engine } = await import(pathToFileURL(join(folder, "engine.js")));
await start({ module_or_path: await readFile(join(folder, "engine_bg.wasm")) });

let engine;
let connections = [];
let said = [];

function connect(session) {
    const send = (bytes) => said.push([session, Buffer.from(bytes).toString("base64")]);
    connections[session] = engine.connect(send, client);
}

for await (const line of createInterface({ input: process.stdin })) {
    const order = JSON.parse(line);
    said = [];
    if (order.reset) {
        connections.forEach((connection) => connection.free());
        engine?.free();
        engine = new Engine();
        [0, 1].forEach(connect);
    } else if (order.close !== undefined) {
        connections[order.close].free();
        connect(order.close);
    } else {
        connections[order.session].handle(new Uint8Array(Buffer.from(order.frame, "base64")));
    }
    process.stdout.write(JSON.stringify(said) + "\n");
}
