// Programs that read a table, for people who go on elsewhere. Each runs as it is.

import { WEBSOCKET, tableUrl } from "./server.js";

const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;

/** The members of a layout that are a view configuration. */
export function viewOf(layout = {}) {
    const members = ["group_by", "split_by", "columns", "filter", "sort", "expressions", "aggregates"];
    const isGiven = (value) => value != null && Object.keys(value).length > 0;
    const view = Object.fromEntries(members.filter((name) => isGiven(layout[name])).map((name) => [name, layout[name]]));
    if (view.columns) {
        view.columns = view.columns.filter((name) => name !== null);
    }
    return view;
}

export function snippets(table, layout) {
    const view = viewOf(layout);
    const csv = quote(tableUrl(table, { format: "csv" }));
    const members = Object.entries(view).map(([name, value]) => `    ${name}: ${JSON.stringify(value)},`);
    const shape = members.length > 0 ? `{\n${members.join("\n")}\n}` : "";
    return {
        curl: [
            "# All rows as CSV (format: csv, json, columns, ndjson, arrow)",
            `curl --fail --silent --show-error --compressed ${csv} > ${quote(`${table.replaceAll("/", "-")}.csv`)}`,
            "",
            "# More rows, from a file with the same columns",
            `# curl --fail -X POST --data-binary @rows.csv -H 'content-type: text/csv' ${quote(tableUrl(table))}`,
        ].join("\n"),
        python: [
            "# pip install pyarrow",
            "import urllib.request",
            "import pyarrow.ipc",
            "",
            `url = ${JSON.stringify(tableUrl(table, { format: "arrow" }))}`,
            "with urllib.request.urlopen(url) as answer:",
            "    table = pyarrow.ipc.open_stream(answer).read_all()",
            "print(table.num_rows, table.column_names)      # table.to_pandas(), polars.from_arrow(table)",
        ].join("\n"),
        javascript: [
            "// npm install @perspective-dev/client",
            'import perspective from "@perspective-dev/client";',
            "",
            `const client = await perspective.websocket(${JSON.stringify(WEBSOCKET)});`,
            `const table = await client.open_table(${JSON.stringify(table)});`,
            `const view = await table.view(${shape});`,
            "console.log(await view.to_json({ end_row: 10 }));",
            "// view.on_update(async () => console.log(await view.to_json({ end_row: 10 })));    // stays live",
            "await view.delete();",
            "await client.terminate();",
        ].join("\n"),
    };
}
