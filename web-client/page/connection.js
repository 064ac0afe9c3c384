// The page's connection to its server: opened when the mode needs it, closed when it does not. It survives breaks.

import { connect, connectionOf } from "../js/connect.js";

const STATES = { connecting: "connecting", online: "connected", reconnecting: "waiting", offline: "waiting", closed: "idle" };

/**
 * States: idle (not needed), connecting, connected, behind (connected, and updates are merged), waiting (lost; retried at
 * `retryAt`).
 */
export class Connection {
    client;
    state = "idle";

    #perspective;
    #url;
    #changed;
    #opening;
    #connection;
    #online;

    constructor(perspective, url, changed) {
        this.#perspective = perspective;
        this.#url = url;
        this.#changed = changed;
    }

    get retryAt() {
        return this.#connection?.retryAt ?? 0;
    }

    /** Connects, retrying until it succeeds, and resolves to the client; to undefined if closed meanwhile. */
    async open() {
        this.#opening ??= this.#open();
        return this.#opening;
    }

    async #open() {
        this.#set("connecting");
        const online = new Promise((resolve) => (this.#online = resolve));
        const onState = (state, connection) => this.#connectionIs(state, connection);
        const client = await connect(this.#url, { perspective: this.#perspective, onState });
        this.#connection = connectionOf(client);
        this.#connectionIs(this.#connection.state, this.#connection);
        this.client = (await online) ? client : undefined;
        return this.client;
    }

    /** Retries now instead of waiting. */
    retry() {
        this.#connection?.retry();
    }

    async close() {
        if (!this.#opening) {
            return;
        }
        const connection = this.#connection;
        [this.client, this.#connection, this.#opening] = [undefined, undefined, undefined];
        this.#online?.(false);
        connection?.close();
        this.#set("idle");
    }

    #connectionIs(state, connection) {
        if (!this.#opening) {
            return;
        }
        if (state === "online") {
            this.#online?.(true);
        }
        this.#set(state === "online" && connection.behind ? "behind" : STATES[state]);
    }

    #set(state) {
        if (state !== this.state) {
            this.state = state;
            this.#changed(state);
        }
    }
}
