/** What a figure finds in memory: systems that reclaim unused memory also take files that were read a minute ago. */

import { execFileSync } from "node:child_process";

/** Reads all files below a folder, by programs of their own: nothing of it warms the process that is measured. */
export function bringIntoMemory(folder: string): void {
  execFileSync("find", [folder, "-type", "f", "-exec", "cat", "{}", "+"], {
    stdio: ["ignore", "ignore", "inherit"],
  });
}
