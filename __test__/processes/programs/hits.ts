/** Opens the cache, reads one value and closes it, again and again: each process lives as short as it can. */

import { Cache } from "../../../src/index.ts";
import { inputOf, leave, tell } from "./program.ts";

export interface HitsInput {
  readonly root: string;
  readonly times: number;
}

const { root, times } = inputOf<HitsInput>();
for (let time = 0; time < times; time++) {
  await using cache = await Cache.open(root);
  if ((await cache.namespace("values").get("key")) !== "value") throw new Error("the value is not there");
}
tell({ kind: "done" });
leave();
