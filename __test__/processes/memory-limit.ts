/** Processes that get only so much memory: a control group of Linux, in which the system ends what wants more. */

import { existsSync, mkdirSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** Where control groups lie, by version, and the file with the limit. */
const KINDS = [
  { base: "/sys/fs/cgroup", mark: "memory.max", limit: "memory.max", swap: "memory.swap.max" },
  {
    base: "/sys/fs/cgroup/memory",
    mark: "memory.limit_in_bytes",
    limit: "memory.limit_in_bytes",
    swap: "memory.memsw.limit_in_bytes",
  },
] as const;

export class MemoryLimit {
  /** What a command line begins with, so that its process and all of its children are limited. */
  readonly prefix: readonly string[];
  readonly #folder: string;

  private constructor(folder: string) {
    this.#folder = folder;
    // Its own memory is little, and counts as well.
    this.prefix = ["sh", "-c", `echo $$ > ${join(folder, "cgroup.procs")} && exec "$@"`, "sh"];
  }

  /**
   * A group whose processes have `bytes` together: pages of their own, which can't go anywhere, and pages of files, which
   * the system takes back. Undefined where this process may not make one.
   */
  static of(bytes: number): MemoryLimit | undefined {
    for (const { base, mark, limit, swap } of KINDS) {
      const folder = join(base, `quiver-test-${process.pid}-${bytes}`);
      try {
        mkdirSync(folder);
      } catch {
        continue;
      }
      const group = new MemoryLimit(folder);
      try {
        if (!existsSync(join(folder, mark))) throw new Error("groups have no memory here");
        writeFileSync(join(folder, limit), String(bytes));
        // Without this, pages could leave for the swap. Where there is none, there is no such file.
        if (existsSync(join(folder, swap)))
          writeFileSync(join(folder, swap), swap.includes("memsw") ? String(bytes) : "0");
        return group;
      } catch {
        group.remove();
      }
    }
    return undefined;
  }

  /** Removes the group, in which no process may be left. */
  remove(): void {
    rmdirSync(this.#folder);
  }
}
