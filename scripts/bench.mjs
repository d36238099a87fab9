/** `npm run bench`: set-up, then the benchmarks of the crates and of the package. Nothing is judged, only printed. */

import { existsSync, readdirSync, rmSync } from "node:fs";
import { inRoot, tools } from "./lib/paths.mjs";
import { run, runNode } from "./lib/process.mjs";
import { main, SetupError, step } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

const outDir = inRoot("bench/out/node");

async function nodeBenches() {
  rmSync(outDir, { recursive: true, force: true });
  const compiled = await runNode([...tools.tsc, "-p", "bench/node/tsconfig.json", "--outDir", outDir], {
    show: true,
  });
  if (!compiled.ok) throw new SetupError("The benchmarks don't compile; the errors are above.");
  for (const name of readdirSync(outDir).filter((file) => file.endsWith(".bench.js"))) {
    const { ok } = await step(name, () => runNode([`${outDir}/${name}`], { show: true }));
    if (!ok) throw new SetupError(`${name} failed.`);
  }
}

await main(async () => {
  await setup();
  const { ok } = await step("crates", () => run("cargo", ["bench", "--workspace"], { show: true }));
  if (!ok) throw new SetupError("`cargo bench` failed; its messages are above.");
  if (existsSync(inRoot("bench/node"))) await nodeBenches();
});
