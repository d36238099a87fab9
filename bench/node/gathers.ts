/** Picking rows out of a stored table of embeddings: natively in one call, or row by row in JavaScript. */

import { deepStrictEqual } from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Cache, saveFile, Tensor } from "quiver-cache";
import type { Race } from "./race.ts";

const ROWS = 200_000;
const COLUMNS = 384;
const PICKED = 1_000;

export async function gatherRace(folder: string): Promise<{ race: Race; close: () => Promise<void> }> {
  const cache = await Cache.open(join(folder, "embeddings"));
  const values = new Float32Array(ROWS * COLUMNS);
  for (let index = 0; index < values.length; index++) values[index] = (index * 7) % 1013;
  const tensor = new Tensor(values, [ROWS, COLUMNS]);
  const tables = cache.namespace<Tensor>("tables");
  await tables.set("table", tensor);
  await saveFile(join(folder, "table.npy"), tensor);
  const stored = (await tables.get("table")) as Tensor;
  await stored.ready();
  const file = readFileSync(join(folder, "table.npy"));
  const inMemory = new Float32Array(file.buffer, file.byteOffset + 10 + file.readUInt16LE(8), ROWS * COLUMNS);
  const rows = Array.from({ length: PICKED }, (_, index) => (index * 7_919) % ROWS);
  const byHand = (): Float32Array => {
    const out = new Float32Array(PICKED * COLUMNS);
    rows.forEach((row, index) => {
      out.set(inMemory.subarray(row * COLUMNS, (row + 1) * COLUMNS), index * COLUMNS);
    });
    return out;
  };
  return {
    race: {
      title: "gather 1,000 of 200,000 rows of 384 float32 (fs: row by row, from a file in memory)",
      contenders: {
        quiver: { operations: 1, run: () => stored.gather(rows) },
        fs: { operations: 1, run: byHand },
      },
      check: () => deepStrictEqual(stored.gather(rows).data, byHand()),
    },
    close: () => cache.close(),
  };
}
