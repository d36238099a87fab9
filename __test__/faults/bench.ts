/** What the tests of faults share: a folder of their own, and how an error must look. */

import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readdirSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach } from "vitest";
import { isQuiverError } from "../../src/index.ts";

/** Mounting and changing users takes root; elsewhere such tests are counted as skipped. */
export const isRoot: boolean = process.getuid?.() === 0;

const folders: string[] = [];

afterEach(() => {
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

/** A new folder, removed after the test. */
export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "quiver-faults-"));
  folders.push(folder);
  return folder;
}

/** Runs a system command; throws what it wrote when it fails. */
export function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** Whether a command can be run here. */
export function canRun(command: string, ...args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}

/** Whether file systems can be mounted here. */
export const mountable: boolean = isRoot && canRun("unshare", "-m", "true");

/** The folder of a new file system of this size, as `mount` takes it; to be unmounted with `umount -l`. */
export function newDisk(size: string): string {
  const disk = join(newFolder(), "disk");
  mkdirSync(disk);
  run("mount", "-t", "tmpfs", "-o", `size=${size}`, "tmpfs", disk);
  return disk;
}

/** The code of the error that a promise rejects with; undefined when it fulfils. Rethrows errors that are not ours. */
export async function codeOf(outcome: Promise<unknown>): Promise<string | undefined> {
  try {
    await outcome;
    return undefined;
  } catch (error) {
    if (!isQuiverError(error)) throw error;
    if (error.hint === "" || error.fix === "")
      throw new Error(`${error.code} advises nothing`, { cause: error });
    return error.code;
  }
}

/** Every file under a folder, as paths relative to it, sorted. */
export function tree(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(folder.length + 1))
    .sort();
}
