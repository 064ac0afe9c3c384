// The login in a real browser: the form, a wrong password, the viewer after it, its end; and at a real identity provider.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";

import Provider from "oidc-provider";

import { BINARY, startServer } from "../node/harness.mjs";
import { gridUntil, keepPicture, launch, settled } from "./browser.mjs";

let folder;
let config;
let users;
let provider;
let server;
let browser;

const command = (args, input) => execFileSync(BINARY, args, { input, encoding: "utf8" });

/** A provider that logs in whoever asks, as `account`. */
async function startProvider(redirects) {
    const listener = createServer();
    await new Promise((resolve) => listener.listen(0, "127.0.0.1", resolve));
    const issuer = `http://127.0.0.1:${listener.address().port}`;
    const provider = new Provider(issuer, {
        clients: [{ client_id: "page", client_secret: "hush", redirect_uris: redirects, grant_types: ["authorization_code"], response_types: ["code"] }],
        claims: { openid: ["sub", "groups"], profile: ["name"], email: ["email"] },
        conformIdTokenClaims: false,
        pkce: { required: () => true },
        findAccount: (_, id) => ({ accountId: id, claims: () => ({ sub: id, groups: ["desk"] }) }),
        cookies: { keys: ["a secret of a test"] },
    });
    listener.on("request", provider.callback());
    return { issuer, stop: () => listener.close() };
}

before(async () => {
    folder = await mkdtemp(join(tmpdir(), "proscenium-login-"));
    config = join(folder, "proscenium.toml");
    users = command(["user", "add", "ann", "--role", "desk"], "right\n") + command(["user", "add", "bob"], "too\n");
    browser = await launch("--host-resolver-rules=MAP evil.test 127.0.0.1");
    // The provider must know the page's address, so the server listens on a port that was free a moment ago.
    const probe = createServer();
    await new Promise((resolve) => probe.listen(0, "127.0.0.1", resolve));
    const port = probe.address().port;
    await new Promise((resolve) => probe.close(resolve));
    provider = await startProvider([`http://127.0.0.1:${port}/login/callback`]);
    await writeFile(join(folder, "secret"), "hush\n");
    users += `[[auth.jwt]]\nissuer = "${provider.issuer}"\naudience = "page"\nroles = "$claims.groups"\n`
        + 'login = { client_id = "page", client_secret_file = "secret", scopes = ["openid"], label = "Log in with the test provider" }\n';
    await writeFile(config, users);
    server = await startServer("--demo", "--config", config, "--listen", `127.0.0.1:${port}`);
});

after(async () => {
    await browser?.close();
    await server?.stop();
    provider?.stop();
    await rm(folder, { recursive: true, force: true });
});

/** A page of a new visitor, and what its console complains about. */
async function visit(path, options = {}) {
    const context = await browser.newContext({ viewport: { width: 1400, height: 820 }, ...options });
    const page = await context.newPage();
    page.setDefaultTimeout(45_000);
    const faults = [];
    page.on("pageerror", (error) => faults.push(error.message));
    page.on("console", (message) => message.text().includes("Content Security Policy") && faults.push(message.text()));
    await page.goto(`${server.http}/${path}`);
    return { page, faults };
}

async function fill(page, name, password) {
    await page.fill("input[name=name]", name);
    await page.fill("input[name=password]", password);
    await page.click("button[type=submit]");
}

test("the login shows the form, says what is wrong, and then the table that was asked for", async () => {
    const { page, faults } = await visit("#server/market");
    await page.waitForURL(/\/login/);
    await keepPicture(page, "login");
    await fill(page, "ann", "wrong");
    await page.waitForSelector("text=The name or the password is wrong.");
    assert.equal(await page.inputValue("input[name=name]"), "ann");
    await keepPicture(page, "login-wrong");
    await fill(page, "ann", "right");
    await settled(page);
    await page.waitForSelector("#user:not([hidden])");
    assert.equal(await page.textContent("#user-name"), "ann");
    assert.equal(await page.evaluate(() => document.cookie), "", "scripts do not see the cookie");
    await keepPicture(page, "logged-in");
    assert.deepEqual(faults, []);

    await page.click("#logout");
    await page.waitForURL(/\/login/);
    await page.goto(`${server.http}/`);
    await page.waitForURL(/\/login\?next=/);
    await page.context().close();
});

