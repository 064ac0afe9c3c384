// What a session has on the server, so that it can be opened again on another one.
//
// Invariant: a view, subscription or port is known from the server's answer until the client gives it up. What is
// unanswered is known, too: what only reads is asked again, and a write is answered with an error, since nobody knows
// whether it took effect.

import { KIND, bytesIn, close, fields, join, numberField, numberIn, open, bytesField, textField, textIn } from "./wire.js";

/** Own requests have numbers that no client reaches. */
const FIRST_OWN_ID = 0xf0000000;

/** Requests that change something on the server, beside the session itself. */
const WRITES = new Set([
    KIND.MAKE_TABLE,
    KIND.MAKE_JOIN_TABLE,
    KIND.TABLE_DELETE,
    KIND.TABLE_REMOVE,
    KIND.TABLE_REPLACE,
    KIND.TABLE_UPDATE,
]);

/** Requests that have no answer, but notifications. */
const SUBSCRIPTIONS = new Set([KIND.VIEW_ON_UPDATE, KIND.VIEW_ON_REMOVE, KIND.VIEW_ON_DELETE, KIND.TABLE_ON_DELETE]);

const ENDS_OF_SUBSCRIPTIONS = new Set([
    KIND.VIEW_REMOVE_ON_UPDATE,
    KIND.VIEW_REMOVE_ON_REMOVE,
    KIND.VIEW_REMOVE_DELETE,
    KIND.TABLE_REMOVE_DELETE,
    KIND.REMOVE_HOSTED_TABLES_UPDATE,
]);

/** Changes of what a view shows, in the order in which they were made. */
const EXPANSIONS = new Set([KIND.VIEW_SET_DEPTH, KIND.VIEW_EXPAND, KIND.VIEW_COLLAPSE]);

const LOST = "the connection was lost before the server answered: whether this took effect is not known";

export class SessionState {
    /** Unanswered requests by number: {kind, entity, message}. */
    #pending = new Map();
    /** Those of earlier sessions that are not dealt with yet. */
    #unanswered = new Map();
    /** Open views by id: {message, expansions}. */
    #views = new Map();
    /** Subscriptions by number: {kind, entity, message}. */
    #subscriptions = new Map();
    /** The numbers that the client knows ports by: {entity, port}. */
    #ports = new Map();
    #ownAnswers = new Map();
    #nextOwnId = FIRST_OWN_ID;

    /** Notes a request of the client. Returns what is to be sent. */
    sent(message) {
        const bytes = new Uint8Array(message);
        const { id, entity, kind, body } = open(bytes);
        const isTableSubscription = kind === KIND.GET_HOSTED_TABLES && numberIn(body, 1) !== 0;
        if (SUBSCRIPTIONS.has(kind) || isTableSubscription) {
            this.#subscriptions.set(id, { kind, entity, message: bytes });
        } else if (ENDS_OF_SUBSCRIPTIONS.has(kind)) {
            this.#subscriptions.delete(numberIn(body, 1));
        }
        if (!SUBSCRIPTIONS.has(kind)) {
            this.#pending.set(id, { kind, entity, message: bytes });
        }
        return kind === KIND.TABLE_UPDATE ? this.#withPort(bytes, entity, body) : bytes;
    }

    /** Notes a message of the server. Returns what the client is to receive; undefined if it is not for the client. */
    received(message) {
        const bytes = new Uint8Array(message);
        const response = open(bytes);
        const answered = this.#ownAnswers.get(response.id);
        if (answered) {
            this.#ownAnswers.delete(response.id);
            answered(response);
            return undefined;
        }
        const request = this.#pending.get(response.id);
        if (request && (request.kind === response.kind || response.kind === KIND.ERROR)) {
            this.#pending.delete(response.id);
            if (response.kind !== KIND.ERROR) {
                this.#took(request, response);
            }
        }
        return this.#fromPort(bytes, response);
    }

