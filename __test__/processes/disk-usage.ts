/** What a folder takes on the disk, as `du` counts it: whoever wrote it, and files that are on their way out too. */

import { lstatSync, readdirSync } from "node:fs";
import { join } from "node:path";

const BLOCK = 512;

/** Allocated bytes; each file once, however many names it has. What vanishes meanwhile counts nothing. */
export function allocatedIn(folder: string): number {
  const seen = new Set<number>();
  const count = (path: string): number => {
    const facts = lstatSync(path, { throwIfNoEntry: false });
    if (facts === undefined || seen.has(facts.ino)) return 0;
    seen.add(facts.ino);
    const own = facts.blocks * BLOCK;
    if (!facts.isDirectory()) return own;
    return namesIn(path).reduce((sum, name) => sum + count(join(path, name)), own);
  };
  return count(folder);
}

function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}
