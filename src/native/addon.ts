/** Loads the native add-on. The only module that does; the others in this folder turn its errors into ours. */

import { createRequire } from "node:module";
import type * as Generated from "./generated.ts";

/** What the add-on exports, as derived from its sources. */
export type Addon = typeof Generated;

export const addon: Addon = createRequire(import.meta.url)("./quiver.node");
