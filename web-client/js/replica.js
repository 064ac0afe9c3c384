// A replica of a server's table in a local engine.
//
//   server view ── Arrow, then row deltas and removed keys ──▶ local table ──▶ any number of local views
//   server table ◀── local edits, through a port of the replica's own ── local table
//
// Invariants:
// * Pivots, filters and scrolling of local views send no request to the server.
// * Rows from the server are written through the feed port and never sent back. An update through any other port is an
//   edit and is sent to the server once. The server's delta for it is applied like every other one, so all replicas
//   converge to the server's order of edits.
// * Edits are forwarded as they were made, cell by cell; as whole rows only if the local engine is not ours.
// * An indexed table's deltas are upserts, so deltas that overlap the first copy are harmless. Rows without an index
//   cannot be addressed: there a copy is valid only if no delta arrived during it, a change that is not an append
//   causes a new copy, and edits are not sent.
// * On a connection of `connect`, a break costs what was missed. If the server has forgotten the session, the table is copied
//   again, since rows may have been removed.

import { connectionOf } from "./connect.js";
import { watchEdits } from "./edits.js";

/** Attempts to copy a table without an index during which no delta arrives. */
const MAX_COPIES = 12;

/** Interval after which the size of a changed table without an index is compared with the server's. */
const CHECK_MS = 1000;

export class Replica {
    /**
     * @param options.server client of the server
     * @param options.local  client of the local engine
     * @param options.table  name of the server's table
     * @param options.name   name of the local table; the same by default
     * @param options.onError called with each error after the first copy
     */
    static async open({ server, local, table, name = table, onError = console.error }) {
        const replica = new Replica();
        Object.assign(replica, { server, local, name, onError });
        try {
            await replica.#start(table);
        } catch (error) {
            await replica.close();
            throw error;
        }
        return replica;
    }

    /** The local table. */
    table;
    /** The index column's name, if the table has one. */
    index;
    /** Statistics since the start. */
    counts = { deltas: 0, removals: 0, edits: 0, copies: 0 };

    #source;
    #sourceView;
    #editView;
    #endWatch;
    #feedPort = 0;
    #editPort = 0;
    #received = 0;
    #copying = true;
    #queue = [];
    #work = Promise.resolve();
    #check;
    #forget;
    #closed = false;

    async #start(table) {
        this.#source = await this.server.open_table(table);
        this.index = (await this.#source.get_index()) ?? undefined;
        const limit = (await this.#source.get_limit()) ?? undefined;
        this.#sourceView = await this.#source.view();
        await this.#sourceView.on_update((event) => this.#receive({ delta: event.delta, port: event.port_id }), {
            mode: "row",
        });
        if (this.index && this.#sourceView.on_remove) {
            await this.#sourceView.on_remove((event) => this.#receive({ removed: event.indices }));
        }
        const options = { name: this.name };
        if (this.index) {
            options.index = this.index;
        } else if (limit !== undefined) {
            options.limit = limit;
        }
        this.table = await this.local.table(await this.#copy(), options);
        this.#feedPort = await this.table.make_port();
        if (this.index) {
            this.#editPort = await this.#source.make_port();
            const onEdit = (format, data) => this.#sendEdit(data, format);
            this.#endWatch = watchEdits(this.local, this.name, this.#feedPort, onEdit);
            if (!this.#endWatch) {
                this.#editView = await this.table.view();
                const isEdit = ({ port_id }) => port_id !== 0 && port_id !== this.#feedPort;
                const onUpdate = (event) => isEdit(event) && this.#sendEdit(event.delta, "arrow");
                await this.#editView.on_update(onUpdate, { mode: "row" });
            }
        }
        this.#copying = false;
        this.#drain();
        const connection = connectionOf(this.server);
        const onReopened = () => {
            this.#work = this.#work.then(() => this.#closed || this.#copyAgain()).catch((error) => this.onError(error));
        };
        connection?.addEventListener("reopened", onReopened);
        this.#forget = () => connection?.removeEventListener("reopened", onReopened);
    }

    /** Stops following the server and deletes the local table with its last view. */
    async close() {
        this.#closed = true;
        clearTimeout(this.#check);
        this.#endWatch?.();
        this.#forget?.();
        await this.#work;
        const quietly = (promise) => promise?.catch(() => {});
        await quietly(this.#sourceView?.delete());
        await quietly(this.#editView?.delete());
        await quietly(this.table?.delete({ lazy: true }));
    }

    /** Resolves when all notifications received before this call are applied. */
    async settled() {
        await this.#work;
    }

    #receive(event) {
        this.#received += 1;
        this.#queue.push(event);
        if (!this.#copying) {
            this.#drain();
        }
    }

    #drain() {
        this.#work = this.#work.then(async () => {
            while (this.#queue.length > 0 && !this.#closed) {
                await this.#apply(this.#queue.shift());
            }
        });
        this.#work = this.#work.catch((error) => this.onError(error));
    }

    async #apply({ delta, removed, port }) {
        if (removed) {
            this.counts.removals += 1;
            await this.table.remove(removed);
        } else if (this.index || port === 0) {
            this.counts.deltas += 1;
            await this.table.update(delta, { port_id: this.#feedPort });
        } else {
            // An edit: without an index it cannot be distinguished from an append.
            await this.#copyAgain();
        }
        if (!this.index && !this.#check) {
            this.#check = setTimeout(() => {
                this.#check = undefined;
                this.#work = this.#work.then(() => this.#compare()).catch((error) => this.onError(error));
            }, CHECK_MS);
        }
    }

    /** Copies the server table's rows, as of a version that no queued delta precedes. */
    async #copy() {
        for (let attempt = 1; ; attempt += 1) {
            this.counts.copies += 1;
            const received = this.#received;
            const arrow = await this.#sourceView.to_arrow();
            if (this.index) {
                return arrow;
            }
            // Deltas applied before this reply are delivered before it.
            await this.#source.size();
            if (this.#received === received || attempt === MAX_COPIES) {
                this.#queue.length = 0;
                return arrow;
            }
        }
    }

    async #copyAgain() {
        await this.table.replace(await this.#copy());
    }

    /** Copies a table without an index again if its size differs: it was cleared, or rows were removed. */
    async #compare() {
        if (this.#closed) {
            return;
        }
        const received = this.#received;
        const [there, here] = await Promise.all([this.#source.size(), this.table.size()]);
        if (there !== here && this.#received === received && this.#queue.length === 0) {
            await this.#copyAgain();
        }
    }

    async #sendEdit(data, format) {
        if (this.#closed) {
            return;
        }
        this.counts.edits += 1;
        // The client detects rows and columns by their shape, but not the format of a text.
        const options = typeof data === "string" ? { format } : {};
        try {
            await this.#source.update(data, { ...options, port_id: this.#editPort });
        } catch (error) {
            this.onError(error);
        }
    }
}
