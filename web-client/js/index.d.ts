import type { Client } from "@perspective-dev/client";

export { connect, connectionOf } from "./connect.js";
export type { Connection, ConnectionState, ConnectOptions } from "./connect.js";
export { Replica } from "./replica.js";
export type { ReplicaCounts, ReplicaOptions } from "./replica.js";

/** What `openEngine` needs of the published client's module, its default export. */
export interface PerspectiveModule {
    init_server(wasm: Promise<Response>, options?: { disable_stage_0?: boolean }): void;
    worker(worker?: Promise<Worker | SharedWorker | MessagePort>): Promise<Client>;
}

export interface EngineOptions {
    /** Where engine_bg.wasm is, or a response with it. By default it is beside this package's modules. */
    wasm?: string | URL | Response | Promise<Response>;
    /** What runs this package's worker.js. By default a new worker of this tab. */
    worker?: Worker | SharedWorker | MessagePort;
}

/**
 * Starts the engine in a Web Worker and returns a published client that is connected to it.
 *
 * A page that also uses the published client's own engine must open that before.
 */
export function openEngine(perspective: PerspectiveModule, options?: EngineOptions): Promise<Client>;

/** Creates a dedicated worker for `openEngine`. */
export function newWorker(): Worker;

/** Opens a further connection to a running worker: a port for another client, with views of its own. */
export function newPort(worker: Worker | MessagePort): MessagePort;
