// Receives a long reply with node's `ws` or a page in Chromium: see sections/exports.py. Each line of standard input has
// a server's WebSocket address and two requests in hexadecimal. For each line it prints the milliseconds from the second
// request to the complete reply, and the reply's bytes. Ends with its input.

import { createInterface } from "node:readline";

import { launch } from "../browser/browser.mjs";
import { WebSocket as NodeWebSocket } from "ws";

/** Runs here or in a page: opens a view with the first request, and times the reply to the second. */
function receive(Socket, [url, opening, asking]) {
    const bytes = (hex) => Uint8Array.from(hex.match(/../g), (pair) => Number.parseInt(pair, 16));
    return new Promise((resolve, reject) => {
        const socket = new Socket(url, ...(globalThis.window ? [] : [{ perMessageDeflate: false, maxPayload: 2 ** 31 }]));
        socket.binaryType = "arraybuffer";
        let start;
        socket.onopen = () => socket.send(bytes(opening));
        socket.onerror = (event) => reject(new Error(event.message ?? `no connection to ${url}`));
        socket.onmessage = ({ data }) => {
            if (start === undefined) {
                start = performance.now();
                socket.send(bytes(asking));
            } else {
                resolve([performance.now() - start, data.byteLength]);
                socket.close();
            }
        };
    });
}

async function inChromium() {
    const browser = await launch();
    // The answers that are no page may not connect anywhere.
    const page = await browser.newPage({ bypassCSP: true });
    return {
        async receive(work) {
            // A document of the server's own origin.
            await page.goto(`${work[0].replace("ws", "http").replace("/websocket", "")}/health/live`);
            return page.evaluate(`(${receive})(WebSocket, ${JSON.stringify(work)})`);
        },
        end: () => browser.close(),
    };
}

const inNode = { receive: (work) => receive(NodeWebSocket, work), end: () => {} };
const client = process.argv[2] === "chromium" ? await inChromium() : inNode;
for await (const line of createInterface({ input: process.stdin })) {
    const [milliseconds, length] = await client.receive(line.trim().split(" "));
    console.log(milliseconds, length);
}
await client.end();
