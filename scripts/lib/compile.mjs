/** The TypeScript sources, compiled to dist/. */

import { rmSync } from "node:fs";
import { inRoot, tools } from "./paths.mjs";
import { runNode } from "./process.mjs";
import { SetupError, step } from "./report.mjs";
import { filesUnder, fingerprint, stampIs, writeStamp } from "./stamp.mjs";

const dist = inRoot("dist");
const stamp = inRoot("dist/.stamp");
const namesStamp = inRoot("dist/.names.stamp");
/** What tsc remembers between runs; in dist/, because without the outputs it must compile everything again. */
const buildInfo = inRoot("dist/.tsbuildinfo");

/**
 * Compiles what changed. Removed or renamed sources start dist/ afresh, so that no stale module stays importable.
 *
 * @throws {SetupError} on type errors; they are on the screen
 */
export async function compileSources() {
  const sources = filesUnder([inRoot("src")]).filter((path) => path.endsWith(".ts"));
  const inputs = fingerprint([...sources, inRoot("tsconfig.json"), inRoot("package-lock.json")]);
  if (stampIs(stamp, inputs)) return;
  const names = fingerprint([], ...sources);
  if (!stampIs(namesStamp, names)) rmSync(dist, { recursive: true, force: true });
  await step("TypeScript", async () => {
    const { ok } = await runNode(
      [...tools.tsc, "-p", "tsconfig.json", "--incremental", "--tsBuildInfoFile", buildInfo],
      {
        show: true,
      },
    );
    if (!ok) throw new SetupError("The TypeScript sources don't compile; the errors are above.");
  });
  writeStamp(namesStamp, names);
  writeStamp(stamp, inputs);
}
