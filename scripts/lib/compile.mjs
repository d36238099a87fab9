/** The TypeScript sources, compiled to dist/: declarations one by one, modules joined. */

import { rmSync } from "node:fs";
import { bundle, entries } from "./bundle.mjs";
import { inRoot, tools } from "./paths.mjs";
import { runNode } from "./process.mjs";
import { SetupError, step } from "./report.mjs";
import { filesUnder, fingerprint, stampIs, writeStamp } from "./stamp.mjs";

const dist = inRoot("dist");
/** Where tsc puts the modules. */
const modules = inRoot("dist/.modules");
/** How they come about, besides what they say. */
const ways = ["tsconfig.json", "scripts/lib/bundle.mjs", "scripts/lib/compile.mjs"].map((path) =>
  inRoot(path),
);
const stamp = inRoot("dist/.stamp");
const namesStamp = inRoot("dist/.names.stamp");
/** What tsc remembers between runs; in dist/, because without the outputs it must compile everything again. */
const buildInfo = inRoot("dist/.tsbuildinfo");

/**
 * Compiles what changed. Removed or renamed sources, or other ways to compile them, start dist/ afresh, so that no stale
 * module stays importable.
 *
 * @throws {SetupError} on type errors; they are on the screen
 */
export async function compileSources() {
  const sources = filesUnder([inRoot("src")]).filter((path) => path.endsWith(".ts"));
  const inputs = fingerprint([...sources, ...ways, inRoot("package-lock.json"), inRoot("package.json")]);
  if (stampIs(stamp, inputs)) return;
  const names = fingerprint(ways, ...sources, ...entries());
  if (!stampIs(namesStamp, names)) rmSync(dist, { recursive: true, force: true });
  // From here on it vouches for nothing.
  rmSync(stamp, { force: true });
  await step("TypeScript", async () => {
    const incremental = ["--incremental", "--tsBuildInfoFile", buildInfo];
    const { ok } = await runNode(
      [...tools.tsc, "-p", "tsconfig.json", "--outDir", modules, "--declarationDir", dist, ...incremental],
      { show: true },
    );
    if (!ok) throw new SetupError("The TypeScript sources don't compile; the errors are above.");
    await bundle(modules, dist);
  });
  writeStamp(namesStamp, names);
  writeStamp(stamp, inputs);
}
