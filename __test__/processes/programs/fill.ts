/** Writes new entries without pause until it is told to stop; says how many, and the keys of those it pinned. */

import { Cache } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { makeValue } from "../values.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface FillInput {
  readonly root: string;
  readonly number: number;
  readonly seed: number;
  /** Every how many entries one is pinned, up to `pins` of them. */
  readonly pinEvery: number;
  readonly pins: number;
}

const { root, number, seed, pinEvery, pins } = inputOf<FillInput>();
const random = new Random(seed);
const cache = await Cache.open(root);
const values = cache.namespace<Uint8Array>("values");
const pinned: string[] = [];
let written = 0;
let running = true;
void stopped.then(() => {
  running = false;
});

async function lane(): Promise<void> {
  while (running) {
    const key = `${number}-${written++}`;
    const pin = written % pinEvery === 0 && pinned.length < pins;
    if (pin) pinned.push(key);
    await values.set(key, makeValue(key, 1, 10_000 + random.below(50_000)), { pinned: pin });
  }
}

tell({ kind: "ready" });
await Promise.all(Array.from({ length: 8 }, lane));
tell({ kind: "written", written, pinned });
await cache.close();
leave();
