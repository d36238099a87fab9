/** Work on a whole cache that only the local store has. */

import { type NativeStore, translatedAsync } from "../../native/store.ts";

/** Something that verification found wrong. */
export interface Finding {
  readonly namespace: string;
  readonly key: string;
  readonly problem: string;
  readonly code: string;
  readonly repaired: boolean;
}

/** What a verification looked at and found. */
export interface VerifyFindings {
  readonly entries: number;
  readonly bytes: number;
  readonly findings: readonly Finding[];
}

/** What a cache takes on disk, in allocated bytes. */
export interface DiskUsage {
  readonly total: number;
  readonly catalog: number;
  /** Of the catalog, pages in use; the rest is free for reuse, and `compact` gives it back. */
  readonly catalogUsed: number;
  readonly objects: number;
  /** Unfinished writes and what waits for deletion. */
  readonly waste: number;
  /** What can still be written on the volume. */
  readonly free: number;
}

/** What a sweep removed or put right. */
export interface SweepReport {
  /** Unfinished writes removed. */
  readonly temporary: number;
  /** Values without a record removed. */
  readonly orphans: number;
  /** Readable names put right. */
  readonly names: number;
}

export class Maintenance {
  readonly #native: NativeStore;
  readonly #handleOf: (namespace: string) => number;

  constructor(native: NativeStore, handleOf: (namespace: string) => number) {
    this.#native = native;
    this.#handleOf = handleOf;
  }

  /** Compares every value of a namespace with its digest, off the main thread; with `repair` damaged entries are removed. */
  async verify(namespace: string, options: { repair?: boolean } = {}): Promise<VerifyFindings> {
    const handle = this.#handleOf(namespace);
    return JSON.parse(await translatedAsync(() => this.#native.verify(handle, options.repair ?? false)));
  }

  /** Walks the catalog's pages without trusting them; what is wrong, in words. */
  checkCatalog(): Promise<readonly string[]> {
    return translatedAsync(() => this.#native.checkCatalog());
  }

  /** Removes what processes that died left behind. Runs by itself after an unclean end. */
  async sweep(): Promise<SweepReport> {
    return JSON.parse(await translatedAsync(() => this.#native.sweep()));
  }

  /** Takes over what other programs put into a namespace's folder; how many files. */
  adopt(namespace: string): Promise<number> {
    return translatedAsync(() => this.#native.adoptAll(this.#handleOf(namespace)));
  }

  /** Gives the catalog's free pages back; bytes saved. ERR_QUIVER_BUSY while other processes have the cache open. */
  compact(): Promise<number> {
    return translatedAsync(() => this.#native.compact());
  }

  /** Writes a copy that opens as a cache of its own, while this one goes on; how many files it has. */
  backup(to: string): Promise<number> {
    return translatedAsync(() => this.#native.backup(to));
  }

  async diskUsage(): Promise<DiskUsage> {
    return JSON.parse(await translatedAsync(() => this.#native.diskUsage()));
  }
}
