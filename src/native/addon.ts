/** Loads the native add-on. The only module that does; the others in this folder turn its errors into ours. */

import { createRequire } from "node:module";
import { QuiverError } from "../shared/errors.ts";
import type * as Generated from "./generated.ts";

/** What the add-on exports, as derived from its sources. */
export type Addon = typeof Generated;

export const addon: Addon = load();

function load(): Addon {
  try {
    return createRequire(import.meta.url)("./quiver.node");
  } catch (cause) {
    const platform = `${process.platform} on ${process.arch}`;
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `the add-on can't be loaded on ${platform}`, {
      hint: "It was built for another system, another C library than glibc among them, or not at all.",
      fix: "Use Linux on x86-64 with glibc; in a clone of the repository run `npm run build`.",
      cause,
    });
  }
}
