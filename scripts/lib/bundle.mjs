/** The compiled modules, joined into a few: to load two hundred small ones takes Node four times as long. */

import { readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { inRoot } from "./paths.mjs";

/** The module that finds the add-on beside itself, with what it needs. */
const addon = "native/addon";

/** What is loaded by its path: the package's exports and its commands. What several of them need goes to chunks/. */
export function entries() {
  const { exports, bin } = JSON.parse(readFileSync(inRoot("package.json"), "utf8"));
  const paths = [...Object.values(exports).map((target) => target.default), ...Object.values(bin)];
  return paths.flatMap((path) => /^\.\/dist\/(.*)\.js$/.exec(path ?? "")?.[1] ?? []);
}

/** Has the maps that tsc wrote go on to the bundles, so that they point to the sources. */
const withMaps = {
  name: "with-maps",
  load: {
    filter: { id: /\.js$/ },
    handler: (id) => ({ code: readFileSync(id, "utf8"), map: readFileSync(`${id}.map`, "utf8") }),
  },
};

/** Joins the modules in the folder `from` into the folder `to`. Other files there are left alone. */
export async function bundle(from, to) {
  // Imported here, because what installs packages runs before there are any.
  const { rolldown } = await import("rolldown");
  rmSync(join(to, "chunks"), { recursive: true, force: true });
  const bundled = await rolldown({
    input: Object.fromEntries(entries().map((name) => [name, join(from, `${name}.js`)])),
    cwd: inRoot(),
    platform: "node",
    external: /^(?![./])/,
    plugins: [withMaps],
  });
  await bundled.write({
    dir: to,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: ({ name }) => (name === addon ? "[name].js" : "chunks/[name].js"),
    codeSplitting: { groups: [{ name: addon, test: /native\/addon\.js$/ }] },
    // Modules of different builds then fail to link instead of calling each other's functions.
    minifyInternalExports: false,
    sourcemap: true,
    // Digests and messages have names of classes in them.
    keepNames: true,
  });
  await bundled.close();
}
