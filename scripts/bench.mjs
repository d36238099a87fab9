/**
 * `npm run bench`: set-up, then the benchmarks of the crates and of the package, then the races against its peers.
 * Nothing is judged, only printed. `--record` writes the tables into the documents, `--long` takes more and longer
 * rounds, `--full` all peers, workloads and sizes. `--promises` measures what services are promised, and nothing else;
 * `--entries` and `--seconds` say on how many entries and how long. `--peers-only` leaves out what comes before the peers; the other
 * arguments are those of bench/peers/main.ts.
 */

import { inRoot, tools } from "./lib/paths.mjs";
import { preparePeers } from "./lib/peers.mjs";
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

const flags = process.argv.slice(2);

async function ownRaces() {
  const criterion = ["bench", "--workspace", "--benches", "--quiet", "--", ...(long ? [] : SHORT)];
  await succeeds("crates", () => run("cargo", criterion, { show: true }));
  await succeeds("compiling the races", () =>
    runNode([...tools.tsc, "-p", "bench/node/tsconfig.json"], { show: true }),
  );
  await succeeds("races", () => runNode([inRoot("bench/out/node/main.js"), ...flags], { show: true }));
}

async function promises() {
  await succeeds("compiling the program", () =>
    runNode([...tools.tsc, "-p", "bench/node/tsconfig.json"], { show: true }),
  );
  const passed = flags.filter((flag) => flag !== "--promises");
  await succeeds("promises", () =>
    runNode([inRoot("bench/out/node/promises.js"), ...passed], { show: true }),
  );
}

async function peerRaces() {
  await preparePeers();
  await succeeds("compiling the races against peers", () =>
    runNode([...tools.tsc, "-p", "bench/peers/tsconfig.json"], { show: true }),
  );
  const passed = flags.filter((flag) => flag !== "--peers-only" && flag !== "--long");
  await succeeds("peers", () => runNode([inRoot("bench/peers/out/main.js"), ...passed], { show: true }));
}

await main(async () => {
  await setup();
  if (flags.includes("--promises")) return promises();
  if (!flags.includes("--peers-only")) await ownRaces();
  return peerRaces();
});
