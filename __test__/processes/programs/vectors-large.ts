/** Slices and gathers at random from a large vector cache; says what was wrong and how much memory it took. */

import { VectorCache } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { collected, memory } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface LargeInput {
  readonly path: string;
  readonly seed: number;
  readonly rounds: number;
  /** Rows whose first element is not 0 but their number plus one. */
  readonly marked: readonly number[];
}

const { path, seed, rounds, marked } = inputOf<LargeInput>();
const random = new Random(seed);
const cache = await VectorCache.load(path);
const rows = cache.size;
const expected = (row: number): number => (marked.includes(row) ? Math.fround(row + 1) : 0);
let [wrong, views, most] = [0, 0, 0];

function check(row: number, found: unknown): void {
  if (found !== expected(row)) wrong++;
}

for (let round = 0; round < rounds; round++) {
  const picked = Array.from({ length: 1000 }, () => random.below(rows));
  marked.forEach((row, i) => {
    picked[i * 3] = row;
  });
  const gathered = cache.gather(picked);
  picked.forEach((row, i) => {
    check(row, gathered.at(i, 0));
  });
  for (const start of [...marked, ...picked.slice(0, 20)]) {
    const part = cache.slice(start, start + random.below(10_000) + 1);
    if (part.isView) views++;
    check(start, part.at(0, 0));
    check(start, cache.row(start).at(0));
  }
  await collected();
  most = Math.max(most, memory().anonymous);
}

/** All rows at once: a view where they lie in one file, as long as an array buffer can be. */
let all: string;
try {
  const tensor = cache.slice();
  all = `${tensor.isView ? "view" : "copy"} ${marked.every((row) => tensor.at(row, 0) === expected(row))}`;
} catch (error) {
  all = `${(error as { code?: string }).code}: ${(error as { hint?: string }).hint}`;
}
tell({ kind: "report", rows, wrong, views, anonymous: most, all });
leave();
