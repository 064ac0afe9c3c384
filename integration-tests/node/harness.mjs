// Starts the real server on free ports for one test file and stops it afterwards.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

import perspective from "@perspective-dev/client";

const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
export const BINARY = process.env.PROSCENIUM_BIN ?? fromRoot("target/debug/proscenium");
const ASSETS = process.env.PROSCENIUM_ASSETS ?? fromRoot("target/page");

/** Starts a server and resolves when it is ready. */
export async function startServer(...extra) {
    if (!existsSync(BINARY)) {
        throw new Error(`${BINARY} is missing: build it with cargo build -p proscenium-gateway`);
    }
    const assets = !extra.includes("--assets") && existsSync(`${ASSETS}/index.html`) ? ["--assets", ASSETS] : [];
    const listen = extra.includes("--listen") ? [] : ["--listen", "127.0.0.1:0"];
    return spawnServer(BINARY, ["serve", ...listen, "--flight", "127.0.0.1:0", ...assets, ...extra]);
}

/** Starts this binary and resolves when it is ready; `options` are those of the process. */
export async function spawnServer(binary, args, options = {}) {
    const child = spawn(binary, args, { stdio: ["ignore", "pipe", "pipe"], ...options });
    let complaints = "";
    child.stderr.on("data", (chunk) => (complaints += chunk));
    // An aborted test run leaves no server behind.
    process.once("SIGTERM", () => {
        child.kill("SIGKILL");
        process.exit(1);
    });
    const exited = new Promise((resolve) => child.once("exit", resolve));
    const server = {
        http: undefined,
        grpc: undefined,
        pid: child.pid,
        async stop() {
            child.kill("SIGTERM");
            return exited;
        },
        /** Ends it without giving it a chance to do anything. */
        async kill() {
            child.kill("SIGKILL");
            return exited;
        },
    };
    await new Promise((resolve, reject) => {
        exited.then((code) => reject(new Error(`the server ended with ${code} before it was ready: ${complaints}`)));
        createInterface({ input: child.stdout }).on("line", (line) => {
            const listening = /^listening (http|grpc):\/\/(\S+)$/.exec(line);
            if (listening) {
                server[listening[1]] = `${listening[1]}://${listening[2]}`;
            } else if (line === "ready") {
                resolve();
            }
        });
    });
    server.websocket = `${server.http.replace("http", "ws")}/websocket`;
    return server;
}

/** A published client on the server. */
export function connect(server) {
    return perspective.websocket(server.websocket);
}

/** A promise for the next call of a callback, and the callback. */
export function expectCall() {
    let called;
    const promise = new Promise((resolve) => (called = resolve));
    return { promise, called };
}

let count = 0;

/** A table name that no other test uses. */
export function freshName(stem = "t") {
    count += 1;
    return `${stem}-${count}`;
}
