/** Where things lie in this repository. */

import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root, absolute, without a trailing separator. */
export const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** An absolute path from segments below the root. */
export function inRoot(...segments) {
  return join(root, ...segments);
}

/**
 * The arguments after `node` that run the command `bin` of an installed package. Quicker than `npx`, and never
 * looks beyond node_modules.
 */
export const tools = {
  biome: [inRoot("node_modules/@biomejs/biome/bin/biome")],
  depcruise: [inRoot("node_modules/dependency-cruiser/bin/dependency-cruise.mjs")],
  napi: [inRoot("node_modules/@napi-rs/cli/dist/cli.js")],
  tsc: [inRoot("node_modules/typescript/bin/tsc")],
  vitest: [inRoot("node_modules/vitest/vitest.mjs")],
};
