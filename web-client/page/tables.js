// The list of tables, on the server or in this tab.

import { listTables } from "./server.js";

/** Tables that a replica is: shown under the name of their source. */
const isReplica = (name) => name.endsWith(" (replica)");

/** `{name, rows, columns, index, limit, version, bytes}` of the server's tables, by name. */
export async function serverTables() {
    const listed = await listTables();
    const found = listed.map(({ columns, index, limit, ...rest }) => ({
        ...rest,
        columns: Object.keys(columns).length,
        index: index ?? undefined,
        limit: limit ?? undefined,
    }));
    return sorted(found);
}

/** The same of the tables of a client, which knows neither their versions nor their bytes. */
export async function clientTables(client) {
    const names = (await client.get_hosted_table_names()).filter((name) => !isReplica(name));
    const found = await Promise.all(names.map((name) => describe(client, name)));
    return sorted(found.filter(Boolean));
}

const sorted = (tables) => tables.sort((left, right) => (left.name < right.name ? -1 : 1));

/** Resolves to undefined if the table was deleted meanwhile. */
async function describe(client, name) {
    try {
        const table = await client.open_table(name);
        const [rows, columns, index, limit] = await Promise.all([
            table.size(),
            table.columns(),
            table.get_index(),
            table.get_limit(),
        ]);
        return { name, rows, columns: columns.length, index: index ?? undefined, limit: limit ?? undefined };
    } catch {
        return undefined;
    }
}
