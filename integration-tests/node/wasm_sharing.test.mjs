// Views of one table beside each other in the browser's engine, as WebAssembly: each shows what it shows alone.

import assert from "node:assert/strict";
import { before, test } from "node:test";

import { startEngine } from "./engine.mjs";

let clients;

before(async () => {
    const connect = await startEngine();
    clients = [await connect(), await connect()];
});

/** Whole numbers below a bound, the same for one seed (mulberry32). */
function randomOf(seed) {
    let state = seed;
    return (bound) => {
        state = (state + 0x6d2b79f5) | 0;
        let mixed = Math.imul(state ^ (state >>> 15), state | 1);
        mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61)) ^ mixed;
        return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
    };
}

const ROWS = Array.from({ length: 40 }, (_, id) => ({
    id,
    g: [null, "a", "b", "c"][id % 4],
    h: ["x", "y", "1", ""][(id * 7) % 4],
    n: id % 9 ? (id * 37) % 23 : null,
    f: id % 7 ? id / 8 : null,
}));

/** A configuration that differs from its like in a few places: in aggregates, modes, filters, sorts and names. */
function config(random) {
    const pick = (items) => items[random(items.length)];
    const aggregates = ["sum", "max", "avg", "count", "distinct count", "last", "first", ["weighted mean", ["n"]]];
    const chosen = { columns: pick([["n"], ["n", "f"], ["f", "n"], ["n", "n"], ["g", "e"]]) };
    chosen.expressions = { e: pick(['"n" + 1', '"n" + 1.0', '"n" * 2', "now() > 0"]) };
    chosen.aggregates = { n: pick(aggregates), f: pick(aggregates), e: pick(["sum", "max", "count"]) };
    chosen.group_rollup_mode = pick(["rollup", "flat", "total"]);
    if (chosen.group_rollup_mode === "rollup") {
        chosen.group_by = pick([[], ["g"], ["h"], ["g", "h"], ["e"]]);
        chosen.group_by_depth = pick([undefined, 1, 2]);
    } else if (chosen.group_rollup_mode === "flat") {
        chosen.group_by = pick([["g"], ["g", "h"]]);
    }
    chosen.split_by = pick([[], [], ["h"], ["g"]]);
    chosen.filter = pick([[], [["n", ">", 5]], [["n", ">", 5.5]], [["h", "==", "1"]], [["h", "in", ["x", "1"]]]]);
    chosen.sort = pick([[], [["n", "desc"]], [["f", "asc"]], [["n", "desc abs"]]]);
    return chosen;
}

/** What a view shows; its schema is a map without an order. */
async function shown(view) {
    const schema = Object.entries(await view.schema()).sort();
    return JSON.stringify([await view.to_columns_string(), schema, await view.to_csv()]);
}

/** What a table of its own shows under a configuration, after the update; `undefined`: the configuration is refused. */
async function alone(client, chosen) {
    const table = await client.table(ROWS, { index: "id" });
    try {
        const view = await table.view(chosen);
        await table.update([{ id: 3, n: 100 }]);
        const answer = await shown(view);
        await view.delete();
        return answer;
    } catch {
        return undefined;
    } finally {
        await table.delete();
    }
}

test("random pairs of views, of one and of two clients, show what each shows alone", async () => {
    let numCompared = 0;
    for (let seed = 1; seed <= 120; seed += 1) {
        const random = randomOf(seed);
        // The second is often the first but for one part.
        const first = config(random);
        const second = random(2) ? { ...first, aggregates: config(random).aggregates } : config(random);
        const owners = [clients[0], clients[random(2)]];
        const wanted = [await alone(owners[0], first), await alone(owners[1], second)];
        if (wanted.includes(undefined)) {
            continue;
        }
        const name = `shared ${seed}`;
        const made = await clients[0].table(ROWS, { index: "id", name });
        const opened = await Promise.all(owners.map((owner) => owner.open_table(name)));
        const views = [await opened[0].view(first), await opened[1].view(second)];
        await made.update([{ id: 3, n: 100 }]);
        for (const [at, view] of views.entries()) {
            assert.equal(await shown(view), wanted[at], `seed ${seed}: ${JSON.stringify([first, second])}`);
            await view.delete();
        }
        await made.delete();
        numCompared += 1;
    }
    assert.ok(numCompared > 50, `${numCompared} pairs were compared`);
});
