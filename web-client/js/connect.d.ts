import type { Client } from "@perspective-dev/client";

import type { PerspectiveModule } from "./index.js";

/** "reconnecting" becomes "offline" after some seconds; the connection goes on trying. */
export type ConnectionState = "connecting" | "online" | "reconnecting" | "offline" | "closed";

/**
 * The connection behind a client. It dispatches events named after its states, "gone" with the reason when the server has
 * forgotten the session, and "reopened" when everything is opened again in another one.
 */
export interface Connection extends EventTarget {
    readonly state: ConnectionState;
    /** Whether the server merges updates, because this client receives less than there is. */
    readonly behind: boolean;
    /** When the next attempt to connect is made, in milliseconds since 1970. */
    readonly retryAt: number;
    /** Tries to connect now instead of waiting. */
    retry(): void;
    /** Drops the connection and keeps the session. */
    break(): void;
    /** Ends the session and the client. */
    close(): void;
}

export interface ConnectOptions {
    /** The published client's module. By default it is imported. */
    perspective?: PerspectiveModule;
    /** For pages that use the published client's own engine, too: no empty engine is registered in its place. */
    keepEngine?: boolean;
    /** Called for each connection; returns what authenticates it. */
    token?: () => string | undefined | Promise<string | undefined>;
    /** Called with each new state, and when `behind` changes. */
    onState?: (state: ConnectionState, connection: Connection) => void;
    /** Called when the server has forgotten the session; views and subscriptions are then opened again. */
    onGone?: (reason: string) => void;
}

/**
 * Connects to a server and returns the published client's object, on a connection that survives breaks: what was missed
 * follows, and after a restart of the server views and subscriptions are opened again under their ids.
 */
export function connect(url: string | URL, options?: ConnectOptions): Promise<Client>;

/** The connection of a client that `connect` returned. */
export function connectionOf(client: Client): Connection | undefined;
