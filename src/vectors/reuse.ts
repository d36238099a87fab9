/** Vectors that need not be computed: of texts that another cache of the same model has, and of repeated texts. */

import { readFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { TEXT_DIGEST } from "../native/vectors.ts";
import { DIGESTS, findFolder, listFolders, METADATA } from "./folders.ts";
import { parseMetadata } from "./metadata.ts";
import { openVectors, type VectorColumn } from "./vector-column.ts";

/** The digests of some texts, as keys of maps. */
export class TextKeys {
  readonly #bytes: Buffer;

  constructor(digests: Uint8Array) {
    this.#bytes = Buffer.from(digests.buffer, digests.byteOffset, digests.byteLength);
  }

  get count(): number {
    return Math.floor(this.#bytes.byteLength / TEXT_DIGEST);
  }

  at(index: number): string {
    return this.#bytes.toString("latin1", index * TEXT_DIGEST, (index + 1) * TEXT_DIGEST);
  }
}

/** A row of a cache. */
export interface KnownRow {
  readonly column: VectorColumn;
  readonly row: number;
}

/**
 * Where the vectors of texts lie that caches under `root` have from the same model: float32, one vector a text.
 * Caches that can't be read are passed over.
 */
export async function findKnown(keys: TextKeys, model: string, root: string): Promise<Map<string, KnownRow>> {
  const known = new Map<string, KnownRow>();
  let wanted: Set<string> | undefined;
  for (const name of await listFolders(root)) {
    const cache = await openWithDigests(join(resolve(root), name), model);
    if (cache === undefined) continue;
    wanted ??= new Set(Array.from({ length: keys.count }, (_, index) => keys.at(index)));
    const [first] = known.values();
    if (first !== undefined && first.column.dimension !== cache.column.dimension) continue;
    for (let row = 0; row < cache.keys.count; row++) {
      const key = cache.keys.at(row);
      if (wanted.has(key) && !known.has(key)) known.set(key, { column: cache.column, row });
    }
  }
  return known;
}

async function openWithDigests(
  path: string,
  model: string,
): Promise<{ readonly column: VectorColumn; readonly keys: TextKeys } | undefined> {
  try {
    const folder = findFolder(path, path);
    const keys = new TextKeys(await readFile(join(path, DIGESTS)));
    const text = await readFile(join(path, METADATA), "utf8");
    const { columns } = parseMetadata(text, folder.name, ["embeddings"]);
    if (columns.get("embeddings")?.model !== model) return undefined;
    const column = await openVectors(folder.data, "embeddings");
    const exact = column.dtype === "float32" && column.chunks === null;
    // Digests that another program carried over beside other rows say nothing.
    return exact && keys.count === column.size ? { column, keys } : undefined;
  } catch {
    return undefined;
  }
}

/** Most memory for vectors of texts that come again. */
const MEMORY = 64 * 1024 * 1024;

/** Where the vector of each text comes from, text by text from `start` on. */
export class Provenance {
  readonly #keys: TextKeys;
  readonly #known: ReadonlyMap<string, KnownRow>;
  /** Texts that come again: how often still, and the vector once it is there. */
  readonly #repeated = new Map<string, { left: number; vector: Float32Array | undefined }>();

  constructor(keys: TextKeys, known: ReadonlyMap<string, KnownRow>, start: number, dimension: number) {
    this.#keys = keys;
    this.#known = known;
    const most = Math.floor(MEMORY / (dimension * 4));
    const seen = new Set<string>();
    for (let index = start; index < keys.count; index++) {
      const key = keys.at(index);
      if (known.has(key)) continue;
      const repeated = this.#repeated.get(key);
      if (repeated !== undefined) repeated.left++;
      else if (!seen.has(key)) seen.add(key);
      else if (this.#repeated.size < most) this.#repeated.set(key, { left: 2, vector: undefined });
    }
  }

  /** The row of another cache that has the text's vector. */
  known(index: number): KnownRow | undefined {
    return this.#known.get(this.#keys.at(index));
  }

  /** Of the texts `[start, end)` those that have to be embedded. Asked once for each text, in order. */
  missing(start: number, end: number): number[] {
    const missing: number[] = [];
    const here = new Set<string>();
    for (let index = start; index < end; index++) {
      const key = this.#keys.at(index);
      if (this.#known.has(key) || here.has(key) || this.#asked.has(key)) continue;
      here.add(key);
      if (this.#repeated.has(key)) this.#asked.add(key);
      missing.push(index);
    }
    return missing;
  }

  readonly #asked = new Set<string>();

  /** Notes a vector that has been embedded, when its text comes again. */
  keep(index: number, vector: Float32Array): void {
    const repeated = this.#repeated.get(this.#keys.at(index));
    if (repeated !== undefined) repeated.vector = vector.slice();
  }

  /** The vector of a text that was embedded before; forgotten with its last use. */
  take(index: number): Float32Array | undefined {
    const key = this.#keys.at(index);
    const repeated = this.#repeated.get(key);
    if (repeated === undefined) return undefined;
    if (--repeated.left === 0) this.#repeated.delete(key);
    return repeated.vector;
  }

  key(index: number): string {
    return this.#keys.at(index);
  }
}
