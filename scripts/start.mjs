/** `npm start`: set-up, then both parts of the main job. */

import { inRoot } from "./lib/paths.mjs";
import { runNode } from "./lib/process.mjs";
import { main } from "./lib/report.mjs";
import { setup } from "./setup.mjs";

await main(async () => {
  await setup();
  for (const part of ["scripts/main-job.mjs", "scripts/main-job-novel.mjs"]) {
    const { code } = await runNode([inRoot(part)], { show: true });
    process.exitCode ||= code;
  }
});
