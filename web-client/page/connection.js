// The page's connection to its server: opened when the mode needs it, closed when it does not, reopened when lost.

const FIRST_WAIT_MS = 500;
const LONGEST_WAIT_MS = 10_000;

/**
 * States: idle (not needed), connecting, connected, waiting (lost; retried at `retryAt`).
 */
export class Connection {
    client;
    state = "idle";
    retryAt = 0;

    #perspective;
    #url;
    #changed;
    #attempt = 0;
    #timer;
    #wake;

    constructor(perspective, url, changed) {
        this.#perspective = perspective;
        this.#url = url;
        this.#changed = changed;
    }

    /** Connects, retrying until it succeeds, and resolves to the client; to undefined if closed meanwhile. */
    async open() {
        if (this.client) {
            return this.client;
        }
        const attempt = ++this.#attempt;
        for (let wait = FIRST_WAIT_MS; ; wait = Math.min(wait * 2, LONGEST_WAIT_MS)) {
            this.#set("connecting");
            try {
                const client = await this.#perspective.websocket(this.#url);
                if (attempt !== this.#attempt) {
                    await client.terminate();
                    return undefined;
                }
                await client.on_error(() => this.#lost(client));
                this.client = client;
                this.#set("connected");
                return client;
            } catch {
                if (attempt !== this.#attempt) {
                    return undefined;
                }
                this.retryAt = Date.now() + wait;
                this.#set("waiting");
                await this.#sleep(wait);
            }
        }
    }

    /** Retries now instead of waiting. */
    retry() {
        this.#wake?.();
    }

    async close() {
        this.#attempt += 1;
        this.#wake?.();
        const client = this.client;
        this.client = undefined;
        this.#set("idle");
        await client?.terminate();
    }

    #lost(client) {
        if (client === this.client) {
            this.client = undefined;
            this.#set("waiting");
        }
    }

    #set(state) {
        if (state !== this.state) {
            this.state = state;
            this.#changed(state);
        }
    }

    #sleep(ms) {
        return new Promise((resolve) => {
            this.#wake = resolve;
            this.#timer = setTimeout(resolve, ms);
        }).finally(() => clearTimeout(this.#timer));
    }
}
