/** Opens a cache as it is told to, tells what came of it, and keeps it open until it is asked to end. */

import { Cache, type CacheOptions, isQuiverError } from "../../../src/index.ts";
import { inputOf, leave, stopped, tell } from "./program.ts";

const { root, mode } = inputOf<{ readonly root: string; readonly mode: NonNullable<CacheOptions["mode"]> }>();
try {
  await using cache = await Cache.open(root, { mode });
  tell({ kind: "open", code: null, value: (await cache.namespace("n").get("k")) ?? null });
  await stopped;
} catch (error) {
  if (!isQuiverError(error)) throw error;
  tell({ kind: "open", code: error.code, value: null });
}
leave();
