// Pages of other sites in a real browser: they can neither open the socket, nor read, nor upload, nor delete.

import assert from "node:assert/strict";
import { createServer } from "node:http";
import { after, before, test } from "node:test";

import { connect, startServer } from "../node/harness.mjs";
import { launch } from "./browser.mjs";

let server;
let site;
let browser;
let client;

before(async () => {
    [server, browser] = await Promise.all([startServer(), launch("--host-resolver-rules=MAP evil.test 127.0.0.1")]);
    site = createServer((request, response) => response.setHeader("content-type", "text/html").end("<!doctype html>"));
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    client = await connect(server);
    await client.table([{ id: 1, secret: "amber" }], { name: "books", index: "id" });
});

after(async () => {
    await browser?.close();
    await client?.terminate();
    site?.close();
    await server?.stop();
});

/** Runs in the page: all requests that a page of another site could try against `http`. */
async function attack(http) {
    const tried = {};
    const attempt = async (name, act) => {
        tried[name] = await act().catch((error) => error.name);
    };
    const send = (method, mode) => async () => {
        const body = ["PUT", "POST"].includes(method) ? "id\n7\n" : undefined;
        const answer = await fetch(`${http}/api/v1/tables/books?format=csv`, { method, mode, body });
        return `${answer.type} ${answer.status} ${await answer.text()}`;
    };
    await attempt("socket", () => new Promise((resolve) => {
        const socket = new WebSocket(`${http.replace("http", "ws")}/websocket`);
        socket.onopen = () => resolve("open");
        socket.onerror = () => resolve("refused");
    }));
    await attempt("read", send("GET", "cors"));
    await attempt("blind read", send("GET", "no-cors"));
    await attempt("simple post", send("POST", "no-cors"));
    await attempt("upload", send("PUT", "cors"));
    await attempt("delete", send("DELETE", "cors"));
    return tried;
}

async function attackFrom(url) {
    const page = await (await browser.newContext()).newPage();
    const answer = await page.goto(url);
    const tried = await page.evaluate(attack, server.http);
    await page.context().close();
    return { status: answer.status(), tried };
}

const NOTHING = {
    socket: "refused",
    read: "TypeError",
    // The request succeeds, but its response is opaque.
    "blind read": "opaque 0 ",
    "simple post": "opaque 0 ",
    upload: "TypeError",
    delete: "TypeError",
};

async function assertUnharmed() {
    const view = await (await client.open_table("books")).view();
    assert.deepEqual(await view.to_json(), [{ id: 1, secret: "amber" }]);
    await view.delete();
}

test("a page of another origin on the same machine gets nothing", async () => {
    const { tried } = await attackFrom(`http://127.0.0.1:${site.address().port}/`);
    assert.deepEqual(tried, NOTHING);
    await assertUnharmed();
});

test("a foreign name that resolves to the server is not served", async () => {
    const { port } = new URL(server.http);
    const page = await (await browser.newContext()).newPage();
    const answer = await page.goto(`http://evil.test:${port}/api/v1/tables/books`);
    assert.equal(answer.status(), 403);
    assert.ok(!(await answer.text()).includes("amber"));
    // A page served under such a name is of the same origin, so `fetch` may read the response.
    // Here the policy of the refusal itself forbids to ask again.
    const read = await page.evaluate(() => fetch("/api/v1/tables/books").then((answer) => answer.status, () => "blocked"));
    assert.equal(read, "blocked");
    await page.context().close();
    await assertUnharmed();
});

test("a listed origin may read, write and connect", async () => {
    const origin = `http://127.0.0.1:${site.address().port}`;
    const open = await startServer("--origin", origin);
    const owner = await connect(open);
    await owner.table([{ id: 1 }], { name: "books", index: "id" });
    const page = await (await browser.newContext()).newPage();
    await page.goto(origin);
    const tried = await page.evaluate(attack, open.http);
    assert.equal(tried.socket, "open");
    assert.equal(tried.read, 'cors 200 "id"\n1\n');
    assert.match(tried.upload, /^cors 200 /);
    assert.match(tried.delete, /^cors 204 /);
    await page.context().close();
    await owner.terminate();
    await open.stop();
});
