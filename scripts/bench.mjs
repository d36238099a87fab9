/**
 * `npm run bench`: set-up, then the benchmarks of the crates and of the package. Nothing is judged, only printed.
 * `--record` writes the table into bench/README.md, `--long` takes more and longer rounds.
 */

import { inRoot, tools } from "./lib/paths.mjs";
import { run, runNode } from "./lib/process.mjs";
import { main, SetupError, step } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

/** Criterion's own are 3 s of warm-up and 5 s for each figure. */
const SHORT = ["--warm-up-time", "0.3", "--measurement-time", "1"];

const long = process.argv.includes("--long");

async function succeeds(title, action) {
  const { ok } = await step(title, action);
  if (!ok) throw new SetupError(`${title} failed; the messages are above.`);
}

await main(async () => {
  await setup();
  const criterion = ["bench", "--workspace", "--benches", "--quiet", "--", ...(long ? [] : SHORT)];
  await succeeds("crates", () => run("cargo", criterion, { show: true }));
  await succeeds("compiling the races", () =>
    runNode([...tools.tsc, "-p", "bench/node/tsconfig.json"], { show: true }),
  );
  await succeeds("races", () =>
    runNode([inRoot("bench/out/node/main.js"), ...process.argv.slice(2)], { show: true }),
  );
});
