/**
 * `npm run torture`: set-up, then the tests that end processes and break disks in their long forms, which take
 * hundreds of rounds where `npm test` takes a few.
 */

import { tools } from "./lib/paths.mjs";
import { runNode } from "./lib/process.mjs";
import { main } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

/** Also for a single test: the long forms set no limits of their own. */
const TEST_TIMEOUT = 3_600_000;

await main(async () => {
  await setup({ tests: true });
  // One after the other: each keeps all processors busy, and leases and time limits are those of a machine that answers.
  const args = [
    "run",
    "__test__/processes",
    "__test__/faults",
    "--no-file-parallelism",
    `--testTimeout=${TEST_TIMEOUT}`,
  ];
  const { code } = await runNode([...tools.vitest, ...args], { show: true, env: { QUIVER_TORTURE: "1" } });
  process.exitCode = code;
});
