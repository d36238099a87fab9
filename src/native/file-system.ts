/** What kind of file system a folder lies on. */

import { type Addon, addon } from "./addon.ts";

export const fileSystem: Addon["fileSystem"] = addon.fileSystem;
