/** Vector caches of any size that take no room on the disk: files with holes, which read as zeros. */

import { closeSync, ftruncateSync, openSync, readFileSync, rmSync, writeFileSync, writeSync } from "node:fs";
import { join } from "node:path";
import { Dataset, Tensor } from "../../src/index.ts";

/** Rows of the file that is enlarged; a number that nothing else in its metadata is. */
const SEED_ROWS = 1009;

export interface SparseCache {
  readonly path: string;
  /** Writes a number to the first element of a row. */
  mark(row: number, value: number): void;
}

/**
 * Makes a cache of `shards` files with `rowsOfShard` float32 vectors each, all zeros. Each file is that of a small
 * cache whose metadata claim more rows, and which is as long as they say.
 */
export async function makeSparse(
  root: string,
  dimension: number,
  shards: number,
  rowsOfShard: number,
): Promise<SparseCache> {
  const path = join(root, "sparse");
  const zeros = new Tensor(new Float32Array(SEED_ROWS * dimension), [SEED_ROWS, dimension]);
  await Dataset.write(path, { embeddings: zeros });
  const seed = readFileSync(join(path, "data-00000-of-00001.arrow"));
  const values = SEED_ROWS * dimension * 4;
  const body = seed.length - values - END;
  const head = enlarged(seed.subarray(0, body), dimension, rowsOfShard);
  const name = (shard: number): string =>
    `data-${String(shard).padStart(5, "0")}-of-${String(shards).padStart(5, "0")}.arrow`;
  rmSync(join(path, "data-00000-of-00001.arrow"));
  for (let shard = 0; shard < shards; shard++) {
    const file = openSync(join(path, name(shard)), "w");
    writeSync(file, head);
    const end = body + rowsOfShard * dimension * 4;
    ftruncateSync(file, end);
    writeSync(file, seed.subarray(seed.length - END), 0, END, end);
    closeSync(file);
  }
  const state = JSON.parse(readFileSync(join(path, "state.json"), "utf8")) as Record<string, unknown>;
  state["_data_files"] = Array.from({ length: shards }, (_, shard) => ({ filename: name(shard) }));
  writeFileSync(join(path, "state.json"), JSON.stringify(state));
  return {
    path,
    mark(row, value) {
      const file = openSync(join(path, name(Math.floor(row / rowsOfShard))), "r+");
      const at = body + (row % rowsOfShard) * dimension * 4;
      writeSync(file, new Uint8Array(Float32Array.of(value).buffer), 0, 4, at);
      closeSync(file);
    },
  };
}

/** Bytes of the mark at the end of an Arrow stream. */
const END = 8;

/** The metadata with counts and lengths of more rows. Each is a number of 64 bits at a multiple of 8. */
function enlarged(metadata: Buffer, dimension: number, rows: number): Buffer {
  const copy = Buffer.from(metadata);
  for (const factor of [1, dimension, dimension * 4]) {
    for (let at = 0; at + 8 <= copy.length; at += 4) {
      if (metadata.readBigInt64LE(at) === BigInt(SEED_ROWS * factor))
        copy.writeBigInt64LE(BigInt(rows * factor), at);
    }
  }
  return copy;
}
