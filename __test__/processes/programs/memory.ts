/** What the process that asks has in memory, as the system sees it. */

import { readFileSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

setFlagsFromString("--expose-gc");
const collect = runInNewContext("gc") as () => void;

/** Mappings of values; those of all threads. */
export function mappedValues(): number {
  return readFileSync("/proc/self/maps", "latin1").split("/.quiver/objects/").length - 1;
}

/** Resolves when what nobody refers to is gone, its finalisers included. */
export async function collected(): Promise<void> {
  for (let i = 0; i < 5; i++) {
    collect();
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** Mappings of values that stay when nobody uses any; finalisers of other threads may take their time. */
export async function leftMapped(): Promise<number> {
  for (let tries = 0; tries < 100 && mappedValues() > 0; tries++) {
    await collected();
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return mappedValues();
}

/** In bytes. */
export interface Memory {
  readonly resident: number;
  /** Pages that this process alone has. */
  readonly private: number;
  /** Pages that are of no file: the heap, and pages of a mapping that this process has written into. */
  readonly anonymous: number;
}

export function memory(): Memory {
  const rollup = readFileSync("/proc/self/smaps_rollup", "latin1");
  const field = (name: string): number =>
    Number(new RegExp(`^${name}: *(\\d+) kB$`, "m").exec(rollup)?.[1]) * 1024;
  return {
    resident: field("Rss"),
    private: field("Private_Clean") + field("Private_Dirty"),
    anonymous: field("Anonymous"),
  };
}
