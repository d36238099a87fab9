/** Writes new entries without pause until it is told to stop; says when the first is there, how many, and the keys of those it pinned. */

import { Cache } from "../../../src/index.ts";
import { Random } from "../../../src/testing/store/random.ts";
import { makeValue } from "../values.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface FillInput {
  readonly root: string;
  readonly number: number;
  readonly seed: number;
  /** Every how many entries one is pinned, up to `pins` of them; 0 = none. */
  readonly pinEvery: number;
  readonly pins: number;
  /** Sizes of the values. Default: 10,000 to 60,000. */
  readonly least?: number;
  readonly most?: number;
}

const { root, number, seed, pinEvery, pins, least = 10_000, most = 60_000 } = inputOf<FillInput>();
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
    const pin = pinEvery > 0 && written % pinEvery === 0 && pinned.length < pins;
    if (pin) pinned.push(key);
    await values.set(key, makeValue(key, 1, least + random.below(most - least)), { pinned: pin });
    if (key === `${number}-0`) tell({ kind: "wrote" });
  }
}

tell({ kind: "ready" });
await Promise.all(Array.from({ length: 8 }, lane));
tell({ kind: "written", written, pinned });
await cache.close();
leave();
