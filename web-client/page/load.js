// Makes a table from bytes or a schema: on the server by an upload, in this tab by its client.

import { upload } from "./server.js";

/**
 * Makes the table `name` from a file or text. `place` is `{mode, client}`; `options` are `{format, index, limit}`.
 * `onProgress(sent, total)` gets bytes; `signal` cancels.
 */
export async function load({ mode, client }, name, body, options, onProgress, signal) {
    if (mode !== "browser") {
        const blob = typeof body === "string" ? new Blob([body]) : body;
        onProgress(0, blob.size);
        return upload(name, blob, options, onProgress, signal);
    }
    const { format, index, limit } = options;
    if (format === "parquet") {
        throw new Error("the engine in this tab does not read Parquet: load the file in the mode Server");
    }
    const data = await contentOf(body, format);
    signal.throwIfAborted();
    const table = await client.table(data, { name, ...(format === "json" ? {} : { format }), index, limit });
    await table.size();
}

async function contentOf(body, format) {
    if (format === "arrow") {
        return body.arrayBuffer();
    }
    const text = typeof body === "string" ? body : await body.text();
    if (format !== "json") {
        return text;
    }
    const value = JSON.parse(text);
    if (typeof value !== "object" || value === null) {
        throw new Error("expected an array of rows or an object of columns");
    }
    return value;
}

/** Makes an empty table of these columns: name to type. */
export async function makeEmpty({ client }, name, schema, { index, limit }) {
    const table = await client.table(schema, { name, index, limit });
    await table.size();
}
