/** `npm start`: set-up, then the main job. */

import { inRoot } from "./lib/paths.mjs";
import { runNode } from "./lib/process.mjs";
import { main } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

await main(async () => {
  await setup();
  const { code } = await runNode([inRoot("scripts/main-job.mjs")], { show: true });
  process.exitCode = code;
});
