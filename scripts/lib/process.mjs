/** Child processes: run to the end, with their output shown, kept, or both. */

import { spawn } from "node:child_process";
import { root } from "./paths.mjs";

/**
 * Runs a command in the repository's root and waits for its end. Never rejects: a command that can't be started
 * ends with code 127 and the reason as its output.
 *
 * @param {string} command
 * @param {readonly string[]} args
 * @param {{ show?: boolean, keep?: boolean, env?: Record<string, string>, timeout?: number }} [options]
 *   `show` passes the output through (and the terminal, so that the command draws its own progress, unless the
 *   output is kept too); `keep` returns it; `env` is added to this process's variables; `timeout` in
 *   milliseconds ends the command with SIGKILL.
 * @returns {Promise<{ ok: boolean, code: number, output: string, stdout: string }>} `output` is standard output
 *   and standard error as they came; both texts are empty unless `keep`. A command ended by a signal has code 128.
 */
export function run(command, args, { show = false, keep = !show, env = {}, timeout } = {}) {
  return new Promise((resolve) => {
    const stream = keep ? "pipe" : show ? "inherit" : "ignore";
    const child = spawn(command, args, {
      cwd: root,
      env: { ...process.env, ...env },
      stdio: ["ignore", stream, stream],
      timeout,
      killSignal: "SIGKILL",
    });
    const all = [];
    const standard = [];
    child.stdout?.on("data", (chunk) => {
      all.push(chunk);
      standard.push(chunk);
      if (show) process.stdout.write(chunk);
    });
    child.stderr?.on("data", (chunk) => {
      all.push(chunk);
      if (show) process.stderr.write(chunk);
    });
    child.on("error", (error) => resolve({ ok: false, code: 127, output: error.message, stdout: "" }));
    child.on("close", (code) => {
      const output = Buffer.concat(all).toString();
      resolve({ ok: code === 0, code: code ?? 128, output, stdout: Buffer.concat(standard).toString() });
    });
  });
}

/** Runs a script or tool with this Node; see {@link run}. */
export function runNode(args, options) {
  return run(process.execPath, args, options);
}
