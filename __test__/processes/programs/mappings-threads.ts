/** Runs `mappings` in several worker threads at once and reports what each of them saw. */

import { Worker } from "node:worker_threads";
import type { MappingsInput } from "./mappings.ts";
import { leftMapped } from "./memory.ts";
import { inputOf, leave, tell } from "./program.ts";

const THREADS = 3;

const workerData = inputOf<MappingsInput>();
const reports = await Promise.all(
  Array.from(
    { length: THREADS },
    () =>
      new Promise((resolve, reject) => {
        const worker = new Worker(new URL("./mappings.js", import.meta.url), { workerData });
        worker.on("message", resolve);
        worker.on("error", reject);
      }),
  ),
);
tell({ kind: "report", reports, left: await leftMapped() });
leave();
