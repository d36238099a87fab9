/**
 * Whether the folder of an open cache is still there. Who removes it leaves the catalog's file without a name: writes
 * into it would be acknowledged, and nobody would ever find them.
 */

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { QuiverError } from "../shared/errors.ts";
import { CATALOG_MARK } from "./disk.ts";

/** What the system says when something on the way to a file is not there. */
const GONE: ReadonlySet<unknown> = new Set(["ENOENT", "ENOTDIR"]);

export class RootWatch {
  readonly #path: string;
  readonly #mark: string;
  readonly #identity: string;
  #hasVanished = false;

  /** `identity` is the `uuid` of the cache that was opened there. */
  constructor(path: string, identity: string) {
    this.#path = path;
    this.#mark = join(path, CATALOG_MARK);
    this.#identity = identity;
  }

  /** Looks again; never rejects. A folder that was removed stays so for this cache, whatever comes in its place. */
  async look(): Promise<void> {
    if (this.#hasVanished) return;
    try {
      this.#hasVanished = identityIn(await readFile(this.#mark, "utf8")) !== this.#identity;
    } catch (error) {
      // Anything else, such as too many open files, tells nothing of the folder.
      this.#hasVanished = GONE.has((error as NodeJS.ErrnoException).code);
    }
  }

  /** Throws ERR_QUIVER_ROOT_VANISHED once that was seen. */
  check(): void {
    if (!this.#hasVanished) return;
    throw new QuiverError("ERR_QUIVER_ROOT_VANISHED", `the cache in ${this.#path} was removed or replaced`, {
      path: this.#path,
    });
  }
}

function identityIn(format: string): string {
  return String((JSON.parse(format) as { readonly uuid?: unknown }).uuid);
}
