// A WebSocket whose session outlives it: docs/sessions.md.
//
// Invariant: each message is delivered exactly once, in order, whatever happens to the connection, as long as the server
// has the session. Both sides count binary messages; what the other side has not acknowledged is kept and repeated.

const FIRST_WAIT_MS = 250;
const LONGEST_WAIT_MS = 10_000;

/** Without a connection for so long, the state is "offline" instead of "reconnecting". */
const OFFLINE_MS = 15_000;

/** Time for a connection to be opened, and for a sign of life after a message was sent. */
const PATIENCE_MS = 20_000;

/** The close code that says that the session goes on. */
const KEEP_CODE = 4000;

/** The share of the server's window after which received bytes are acknowledged. */
const ACKNOWLEDGE_SHARE = 8;

/** Interval after which the last received messages are acknowledged. */
const ACKNOWLEDGE_MS = 500;

export class ResumingSocket {
    /** "connecting", "online", "reconnecting", "offline" or "closed". */
    state = "connecting";
    /** When the next attempt is made, in milliseconds since 1970. */
    retryAt = 0;
    /** The start of the server that the session belongs to. */
    epoch;

    #url;
    #token;
    #handlers;
    #socket;
    #session;
    #opened = false;
    #received = 0;
    #acknowledged = 0;
    #unacknowledgedBytes = 0;
    #acknowledgeTimer;
    #windowBytes = 1 << 20;
    #kept = [];
    #firstKept = 0;
    #attempts = 0;
    #lostAt;
    #timer;
    #patience;
    #cleanup = [];

    /**
     * @param url where the server accepts WebSockets
     * @param handlers.message called with each binary message
     * @param handlers.state called with each new state
     * @param handlers.session called when a session begins
     * @param handlers.behind called with whether the server merges updates because the client is behind
     * @param handlers.gone called when the session has ended without this client: with the reason, and the messages that the
     *     server may not have received. The next session begins without them
     * @param token returns what authenticates the next connection, or undefined
     */
    constructor(url, handlers, token) {
        this.#url = url;
        this.#token = token;
        this.#handlers = handlers;
        for (const [event, act] of [
            ["online", () => this.retry()],
            ["pageshow", () => this.retry()],
        ]) {
            globalThis.addEventListener?.(event, act);
            this.#cleanup.push(() => globalThis.removeEventListener?.(event, act));
        }
        this.#connect();
    }

    /** Sends a message now, or on a later connection. */
    send(message) {
        this.#kept.push(message);
        if (this.#opened) {
            this.#socket.send(message);
            this.#expectLife();
        }
    }

    /** Tries to connect now instead of waiting. */
    retry() {
        if (this.#timer !== undefined) {
            clearTimeout(this.#timer);
            this.#timer = undefined;
            this.#connect();
        }
    }

    /** Ends the session. */
    close() {
        this.#set("closed");
        clearTimeout(this.#timer);
        clearTimeout(this.#acknowledgeTimer);
        clearTimeout(this.#patience);
        this.#cleanup.forEach((undo) => undo());
        this.#socket?.close(1000);
    }

    async #connect() {
        const url = new URL(this.#url);
        url.searchParams.set("session", this.#session ?? "new");
        if (this.#session) {
            url.searchParams.set("received", this.#received);
        }
        try {
            const token = await this.#token?.();
            if (token) {
                url.searchParams.set("token", token);
            }
        } catch {
            return this.#wait();
        }
        if (this.state === "closed") {
            return;
        }
        const socket = new WebSocket(url);
        socket.binaryType = "arraybuffer";
        this.#socket = socket;
        const isOurs = () => socket === this.#socket;
        socket.onmessage = ({ data }) => isOurs() && (typeof data === "string" ? this.#control(data) : this.#receive(data));
        socket.onclose = () => isOurs() && this.#lost();
        this.#patience = setTimeout(() => this.#abandon(), PATIENCE_MS);
    }

    #control(text) {
        const { session, gone, received, epoch, window_bytes, behind } = JSON.parse(text);
        clearTimeout(this.#patience);
        if (gone !== undefined) {
            [this.#session, this.#received, this.#acknowledged] = [undefined, 0, 0];
            const unanswered = this.#kept;
            [this.#kept, this.#firstKept] = [[], 0];
            this.#abandon();
            return this.#handlers.gone(gone, unanswered);
        }
        if (behind !== undefined) {
            return this.#handlers.behind(behind);
        }
        while (this.#firstKept < received && this.#kept.length > 0) {
            this.#kept.shift();
            this.#firstKept += 1;
        }
        if (session === undefined) {
            return;
        }
        const isNew = this.#session === undefined;
        [this.#session, this.epoch, this.#attempts, this.#lostAt] = [session, epoch, 0, undefined];
        this.#windowBytes = window_bytes;
        this.#opened = true;
        for (const message of this.#kept) {
            this.#socket.send(message);
        }
        this.#set("online");
        if (isNew) {
            this.#handlers.session();
        }
    }

    #receive(data) {
        clearTimeout(this.#patience);
        this.#received += 1;
        this.#unacknowledgedBytes += data.byteLength;
        if (this.#unacknowledgedBytes > this.#windowBytes / ACKNOWLEDGE_SHARE) {
            this.#acknowledge();
        } else {
            this.#acknowledgeTimer ??= setTimeout(() => this.#acknowledge(), ACKNOWLEDGE_MS);
        }
        this.#handlers.message(data);
    }

    #acknowledge() {
        clearTimeout(this.#acknowledgeTimer);
        [this.#acknowledgeTimer, this.#unacknowledgedBytes] = [undefined, 0];
        if (this.#opened && this.#acknowledged !== this.#received) {
            this.#acknowledged = this.#received;
            this.#socket.send(JSON.stringify({ received: this.#received }));
        }
    }

    /** A connection that carries nothing although something is expected may be dead without a sign. */
    #expectLife() {
        clearTimeout(this.#patience);
        this.#patience = setTimeout(() => this.#abandon(), PATIENCE_MS);
    }

    /** Drops the connection and keeps the session. */
    break() {
        this.#abandon();
    }

    #abandon() {
        const socket = this.#socket;
        this.#lost();
        socket?.close(KEEP_CODE);
    }

    #lost() {
        clearTimeout(this.#patience);
        [this.#socket, this.#opened] = [undefined, false];
        if (this.state !== "closed") {
            this.#wait();
        }
    }

    #wait() {
        const now = Date.now();
        this.#lostAt ??= now;
        const longest = Math.min(FIRST_WAIT_MS * 2 ** this.#attempts, LONGEST_WAIT_MS);
        // Clients of one server do not come back in step.
        const wait = this.#attempts === 0 ? 0 : longest * (0.5 + Math.random() / 2);
        this.#attempts += 1;
        this.retryAt = now + wait;
        this.#set(now - this.#lostAt > OFFLINE_MS ? "offline" : "reconnecting");
        clearTimeout(this.#timer);
        this.#timer = setTimeout(() => {
            this.#timer = undefined;
            this.#connect();
        }, wait);
    }

    #set(state) {
        if (state !== this.state) {
            this.state = state;
            this.#handlers.state(state);
        }
    }
}
