/** The examples: compiled against the built package and run as a reader would run them, each one test. */

import { readdirSync, rmSync } from "node:fs";
import { inRoot, tools } from "../paths.mjs";
import { runNode } from "../process.mjs";

/** An example passes when it type-checks and ends with status 0. */
export async function examplesSuite() {
  const outDir = inRoot(".quiver-test/examples");
  rmSync(outDir, { recursive: true, force: true });
  const names = readdirSync(inRoot("examples"))
    .filter((name) => name.endsWith(".ts"))
    .sort();
  const count = { passed: 0, failed: 0, skipped: 0 };
  const compiled = await runNode([...tools.tsc, "-p", "examples/tsconfig.json", "--outDir", outDir], {
    show: true,
  });
  for (const name of names) {
    const { ok, output } = await runNode([`${outDir}/${name.replace(/\.ts$/, ".js")}`], { timeout: 120_000 });
    const passed = compiled.ok && ok;
    console.log(`${passed ? "ok  " : "FAIL"} examples/${name}`);
    if (!passed) console.log(output);
    count[passed ? "passed" : "failed"] += 1;
  }
  return count;
}
