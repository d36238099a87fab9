/** Starts the processes of peers, whichever language they are in, and reads what they answer. */

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { NODE_PEERS, PYTHON_PEERS } from "./adapters/catalogue.ts";
import type { Answer, Job } from "./contract.ts";

const WORKER = fileURLToPath(new URL("./worker.js", import.meta.url));
const DRIVER = fileURLToPath(new URL("../python/driver.py", import.meta.url));
const PYTHON = fileURLToPath(new URL("../.venv/bin/python", import.meta.url));

/** A process that hangs must not hang the race. */
const TIMEOUT = 15 * 60_000;

/** Whether what the peer needs is installed. */
export function isHere(peer: string): boolean {
  return peer in NODE_PEERS || (PYTHON_PEERS.includes(peer) && existsSync(PYTHON));
}

/** Runs a job in a process of its own. Rejects with what the process wrote when it failed. */
export function runJob(job: Job): Promise<Answer> {
  const [command, program] = job.peer in NODE_PEERS ? [process.execPath, WORKER] : [PYTHON, DRIVER];
  const options = { maxBuffer: 1024 ** 3, timeout: TIMEOUT, killSignal: "SIGKILL" } as const;
  return new Promise((resolve, reject) => {
    execFile(command, [program, JSON.stringify(job)], options, (error, stdout, stderr) => {
      const last = stdout.trimEnd().split("\n").at(-1) ?? "";
      if (error !== null || !last.startsWith("{")) {
        reject(new Error(`${job.peer} failed at ${job.workload}: ${reasonIn(stderr || stdout)}`));
      } else resolve(JSON.parse(last) as Answer);
    });
  });
}

/** What a process said of its failure: first the error's own line, which goes into the documents, then where it came from. */
function reasonIn(text: string): string {
  const lines = text.trimEnd().split("\n");
  const error = lines.findLast((line) => /^[\w.]*(?:Error|Exception)\b/.test(line)) ?? lines.at(-1) ?? "";
  return [withoutFolders(error), ...lines.slice(-12)].join("\n");
}

/** Documents name no folder of the machine they were made on. */
function withoutFolders(line: string): string {
  return line.replaceAll(/(?:file:\/\/|(?<![:/]))(?:\/[^\s'":/]+)+\//g, "");
}
