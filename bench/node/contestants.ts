/** The stores that race, side by side in one folder, on the disk that the package itself would use. */

import {
  closeSync,
  existsSync,
  fsyncSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeSync,
} from "node:fs";
import { join } from "node:path";
import { open, type RootDatabase } from "lmdb";
import { Cache, type Namespace } from "quiver-cache";

export interface Contestants {
  readonly folder: string;
  /** Holds decoded values in memory, as it does by default. */
  readonly hot: Namespace<Uint8Array>;
  /** Holds none: every read goes to the catalog or a file. */
  readonly cold: Namespace<Uint8Array>;
  readonly files: Files;
  /** Commits are synced, as by default. */
  readonly lmdb: RootDatabase<Buffer, string>;
  /** The same data with decoded values held in memory. */
  readonly lmdbCached: RootDatabase<Buffer, string>;
  close(): Promise<void>;
}

/** One file a key, written so that a crash leaves the old or the new one. */
export class Files {
  readonly #folder: string;

  constructor(folder: string) {
    mkdirSync(folder);
    this.#folder = folder;
  }

  path(key: string): string {
    return join(this.#folder, key);
  }

  set(key: string, value: Uint8Array): void {
    const temporary = this.path(`${key}.tmp`);
    const file = openSync(temporary, "w");
    writeSync(file, value);
    fsyncSync(file);
    closeSync(file);
    renameSync(temporary, this.path(key));
  }

  get(key: string): Buffer {
    return readFileSync(this.path(key));
  }

  has(key: string): boolean {
    return existsSync(this.path(key));
  }
}

/** Opens all of them in a fresh folder inside `home`, which `close` removes. */
export async function openContestants(home: string): Promise<Contestants> {
  mkdirSync(home, { recursive: true });
  const folder = mkdtempSync(join(home, "race-"));
  const { cache: hot, lmdb } = await openStores(folder);
  const cold = await Cache.open(join(folder, "quiver"), { memoryLimit: 0 });
  const lmdbCached = open<Buffer, string>({
    path: join(folder, "lmdb-cached"),
    encoding: "binary",
    cache: true,
  });
  const namespaces = { hot: hot.namespace<Uint8Array>("race"), cold: cold.namespace<Uint8Array>("race") };
  // The first operation opens a namespace; until then `getSync` finds nothing.
  for (const namespace of Object.values(namespaces)) await namespace.has("anything");
  return {
    folder,
    ...namespaces,
    files: new Files(join(folder, "files")),
    lmdb,
    lmdbCached,
    close: async () => {
      await Promise.all([hot.close(), cold.close(), lmdb.close(), lmdbCached.close()]);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Those of the stores in a folder that several processes have open. */
export async function openStores(
  folder: string,
): Promise<{ readonly cache: Cache; readonly lmdb: RootDatabase<Buffer, string> }> {
  return {
    cache: await Cache.open(join(folder, "quiver")),
    lmdb: open<Buffer, string>({ path: join(folder, "lmdb"), encoding: "binary" }),
  };
}

/** Bytes that differ from one seed to the next. */
export function bytes(size: number, seed: number): Uint8Array {
  const out = new Uint8Array(size);
  for (let index = 0; index < size; index++) out[index] = (index * 31 + seed * 7 + (index >> 8)) & 255;
  return out;
}

export const SIZES: readonly { readonly label: string; readonly size: number }[] = [
  { label: "1 KB", size: 1_000 },
  { label: "10 KB", size: 10_000 },
  { label: "1 MB", size: 1_000_000 },
];
