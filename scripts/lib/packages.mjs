/** The npm packages: installed when they differ from the lock file, otherwise left alone and never asked for. */

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { root } from "./paths.mjs";
import { run } from "./process.mjs";
import { SetupError, step } from "./report.mjs";

function packagesIn(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? {};
  } catch {
    return {};
  }
}

/** Whether a folder's node_modules holds what its package-lock.json names; npm keeps its own list of what it installed. */
function upToDate(folder) {
  const wanted = Object.entries(packagesIn(join(folder, "package-lock.json"))).filter(
    ([path]) => path !== "",
  );
  const installed = packagesIn(join(folder, "node_modules/.package-lock.json"));
  // Optional packages are those of other platforms.
  return wanted.every(([path, { version, optional }]) => optional || installed[path]?.version === version);
}

/**
 * Installs the npm packages of a folder, by default the repository's own, where they are missing or older than the
 * lock file. Needs the network only then.
 *
 * @throws {SetupError} with npm's own message
 */
export async function installPackages(folder = root, title = "npm packages") {
  if (upToDate(folder)) return;
  const { ok } = await step(title, () => run("npm", ["install", "--prefix", folder], { show: true }));
  if (!ok)
    throw new SetupError("`npm install` failed; its message is above. The first set-up needs the network.");
}
