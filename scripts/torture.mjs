/**
 * `npm run torture`: set-up, then the tests that end processes and break disks, with many more rounds than in
 * `npm test`. They read the number from the variable TORTURE_ROUNDS; an argument sets it.
 */

import { tools } from "./lib/paths.mjs";
import { runNode } from "./lib/process.mjs";
import { main } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

const rounds = process.argv[2] ?? "500";

await main(async () => {
  await setup({ tests: true });
  const folders = ["__test__/processes", "__test__/faults"];
  const options = { show: true, env: { TORTURE_ROUNDS: rounds } };
  const { code } = await runNode([...tools.vitest, "run", ...folders], options);
  process.exitCode = code;
});
