/** Digests of bytes in memory, made by the add-on. */

import { type Addon, addon } from "./addon.ts";

export const sum128: Addon["sum128"] = addon.sum128;
