// Creates tables from files, on the server or in this tab, depending on the client.

const FORMATS = {
    csv: { read: (file) => file.text(), format: "csv" },
    json: { read: readJson, format: undefined },
    ndjson: { read: (file) => file.text(), format: "ndjson" },
    jsonl: { read: (file) => file.text(), format: "ndjson" },
    arrow: { read: (file) => file.arrayBuffer(), format: "arrow" },
    feather: { read: (file) => file.arrayBuffer(), format: "arrow" },
    ipc: { read: (file) => file.arrayBuffer(), format: "arrow" },
};

/** Creates a table named after the file and returns its name. */
export async function makeTable(client, file, taken) {
    const [, stem, extension] = /^(.*?)(?:\.([^.]+))?$/.exec(file.name);
    const kind = FORMATS[(extension ?? "").toLowerCase()];
    if (!kind) {
        throw new Error(`${file.name}: only CSV, JSON, NDJSON and Arrow files can be read`);
    }
    const name = freeName(stem || file.name, taken);
    const options = kind.format ? { name, format: kind.format } : { name };
    try {
        const table = await client.table(await kind.read(file), options);
        await table.size();
    } catch (error) {
        throw new Error(`${file.name}: ${error.message ?? error}`);
    }
    return name;
}

async function readJson(file) {
    const value = JSON.parse(await file.text());
    if (typeof value !== "object" || value === null) {
        throw new Error("expected an array of rows or an object of columns");
    }
    return value;
}

function freeName(stem, taken) {
    let name = stem;
    for (let number = 2; taken.has(name); number += 1) {
        name = `${stem}-${number}`;
    }
    return name;
}

/** Accepts files dropped on `zone`, which has the class `over` while files are dragged over it. */
export function acceptDrops(zone, onFiles) {
    let depth = 0;
    zone.addEventListener("dragenter", (event) => {
        event.preventDefault();
        depth += 1;
        zone.classList.add("over");
    });
    zone.addEventListener("dragover", (event) => event.preventDefault());
    zone.addEventListener("dragleave", () => {
        depth -= 1;
        if (depth === 0) {
            zone.classList.remove("over");
        }
    });
    zone.addEventListener("drop", (event) => {
        event.preventDefault();
        depth = 0;
        zone.classList.remove("over");
        onFiles([...event.dataTransfer.files]);
    });
}
