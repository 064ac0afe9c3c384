// Packs the npm package: this folder's modules and types, and the engine.
//
//   node build-package.mjs --engine DIR --out DIR
//
// --engine: the output of wasm-bindgen (engine.js, engine_bg.wasm).
// --out:    where the .tgz and the folder that it was packed from (`contents`) are written.

import { execFileSync } from "node:child_process";
import { cp, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";

const HERE = dirname(fileURLToPath(import.meta.url));

const { values: args } = parseArgs({ options: { engine: { type: "string" }, out: { type: "string" } } });
if (!args.engine || !args.out) {
    console.error("build-package: --engine DIR names the folder of the engine, --out DIR that of the package; both are required");
    process.exit(2);
}
const contents = join(args.out, "contents");
await rm(args.out, { recursive: true, force: true });
await mkdir(join(contents, "engine"), { recursive: true });

await cp(join(HERE, "js"), join(contents, "js"), { recursive: true });
for (const name of ["engine.js", "engine_bg.wasm"]) {
    await cp(join(args.engine, name), join(contents, "engine", name));
}
await cp(join(HERE, "package.md"), join(contents, "README.md"));
await cp(join(HERE, "../LICENSE"), join(contents, "LICENSE"));
// What only this folder needs is left out.
const { private: _, scripts, devDependencies, ...manifest } = JSON.parse(await readFile(join(HERE, "package.json"), "utf8"));
await writeFile(join(contents, "package.json"), `${JSON.stringify(manifest, null, 2)}\n`);

const packed = execFileSync("npm", ["pack", "--json", "--pack-destination", args.out, contents], { encoding: "utf8" });
const found = JSON.parse(packed);
const { filename, size, unpackedSize } = Array.isArray(found) ? found[0] : Object.values(found)[0];
console.log(`${filename}: ${size} bytes, ${unpackedSize} unpacked`);
