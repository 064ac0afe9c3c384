import type { Client, Table } from "@perspective-dev/client";

export interface ReplicaOptions {
    /** Client of the server. */
    server: Client;
    /** Client of the local engine, as `openEngine` returns it. */
    local: Client;
    /** Name of the server's table. */
    table: string;
    /** Name of the local table; the same by default. */
    name?: string;
    /** Called with each error after the first copy. */
    onError?: (error: unknown) => void;
}

/** What a replica has done since it was opened. */
export interface ReplicaCounts {
    deltas: number;
    removals: number;
    edits: number;
    copies: number;
}

/**
 * A replica of a server's table in a local engine: copied once, then kept current by deltas; edits go to the server and
 * return as deltas.
 */
export class Replica {
    private constructor();
    /** Copies the table and follows it. */
    static open(options: ReplicaOptions): Promise<Replica>;
    /** The local table. */
    readonly table: Table;
    /** Name of the local table. */
    readonly name: string;
    /** The index column's name, if the table has one. */
    readonly index: string | undefined;
    readonly counts: ReplicaCounts;
    /** Stops following the server and deletes the local table with its last view. */
    close(): Promise<void>;
    /** Resolves when all notifications received before this call are applied. */
    settled(): Promise<void>;
}
