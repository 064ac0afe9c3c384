// The engine that the published client asks for and does not need.

/** The empty WebAssembly module. */
const EMPTY = Uint8Array.of(0, 97, 115, 109, 1, 0, 0, 0);

/**
 * Registers an empty engine with the published client, which loads one for whatever it takes for a worker, and only once:
 * the first that was registered counts.
 */
export function registerNoEngine(perspective) {
    const response = new Response(EMPTY, { headers: { "content-type": "application/wasm" } });
    perspective.init_server(Promise.resolve(response), { disable_stage_0: true });
}
