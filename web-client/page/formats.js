// The formats of files and of pasted texts.

const BY_ENDING = {
    csv: "csv",
    tsv: "csv",
    json: "json",
    ndjson: "ndjson",
    jsonl: "ndjson",
    arrow: "arrow",
    feather: "arrow",
    ipc: "arrow",
    parquet: "parquet",
};

/** The formats of a download, with the name of each. */
export const DOWNLOADS = { csv: "CSV", json: "JSON, rows", columns: "JSON, columns", ndjson: "NDJSON", arrow: "Arrow" };
export const ENDINGS = { csv: "csv", json: "json", columns: "json", ndjson: "ndjson", arrow: "arrow" };

/** `{stem, format}` of a file's name. */
export function formatOf(fileName) {
    const [, stem, ending] = /^(.*?)(?:\.([^.]+))?$/s.exec(fileName);
    const format = BY_ENDING[(ending ?? "").toLowerCase()];
    if (!format) {
        throw new Error(`${fileName}: only CSV, JSON, NDJSON, Arrow and Parquet files can be read`);
    }
    return { stem: stem || fileName, format };
}

/** The format of a text: JSON begins with a bracket; objects on several lines are NDJSON. */
export function formatOfText(text) {
    const begin = text.trimStart();
    if (!/^[[{]/.test(begin)) {
        return "csv";
    }
    try {
        JSON.parse(text);
        return "json";
    } catch {
        return begin.startsWith("{") && begin.includes("\n") ? "ndjson" : "json";
    }
}

/** A name that is not taken: the stem, or the stem with a number. */
export function freeName(stem, taken) {
    let name = stem;
    for (let number = 2; taken.has(name); number += 1) {
        name = `${stem}-${number}`;
    }
    return name;
}
