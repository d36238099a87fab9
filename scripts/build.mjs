/** `npm run build`: everything that the package ships, and the declarations that the sources import. */

import { buildAddon, placeAddon, updateTypes } from "./lib/addon.mjs";
import { compileSources } from "./lib/compile.mjs";
import { installPackages } from "./lib/packages.mjs";
import { main } from "./lib/report.mjs";
import { checkToolchain } from "./lib/toolchain.mjs";

await main(async () => {
  const compiler = await checkToolchain();
  await installPackages();
  await buildAddon(compiler);
  updateTypes();
  placeAddon("src");
  await compileSources();
  placeAddon("dist");
});
