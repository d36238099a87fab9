/**
 * What a figure finds in memory: systems that reclaim unused memory also take files that were read a minute ago, and write
 * what was left to them while somebody else is measured.
 */

import { spawnSync } from "node:child_process";

/**
 * Reads all files below a folder, by programs of their own: nothing of it warms the process that is measured. Files that a
 * peer removes meanwhile are passed over.
 */
export function bringIntoMemory(folder: string): void {
  const { error } = spawnSync("find", [folder, "-type", "f", "-exec", "cat", "{}", "+"], { stdio: "ignore" });
  if (error) throw error;
}

/** Has the system write what all programs have left to it. A system without such a command goes on as it likes. */
export function writeOut(): void {
  spawnSync("sync", { stdio: "ignore" });
}
