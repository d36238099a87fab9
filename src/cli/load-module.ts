/** Modules of the user's own that a command works with: recipes, vectorizers. */

import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { QuiverError } from "../shared/errors.ts";

/** A module that was loaded, and where it is. */
export interface LoadedModule {
  readonly file: string;
  readonly exports: Readonly<Record<string, unknown>>;
}

/** Runs the module at the path. Rejects with ERR_QUIVER_BAD_OPTION, with the reason as its cause. */
export async function loadModule(path: string): Promise<LoadedModule> {
  const file = resolve(path);
  try {
    return { file, exports: await import(pathToFileURL(file).href) };
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `${file} can't be loaded as a module`, {
      path: file,
      hint: "It isn't there, is not JavaScript that this Node reads, or threw while it was loaded.",
      fix: `Run \`node ${path}\` to see where it fails.`,
      cause,
    });
  }
}