    #took({ kind, entity, message }, response) {
        if (kind === KIND.TABLE_MAKE_VIEW) {
            this.#views.set(textIn(open(message).body, 1), { message, expansions: [] });
        } else if (kind === KIND.VIEW_DELETE) {
            this.#forgetView(entity);
        } else if (EXPANSIONS.has(kind)) {
            const view = this.#views.get(entity);
            if (view) {
                view.expansions = kind === KIND.VIEW_SET_DEPTH ? [message] : [...view.expansions, message];
            }
        } else if (kind === KIND.TABLE_MAKE_PORT) {
            const port = numberIn(response.body, 1);
            this.#ports.set(`${entity}\n${port}`, { entity, known: port, port });
        }
    }

    #forgetView(id) {
        this.#views.delete(id);
        for (const [number, { entity }] of this.#subscriptions) {
            if (entity === id) {
                this.#subscriptions.delete(number);
            }
        }
    }

    /**
     * Opens everything again in a new session.
     *
     * @param send sends a message to the server
     * @param deliver delivers a message to the client
     */
    async reopen(send, deliver) {
        const ask = (message) => this.#ask(message, send);
        // If this session ends, too, the next call deals with them.
        this.#pending.forEach((request, id) => this.#unanswered.set(id, request));
        this.#pending.clear();
        this.#ownAnswers.clear();
        for (const port of this.#ports.values()) {
            const { kind, body } = await ask({ entity: port.entity, kind: KIND.TABLE_MAKE_PORT });
            // A port that the server does not know would be ignored with all that is written through it.
            port.port = kind === KIND.ERROR ? 0 : numberIn(body, 1);
        }
        for (const [id, { message, expansions }] of [...this.#views]) {
            const { kind } = await ask(open(message));
            if (kind === KIND.ERROR) {
                this.#endView(id, deliver);
                continue;
            }
            for (const expansion of expansions) {
                await ask(open(expansion));
            }
        }
        for (const [id, subscription] of [...this.#subscriptions]) {
            await this.#renew(id, subscription, ask, send, deliver);
        }
        const unanswered = [...this.#unanswered];
        this.#unanswered.clear();
        for (const [id, { kind, entity, message }] of unanswered) {
            if (WRITES.has(kind)) {
                deliver(close({ id, entity, kind: KIND.ERROR, body: textField(1, LOST) }));
            } else if (kind !== KIND.GET_HOSTED_TABLES || !this.#subscriptions.has(id)) {
                send(this.sent(message));
            }
        }
    }

    /** Tells the client that a view is gone: its table is not there any more. */
    #endView(id, deliver) {
        for (const [number, { kind, entity }] of [...this.#subscriptions]) {
            if (entity === id && kind === KIND.VIEW_ON_DELETE) {
                deliver(close({ id: number, entity: id, kind }));
            }
        }
        this.#forgetView(id);
    }

    /** Subscribes again, and brings the subscriber up to date with one full update. */
    async #renew(id, { kind, entity, message }, ask, send, deliver) {
        if (kind === KIND.GET_HOSTED_TABLES) {
            this.#ownAnswers.set(id, () => deliver(close({ id, entity })));
            return send(message);
        }
        send(message);
        if (kind !== KIND.VIEW_ON_UPDATE) {
            return;
        }
        const wantsRows = [...fields(open(message).body)].some(([number]) => number === 1);
        const update = [];
        if (wantsRows) {
            const rows = await ask({ entity, kind: KIND.VIEW_TO_ARROW, body: bytesField(1, new Uint8Array()) });
            if (rows.kind === KIND.ERROR) {
                return;
            }
            update.push(bytesField(1, bytesIn(rows.body, 1) ?? new Uint8Array()));
        }
        deliver(close({ id, entity, kind, body: join(update) }));
    }

    /** Sends a request of our own and resolves to its answer. */
    #ask(message, send) {
        const id = this.#nextOwnId;
        this.#nextOwnId = id === 0xffffffff ? FIRST_OWN_ID : id + 1;
        return new Promise((resolve) => {
            this.#ownAnswers.set(id, resolve);
            send(close({ ...message, id }));
        });
    }

    /** An update with the number that its port has in this session. */
    #withPort(bytes, entity, body) {
        const known = numberIn(body, 2);
        const port = this.#ports.get(`${entity}\n${known}`);
        if (!port || port.port === known) {
            return bytes;
        }
        const others = [...fields(body)].filter(([number]) => number === 1).map(([, data]) => bytesField(1, data));
        return close({ ...open(bytes), body: join([...others, numberField(2, port.port)]) });
    }

    /** A notification with the number that the client knows its port by. */
    #fromPort(bytes, response) {
        if (response.kind !== KIND.VIEW_ON_UPDATE && response.kind !== KIND.VIEW_ON_REMOVE) {
            return bytes;
        }
        const there = numberIn(response.body, 2);
        if (there === 0) {
            return bytes;
        }
        const table = this.#tableOf(response.entity);
        for (const { entity, known, port } of this.#ports.values()) {
            if (entity === table && port === there && known !== there) {
                const rows = bytesIn(response.body, 1);
                const parts = rows ? [bytesField(1, rows)] : [];
                return close({ ...response, body: join([...parts, numberField(2, known)]) });
            }
        }
        return bytes;
    }

    #tableOf(view) {
        const opened = this.#views.get(view);
        return opened && open(opened.message).entity;
    }
}
