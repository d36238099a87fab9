/** What the races against peers need: their packages from npm and PyPI, and this package beside them. */

import { rmSync, symlinkSync } from "node:fs";
import { installPackages } from "./packages.mjs";
import { inRoot } from "./paths.mjs";
import { installPythonPackages } from "./python.mjs";

/** Installs what is missing. A Python peer that can't be had is left out of the races, and said so. */
export async function preparePeers() {
  await installPackages(inRoot("bench/peers"), "npm packages of the peers");
  // npm would record all of this package's own dependencies in the lock file of the peers.
  const link = inRoot("bench/peers/node_modules/quiver-cache");
  rmSync(link, { recursive: true, force: true });
  symlinkSync("../../..", link, "dir");
  await installPythonPackages({
    title: "Python packages of the peers (bench/peers/.venv)",
    requirements: inRoot("bench/peers/requirements.txt"),
    venv: inRoot("bench/peers/.venv"),
    what: "the peers in Python are left out",
  });
}
