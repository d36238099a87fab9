/** Looks an entry up, then stays: idle, or busy in the same turn of the event loop, until another entry is there. */

import { Cache } from "../../../src/index.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface LookInput {
  readonly root: string;
  readonly key: string;
  /** How long the turn goes on after the look-up, ms. */
  readonly busy: number;
  /** Looked up all the while; the turn ends when it is there. */
  readonly awaited?: string;
}

const { root, key, busy, awaited } = inputOf<LookInput>();
const cache = await Cache.open(root);
const values = cache.namespace<string>("values");
await values.has(key);
const value = values.getSync(key);
tell({ kind: "looked", value });
const until = performance.now() + busy;
const isThere = (): boolean => awaited !== undefined && values.getSync(awaited) !== undefined;
while (performance.now() < until && !isThere());
if (awaited !== undefined) tell({ kind: "awaited", value: values.getSync(awaited) });
await stopped;
await cache.close();
leave();
