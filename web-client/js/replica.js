// A copy of a server's table in a local engine, kept in step.
//
//   server view ── Arrow, then row deltas and removed keys ──▶ local table ──▶ any number of local views
//   server table ◀── rows edited here, through a port of our own ── local table
//
// Laws:
// * Pivots, filters and scrolling of local views ask the server nothing.
// * What came from the server enters through the feed port and is never sent back; what enters through any other port is
//   an edit and is sent to the server once. The server's echo of it is applied like every other delta: so all copies end
//   with the server's order of edits.
// * Edits are passed on cell by cell, as they were made; only where the local engine is not ours, as whole rows.
// * An indexed table's deltas are upserts: those that overlap the first copy do no harm. Rows without an index cannot be
//   named, so there a copy counts as taken only when no delta crossed it, a change that is not an append makes a new
//   copy, and edits are not sent.

import { watchEdits } from "./edits.js";

/** How often a copy of a table without an index is tried again because deltas crossed it. */
const MAX_COPIES = 12;

/** How long a table without an index may be out of step before its size is compared again. */
const CHECK_MS = 1000;

export class Replica {
    /**
     * @param options.server client of the server
     * @param options.local  client of the local engine
     * @param options.table  name of the server's table
     * @param options.name   name of the local table; the same by default
     * @param options.onError told of what goes wrong after the first copy
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
    /** What happened so far. */
    counts = { deltas: 0, removals: 0, edits: 0, copies: 0 };

    #source;
    #sourceView;
    #editView;
    #endWatch;
    #feedPort = 0;
    #editPort = 0;
    #heard = 0;
    #copying = true;
    #queue = [];
    #work = Promise.resolve();
    #check;
    #closed = false;

    async #start(table) {
        this.#source = await this.server.open_table(table);
        this.index = (await this.#source.get_index()) ?? undefined;
        const limit = (await this.#source.get_limit()) ?? undefined;
        this.#sourceView = await this.#source.view();
        await this.#sourceView.on_update((event) => this.#hear({ delta: event.delta, port: event.port_id }), {
            mode: "row",
        });
        if (this.index && this.#sourceView.on_remove) {
            await this.#sourceView.on_remove((event) => this.#hear({ removed: event.indices }));
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
            const told = (format, data) => this.#edited(data, format);
            this.#endWatch = watchEdits(this.local, this.name, this.#feedPort, told);
            if (!this.#endWatch) {
                this.#editView = await this.table.view();
                const isEdit = ({ port_id }) => port_id !== 0 && port_id !== this.#feedPort;
                const onUpdate = (event) => isEdit(event) && this.#edited(event.delta, "arrow");
                await this.#editView.on_update(onUpdate, { mode: "row" });
            }
        }
        this.#copying = false;
        this.#drain();
    }

    /** Stops following and removes the local table; its views must be gone. */
    async close() {
        this.#closed = true;
        clearTimeout(this.#check);
        this.#endWatch?.();
        await this.#work;
        const quietly = (promise) => promise?.catch(() => {});
        await quietly(this.#sourceView?.delete());
        await quietly(this.#editView?.delete());
        await quietly(this.table?.delete({ lazy: true }));
    }

    /** Everything that was heard before this call is applied when the promise resolves. */
    async settled() {
        await this.#work;
    }

    #hear(event) {
        this.#heard += 1;
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
            // Through a port come edits, and an edit of a row without a key is not to be told from an append.
            await this.#copyAgain();
        }
        if (!this.index && !this.#check) {
            this.#check = setTimeout(() => {
                this.#check = undefined;
                this.#work = this.#work.then(() => this.#compare()).catch((error) => this.onError(error));
            }, CHECK_MS);
        }
    }

    /** The server table's rows, at a moment that no queued delta lies before. */
    async #copy() {
        for (let attempt = 1; ; attempt += 1) {
            this.counts.copies += 1;
            const heard = this.#heard;
            const arrow = await this.#sourceView.to_arrow();
            if (this.index) {
                return arrow;
            }
            // Whatever was applied before this answer has been told by now.
            await this.#source.size();
            if (this.#heard === heard || attempt === MAX_COPIES) {
                this.#queue.length = 0;
                return arrow;
            }
        }
    }

    async #copyAgain() {
        await this.table.replace(await this.#copy());
    }

    /** A table without an index may have been cleared or edited: its size tells. */
    async #compare() {
        if (this.#closed) {
            return;
        }
        const heard = this.#heard;
        const [there, here] = await Promise.all([this.#source.size(), this.table.size()]);
        if (there !== here && this.#heard === heard && this.#queue.length === 0) {
            await this.#copyAgain();
        }
    }

    async #edited(data, format) {
        if (this.#closed) {
            return;
        }
        this.counts.edits += 1;
        // Rows and columns are known by their shape; text is not.
        const options = typeof data === "string" ? { format } : {};
        try {
            await this.#source.update(data, { ...options, port_id: this.#editPort });
        } catch (error) {
            this.onError(error);
        }
    }
}
