// The engine of the browser's worker, in node: the recorded cases of the expression language, as WebAssembly has them.
//
// The published client calls the module's functions directly, so that only the engine is involved.

import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { before, test } from "node:test";
import { fileURLToPath } from "node:url";

import { startEngine } from "./engine.mjs";

const fromRoot = (path) => fileURLToPath(new URL(`../../${path}`, import.meta.url));
const recorded = (name) => JSON.parse(readFileSync(fromRoot(`engine/tests/data/${name}.json`), "utf8"));

let client;

before(async () => {
    const connect = await startEngine();
    client = await connect();
});

/** Intended differences: see the engine's own test of the same cases. */
const DIFFERENT = new Set(["NULL == 1", '/* it\'s */ "i" == null']);

/**
 * Recorded where integers have 32 bits and wrap around. A schema's integers have 64 here; the engine's own test runs the
 * recorded values over Arrow's `int32`.
 */
const WIDE = new Map([
    ['"i" + "j"', [2147483648, -2147483649, 131072, 1001002]],
    ['"i" * "j"', [2147483647, 2147483648, 4294967296, 999002997]],
    ['"i" * "i"', [4611686014132420600, 4611686018427388000, 4294967296, 1000006000009]],
    ['-"i"', [-2147483647, 2147483648, -65536, -1000003]],
    ['"i" + "i" + "i"', [6442450941, -6442450944, 196608, 3000009]],
    ['sum("i","j")', [2147483648, -2147483649, 131072, 1001002]],
    ['mul("i","i")', [4611686014132420600, 4611686018427388000, 4294967296, 1000006000009]],
]);

/** JSON has no NaN and no infinities: the client returns null for them. */
const shown = (value) => (["NaN", "Infinity", "-Infinity"].includes(value) ? null : value);

function isSame(given, wanted, isApproximate) {
    if (typeof given === "number" && typeof wanted === "number") {
        const least = isApproximate ? 1e-12 * Math.max(Math.abs(given), Math.abs(wanted)) : 0;
        return Math.abs(given - wanted) <= least;
    }
    return given === wanted;
}

/** The difference of the reply to a case, if any. */
async function wrong(table, { expr, type, values, error, approx }) {
    const expressions = { e: expr };
    const { expression_schema, errors } = await table.validate_expressions(expressions);
    if (error) {
        const given = errors.e && { message: errors.e.error_message, line: errors.e.line, column: errors.e.column };
        try {
            assert.deepEqual(given, error);
        } catch {
            return `is ${JSON.stringify(given)}, not ${JSON.stringify(error)}`;
        }
        return undefined;
    }
    if (expression_schema.e !== type) {
        return `is ${expression_schema.e ?? JSON.stringify(errors.e)}, not ${type}`;
    }
    const view = await table.view({ expressions, columns: ["e"] });
    const { e } = await view.to_columns();
    await view.delete();
    const wanted = (values.some((value) => Math.abs(value) > 2 ** 29) && WIDE.get(expr)) || values.map(shown);
    const isRight = e.length === wanted.length && e.every((value, row) => isSame(value, wanted[row], approx));
    return isRight ? undefined : `is ${JSON.stringify(e)}, not ${JSON.stringify(wanted)}`;
}

/** Runs the cases over tables of these columns and rows; returns the failures with their expressions. */
async function failures(cases) {
    const tables = new Map();
    const failed = [];
    for (const each of cases) {
        const key = JSON.stringify([each.columns, each.rows]);
        if (!tables.has(key)) {
            const table = await client.table(each.columns);
            await table.update(each.rows);
            tables.set(key, table);
        }
        if (DIFFERENT.has(each.expr)) {
            continue;
        }
        const fault = await wrong(tables.get(key), each);
        if (fault) {
            failed.push(`${each.expr} ${fault}`);
        }
    }
    for (const table of tables.values()) {
        await table.delete();
    }
    return failed;
}

test("every recorded case of the expression language", async () => {
    const { cases } = recorded("expressions");
    assert.ok(cases.length > 1400);
    const failed = await failures(cases);
    assert.equal(failed.length, 0, failed.join("\n"));
});

test("patterns, dates far away, letters of other alphabets", async () => {
    const columns = { s: "string", t: "datetime", d: "date" };
    const rows = [
        { s: "Straße ΑΣ İ", t: 253402300799000, d: "9999-12-31" },
        { s: "aaaa東京", t: -62135596800000, d: "0001-01-01" },
    ];
    const cases = [
        ["upper(\"s\")", "string", ["STRAßE ΑΣ İ", "AAAA東京"]],
        ["lower(\"s\")", "string", ["straße ΑΣ İ", "aaaa東京"]],
        ["match_all(\"s\", 'a+[^ ]*')", "boolean", [false, true]],
        ["match(\"s\", '^a+')", "boolean", [false, true]],
        ["search(\"s\", '(a{2})')", "string", [null, "aa"]],
        ["length(\"s\")", "float", [15, 10]],
        ["day_of_week(\"t\")", "string", ["6 Friday", "2 Monday"]],
        ["hour_of_day(\"t\")", "float", [23, 0]],
        ["bucket(\"t\", 'Y')", "date", [253370764800000, -62135596800000]],
        ["string(\"d\")", "string", ["9999-12-31", "1-01-01"]],
    ].map(([expr, type, values]) => ({ expr, type, values, columns, rows }));
    const failed = await failures(cases);
    assert.equal(failed.length, 0, failed.join("\n"));
});

test("expressions as deep as the language allows, and deeper, on the stack that WebAssembly has", async () => {
    const table = await client.table({ a: [1, 2], s: ["x", "y"] });
    const nested = (open, close, count) => `${open.repeat(count)}"a"${close.repeat(count)}`;
    const pairs = [
        ["(", ")"], ["-(", ")"], ["abs(", ")"], ["min(1,", ")"], ["~{", "}"], ['if("a" > 1) {', "}"], ['"a" ? ', ": 1"],
        ["(1 + \"a\" * (\"a\" - ", "))"], ['switch {case "a" > 0: ', ";}"], ['while("a" > 2) {', "}"], ["upper(", ")"],
    ];
    const operators = ["+", "*", "^", " and ", " < ", "^-", "--"];
    let numAccepted = 0;
    for (const count of [60, 150, 199, 999, 20_000]) {
        const texts = [
            ...pairs.map(([open, close]) => nested(open, close, count)),
            ...operators.map((operator) => `${`"a"${operator}`.repeat(count)}"a"`),
        ];
        for (const text of texts) {
            const { errors } = await table.validate_expressions({ e: text });
            if (errors.e) {
                assert.ok(errors.e.error_message.length > 0);
                continue;
            }
            numAccepted += 1;
            const view = await table.view({ expressions: { e: text }, columns: ["e"] });
            assert.equal((await view.to_columns()).e.length, 2);
            await view.delete();
        }
    }
    assert.ok(numAccepted > 20, `${numAccepted} were accepted`);
    await table.delete();
});
