// The published client on a connection that survives breaks and restarts of its server.

import { registerNoEngine } from "./no-engine.js";
import { ResumingSocket } from "./resuming-socket.js";
import { SessionState } from "./session-state.js";

/**
 * Connects to a server and returns the published client's object.
 *
 * A break of the connection costs nothing: what was missed follows. If the server has forgotten the session, as after a
 * restart, views and subscriptions are opened again under their ids and get one full update.
 *
 * @param url where the server accepts WebSockets: ws(s)://HOST/websocket
 * @param options.perspective the published client's module; imported if it is not given
 * @param options.keepEngine the published client loads an engine for whatever it takes for a worker, also for this connection,
 *     which needs none. So an empty one is registered, unless this is true: for pages that use the published engine, too
 * @param options.token called for each connection; returns what authenticates it, or a promise of it
 * @param options.onState called with "online", "reconnecting" or "offline", and the connection
 * @param options.onGone called with the reason when a session is gone and is opened again
 */
export async function connect(url, { perspective, keepEngine = false, token, onState, onGone } = {}) {
    const published = perspective ?? (await import("@perspective-dev/client")).default;
    const connection = new Connection(url, { token, onState, onGone });
    if (!keepEngine) {
        registerNoEngine(published);
    }
    try {
        const client = await published.worker(Promise.resolve(connection.port));
        connections.set(client, connection);
        return client;
    } catch (error) {
        connection.close();
        throw error;
    }
}

/** The connection of a client that `connect` returned: its state, `retry()` and events. */
export function connectionOf(client) {
    return connections.get(client);
}

const connections = new WeakMap();

/** One session after the other, behind a port that the published client takes for a worker. */
export class Connection extends EventTarget {
    /** The client's end. */
    port;
    /** Whether the server merges updates, because this client receives less than there is. */
    behind = false;

    #ours;
    #socket;
    #state = new SessionState();
    /** Requests that wait until the session is opened again; undefined otherwise. */
    #held;
    #isGone = false;

    constructor(url, { token, onState, onGone } = {}) {
        super();
        const channel = new MessageChannel();
        [this.port, this.#ours] = [channel.port1, channel.port2];
        const deliver = (bytes) => this.#deliver(bytes);
        const handlers = {
            message: (data) => {
                const message = this.#state.received(data);
                if (message) {
                    deliver(message);
                }
            },
            state: (state) => {
                onState?.(state, this);
                this.dispatchEvent(new CustomEvent(state));
            },
            gone: (reason) => {
                this.#isGone = true;
                this.#held ??= [];
                onGone?.(reason);
                this.dispatchEvent(new CustomEvent("gone", { detail: reason }));
            },
            behind: (isBehind) => {
                this.behind = isBehind;
                onState?.(this.state, this);
            },
            session: () => this.#isGone && this.#reopen(),
        };
        this.#ours.onmessage = ({ data }) => {
            if (data?.cmd === "init") {
                this.#ours.postMessage(null);
            } else {
                this.#request(data);
            }
        };
        this.#ours.addEventListener?.("close", () => this.close());
        this.#socket = new ResumingSocket(url, handlers, token);
    }

    /** "connecting", "online", "reconnecting", "offline" or "closed". */
    get state() {
        return this.#socket.state;
    }

    /** When the next attempt to connect is made, in milliseconds since 1970. */
    get retryAt() {
        return this.#socket.retryAt;
    }

    /** Drops the connection and keeps the session, as a network that changes does. */
    break() {
        this.#socket.break();
    }

    /** Tries to connect now. */
    retry() {
        this.#socket.retry();
    }

    /** Ends the session and the client. */
    close() {
        this.#socket.close();
        this.#ours.close();
    }

    #request(data) {
        if (this.#held) {
            this.#held.push(data);
        } else {
            this.#socket.send(this.#state.sent(data));
        }
    }

    async #reopen() {
        this.#isGone = false;
        const epoch = this.#socket.epoch;
        await this.#state.reopen((message) => this.#socket.send(message), (message) => this.#deliver(message));
        if (this.#isGone || epoch !== this.#socket.epoch) {
            // Gone once more; the next session begins from the start.
            return;
        }
        const held = this.#held ?? [];
        this.#held = undefined;
        held.forEach((data) => this.#request(data));
        this.dispatchEvent(new CustomEvent("reopened"));
    }

    #deliver(bytes) {
        // A buffer of the message's own.
        const copy = bytes.byteLength === bytes.buffer.byteLength ? bytes : bytes.slice();
        this.#ours.postMessage(copy, [copy.buffer]);
    }
}
