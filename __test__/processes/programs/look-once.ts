/** Looks an entry up, then stays: idle, or busy in the same turn of the event loop, until a file is there. */

import { existsSync } from "node:fs";
import { Cache } from "../../../src/index.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

export interface LookInput {
  readonly root: string;
  readonly key: string;
  /** Whether it only asks if the entry is there. */
  readonly asks?: boolean;
  /** How long the turn goes on after the look-up, ms. */
  readonly busy: number;
  /** A file that ends the turn; then the entry is looked up once more in it. */
  readonly awaited?: string;
}

const { root, key, asks, busy, awaited } = inputOf<LookInput>();
const cache = await Cache.open(root);
const values = cache.namespace<string>("values");
await values.has(key);
const value = asks ? undefined : values.getSync(key);
tell({ kind: "looked", value });
const until = performance.now() + busy;
while (performance.now() < until && !(awaited && existsSync(awaited)));
if (awaited !== undefined) tell({ kind: "again", value: values.getSync(key) });
await stopped;
await cache.close();
leave();
