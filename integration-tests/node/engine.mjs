// The browser's engine in node: the published client calls the WebAssembly module through plain functions.

import { readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

import { make_client } from "@perspective-dev/client";

const ASSETS = process.env.PROSCENIUM_ASSETS ?? fileURLToPath(new URL("../../target/page", import.meta.url));

/** An engine, as a function that connects one more client to it. */
export async function startEngine() {
    // The page's folder does not state that its scripts are modules.
    const script = readFileSync(`${ASSETS}/engine/engine.js`);
    const { default: start, Engine } = await import(`data:text/javascript;base64,${script.toString("base64")}`);
    await start({ module_or_path: readFileSync(`${ASSETS}/engine/engine_bg.wasm`) });
    const engine = new Engine();
    return async () => {
        let connection;
        const client = await make_client(
            async (request) => connection.handle(request.slice()),
            async () => connection.free(),
        );
        connection = engine.connect((response) => client.handle_response(response));
        return client;
    };
}
