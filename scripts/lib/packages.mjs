/** The npm packages: installed when they differ from the lock file, otherwise left alone and never asked for. */

import { readFileSync } from "node:fs";
import { inRoot } from "./paths.mjs";
import { run } from "./process.mjs";
import { SetupError, step } from "./report.mjs";

function packagesIn(path) {
  try {
    return JSON.parse(readFileSync(path, "utf8")).packages ?? {};
  } catch {
    return {};
  }
}

/** Whether node_modules holds what package-lock.json names; npm keeps its own list of what it installed. */
function upToDate() {
  const wanted = Object.entries(packagesIn(inRoot("package-lock.json"))).filter(([path]) => path !== "");
  const installed = packagesIn(inRoot("node_modules/.package-lock.json"));
  // Optional packages are those of other platforms.
  return wanted.every(([path, { version, optional }]) => optional || installed[path]?.version === version);
}

/**
 * Installs the npm packages where they are missing or older than the lock file. Needs the network only then.
 *
 * @throws {SetupError} with npm's own message
 */
export async function installPackages() {
  if (upToDate()) return;
  const { ok } = await step("npm packages", () => run("npm", ["install"], { show: true }));
  if (!ok)
    throw new SetupError("`npm install` failed; its message is above. The first set-up needs the network.");
}
