/** Telling a store from anything else that a program may have given in its place. */

import { badOption } from "../shared/options.ts";
import type { Store } from "./store.ts";

const METHODS = ["open", "names", "usage", "evictionScan", "close"] as const;

/** Throws ERR_QUIVER_BAD_OPTION unless `value` has what every store has; `field` is the option to blame. */
export function checkStore(value: unknown, field: string): asserts value is Store {
  const store: Partial<Record<string, unknown>> = Object(value);
  const { name, capabilities } = store;
  if (
    typeof name === "string" &&
    typeof capabilities === "object" &&
    METHODS.every((method) => typeof store[method] === "function")
  ) {
    return;
  }
  throw badOption(field, value, "a store, such as new MemoryStore() or one of your own");
}
