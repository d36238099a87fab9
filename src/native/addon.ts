/** Loads the native add-on. The only module that does; the others in this folder give its functions types. */

import { createRequire } from "node:module";

/** What the add-on exports: a plain object of functions and classes. Each module of this folder types its own part. */
export type Addon = Readonly<Record<string, unknown>>;

export const addon: Addon = createRequire(import.meta.url)("./quiver.node");
