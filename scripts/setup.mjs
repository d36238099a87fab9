/** Brings a fresh clone, or one that changed, to where everything can run; quick and offline when nothing did. */

import { buildAddon, placeAddon } from "./lib/addon.mjs";
import { compileSources } from "./lib/compile.mjs";
import { installPackages } from "./lib/packages.mjs";
import { prepareTestEnvironment } from "./lib/test-environment.mjs";
import { checkToolchain } from "./lib/toolchain.mjs";

/**
 * Checks the toolchain, installs the npm packages, builds the add-on in release mode and compiles the sources,
 * each only where its inputs changed.
 *
 * @param {{ tests?: boolean }} [options] `tests` also prepares what only tests need
 * @throws {SetupError} saying what is missing or doesn't compile
 */
export async function setup({ tests = false } = {}) {
  const compiler = await checkToolchain();
  await installPackages();
  await buildAddon(compiler);
  placeAddon("src");
  await compileSources();
  placeAddon("dist");
  if (tests) await prepareTestEnvironment();
}