test("the form is dark for those who want it so, and fits a phone", async () => {
    const { page } = await visit("", { colorScheme: "dark", viewport: { width: 360, height: 640 } });
    await page.waitForURL(/\/login/);
    assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), 360);
    await keepPicture(page, "login-dark-phone");
    await page.context().close();
});

test("an open page returns to the login when the user is removed", async () => {
    const { page } = await visit("");
    await page.waitForURL(/\/login/);
    await fill(page, "bob", "too");
    await settled(page);
    await writeFile(config, users.replace(/\[\[auth\.user\]\]\nname = "bob"[^[]*\[\]\n/, ""));
    await page.waitForURL(/\/login\?next=/);
    await writeFile(config, users);
    await page.context().close();
});

test("a person logs in at an identity provider", async () => {
    const { page, faults } = await visit("#server/market");
    await page.waitForURL(/\/login/);
    await page.click("text=Log in with the test provider");
    // The provider's own pages: who, and whether.
    await page.fill("input[name=login]", "cat");
    await page.fill("input[name=password]", "any");
    await page.click("button[type=submit]");
    await page.click("button[type=submit]");
    await settled(page);
    await page.waitForFunction(() => document.getElementById("user-name").textContent === "cat");
    assert.match(await page.getAttribute("#user-name", "title"), /desk/);
    await keepPicture(page, "logged-in-provider");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("a callback that did not begin in this browser logs nobody in", async () => {
    const { page } = await visit("login/callback?code=stolen&state=stolen");
    await page.waitForSelector("text=did not begin in this browser");
    assert.equal((await page.context().request.get(`${server.http}/api/v1/session`)).status(), 401);
    await page.context().close();
});

test("a sealed link shows one table to whoever has it", async () => {
    const authorization = `Basic ${Buffer.from("ann:right").toString("base64")}`;
    const order = { table: "market", view: { group_by: ["sector"], columns: ["price"] }, rows: "\"sector\" == 'Energy'" };
    const headers = { authorization, "content-type": "application/json" };
    const answer = await fetch(`${server.http}/api/v1/links`, { method: "POST", headers, body: JSON.stringify(order) });
    assert.equal(answer.status, 201);
    const { page, faults } = await visit((await answer.json()).url.slice(1));
    // The status is for operators; the link shows its table without it.
    await settled(page);
    await gridUntil(page, (cells) => cells.length === 2 && cells.some((row) => row.join(" ").includes("Energy")));
    const listed = await page.locator("#tables li").allTextContents();
    assert.equal(listed.length, 1, "other tables are not even named");
    assert.match(listed[0], /^market/);
    await keepPicture(page, "sealed-link");
    assert.deepEqual(faults, []);
    await page.context().close();
});

test("a page of another site has no use of the visitor's login", async () => {
    const { page } = await visit("login");
    await fill(page, "ann", "right");
    await page.waitForSelector("#user:not([hidden])");
    const site = createServer((_, response) => response.setHeader("content-type", "text/html").end("<!doctype html>"));
    await new Promise((resolve) => site.listen(0, "127.0.0.1", resolve));
    await page.goto(`http://evil.test:${site.address().port}/`);
    const tried = await page.evaluate(async (http) => {
        const outcome = async (act) => act().catch((error) => error.name);
        const ask = (path, options) => outcome(async () => (await fetch(`${http}${path}`, { credentials: "include", ...options })).status);
        const socket = await new Promise((resolve) => {
            const socket = new WebSocket(`${http.replace("http", "ws")}/websocket`);
            socket.onopen = () => resolve("open");
            socket.onerror = () => resolve("refused");
        });
        return [socket, await ask("/api/v1/tables"), await ask("/logout", { method: "POST" }), await ask("/api/v1/tables/market", { method: "DELETE" }), await ask("/api/v1/ticket", { method: "POST" })];
    }, server.http);
    assert.deepEqual(tried, ["refused", "TypeError", "TypeError", "TypeError", "TypeError"]);
    await page.goto(`${server.http}/`);
    await page.waitForSelector("#user:not([hidden])");
    site.close();
    await page.context().close();
});
