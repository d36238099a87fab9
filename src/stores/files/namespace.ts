/** A namespace of the store of self-describing files. */

import { readFile, rm, utimes } from "node:fs/promises";
import type { EncodedValue } from "../../codecs/codec.ts";
import { now } from "../../shared/clock.ts";
import { QuiverError } from "../../shared/errors.ts";
import { ioError } from "../../shared/file-system.ts";
import { KeyQueue } from "../../shared/key-queue.ts";
import { compareKeys } from "../../shared/keys.ts";
import type { ListedCandidate } from "../listed-scan.ts";
import { digestOf } from "../memory/entry.ts";
import { NOWHERE } from "../memory/slots.ts";
import { changedRecord, type EntryRecord, factsOfRecord, isRecordExpired, recordOf } from "../record.ts";
import type {
  EntryFacts,
  FactChanges,
  Flight,
  GetFromStore,
  NamespaceSettings,
  NewFacts,
  Page,
  StoredValue,
  StoreNamespace,
  Usage,
  ValueWriter,
} from "../store.ts";
import { claimLock, isFenceCurrent } from "./flight.ts";
import { allocatedBytes, damaged, type EntryFolder, type Listed, writeAll } from "./folder.ts";
import { encodeHeader, parseHeader } from "./format.ts";
import { FileWriter, HEADER_ROOM, type WrittenValue } from "./writer.ts";

const LONGEST_PAGE = 10_000;

/** How exactly the time of the last access is kept: setting it is a call to a distant server. */
const ACCESS_PRECISION = 60_000;

/**
 * Every operation reads or replaces whole files; nothing is remembered between two but usage, which is counted anew by
 * every walk. Listings, tags and expiry walk over all files.
 */
export class FileNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence = undefined;
  settings: NamespaceSettings;
  readonly #folder: EntryFolder;
  readonly #checkOpen: () => void;
  readonly #queue = new KeyQueue();
  #usage = { entries: 0, bytes: 0, allocated: 0 };
  /** Changes of the usage since the walk under way began. */
  #changes = { entries: 0, bytes: 0, allocated: 0 };

  constructor(name: string, settings: NamespaceSettings, folder: EntryFolder, checkOpen: () => void) {
    this.name = name;
    this.settings = settings;
    this.#folder = folder;
    this.#checkOpen = checkOpen;
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    this.#checkOpen();
    if (options.version !== undefined) return undefined;
    return this.#queue.read(key, () => this.#get(key, options.stale ?? false));
  }

  async has(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.read(key, async () => (await this.#header(key)) !== undefined);
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    this.#checkOpen();
    const bytes = new Uint8Array(Buffer.concat(value.parts));
    const own = structuredClone(facts);
    return this.#queue.write(key, async () => {
      const digest = await digestOf(bytes);
      const record = recordOf(own, { size: bytes.byteLength, createdAt: now(), digest });
      return this.#place(key, record, own.fence, bytes.byteLength, () =>
        this.#folder.publish(key, [encodeHeader(key, record), bytes]),
      );
    });
  }

  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    this.#checkOpen();
    return new FileWriter(
      this.#folder.temporary(),
      options.signal,
      (value, facts) => this.#finish(key, value, facts),
      (operation) => this.#queue.write(key, operation),
    );
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.write(key, async () => {
      const found = await this.#folder.header(key).catch(toDamaged);
      if (found === undefined) return false;
      await this.#folder.remove(key);
      if (found === "damaged") return true;
      this.#count(found, -1);
      return !isRecordExpired(found.record, now());
    });
  }

  async info(key: string): Promise<EntryFacts | undefined> {
    this.#checkOpen();
    return this.#queue.read(key, async () => {
      const found = await this.#header(key);
      return found && factsOf(found);
    });
  }

  /** Walks over all files for every page. */
  async list(options: { prefix?: string; after?: string; limit: number }): Promise<Page> {
    this.#checkOpen();
    const { prefix = "", after, limit } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE) {
      const message = `limit is ${limit}; a page has 1 to ${LONGEST_PAGE} entries`;
      throw new QuiverError("ERR_QUIVER_OUT_OF_RANGE", message);
    }
    const time = now();
    const first: Listed[] = [];
    const keepFirst = (): void => {
      first.sort((left, right) => compareKeys(left.key, right.key)).splice(limit + 1);
    };
    for await (const found of this.#folder.entries()) {
      const isNext = after === undefined || compareKeys(found.key, after) > 0;
      if (!isNext || !found.key.startsWith(prefix) || isRecordExpired(found.record, time)) continue;
      first.push(found);
      if (first.length > 2 * limit + 1024) keepFirst();
    }
    keepFirst();
    const entries = first.slice(0, limit).map(factsOf);
    return { entries, next: first.length > limit ? entries.at(-1)?.key : undefined };
  }

  /** Copies the file: what is published never changes. */
  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    this.#checkOpen();
    const own = structuredClone(changes);
    return this.#queue.write(key, async () => {
      const found = await this.#read(key);
      if (found === undefined || isRecordExpired(found.record, now())) return undefined;
      const record = changedRecord(found.record, own);
      return this.#place(key, record, undefined, record.size, () =>
        this.#folder.publish(key, [encodeHeader(key, record), found.bytes]),
      );
    });
  }

  async clear(): Promise<number> {
    this.#checkOpen();
    const aside = await this.#folder.moveAside();
    this.#usage = { entries: 0, bytes: 0, allocated: 0 };
    let count = 0;
    for await (const _ of this.#folder.entries(aside)) count++;
    await rm(aside, { recursive: true, force: true });
    return count;
  }

  async deleteByTag(tag: string): Promise<number> {
    this.#checkOpen();
    const time = now();
    let count = 0;
    for await (const found of this.#folder.entries()) {
      if (!found.record.tags.includes(tag)) continue;
      if ((await this.#removeIf(found)) && !isRecordExpired(found.record, time)) count++;
    }
    return count;
  }

  async expire(time: number): Promise<number> {
    this.#checkOpen();
    let count = 0;
    await this.countAll(async (found) => {
      if (isRecordExpired(found.record, time, true) && (await this.#removeIf(found))) count++;
    });
    return count;
  }

  /** As counted by the last walk, with this process's changes since. */
  usage(): Usage {
    return this.#usage;
  }

  async flight(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined> {
    this.#checkOpen();
    return claimLock(this.#folder.lockPathOf(key), () => this.#folder.temporary(), { key, ...options });
  }

  /** Walks over all files, counts them, and does something with each. */
  async countAll(visit: (found: Listed) => Promise<void>): Promise<void> {
    const counted = { entries: 0, bytes: 0, allocated: 0 };
    this.#changes = { entries: 0, bytes: 0, allocated: 0 };
    for await (const found of this.#folder.entries()) {
      add(counted, found, 1);
      await visit(found);
    }
    const { entries, bytes, allocated } = this.#changes;
    this.#usage = {
      entries: counted.entries + entries,
      bytes: counted.bytes + bytes,
      allocated: counted.allocated + allocated,
    };
  }

  /** Entries that may be evicted. */
  async *candidates(): AsyncGenerator<ListedCandidate> {
    const time = now();
    for await (const { key, record, allocated, accessedAt } of this.#folder.entries()) {
      if (record.pinned || isRecordExpired(record, time)) continue;
      const { revision, createdAt, priority, expiresAt } = record;
      const facts = { revision, createdAt, priority, expiresAt, accessCount: 0, lastAccess: accessedAt };
      yield { namespace: this.name, key, allocated, ...facts };
    }
  }

  /** Removes those that are as they were; says which. */
  async evict(victims: readonly ListedCandidate[]): Promise<readonly boolean[]> {
    const removed: boolean[] = [];
    for (const { key, revision } of victims) {
      const found = await this.#folder.header(key).catch(() => undefined);
      removed.push(found?.record.revision === revision && (await this.#removeIf(found)));
    }
    return removed;
  }

  async #get(key: string, stale: boolean): Promise<StoredValue | undefined> {
    const found = await this.#read(key);
    if (found === undefined || isRecordExpired(found.record, now(), stale)) return undefined;
    const { codec, createdAt, expiresAt, digest } = found.record;
    if ((await digestOf(found.bytes)) !== digest) {
      const path = this.#folder.pathOf(key);
      throw new QuiverError("ERR_QUIVER_CHECKSUM_MISMATCH", "the value is not the one that was written", {
        key,
        path,
        expected: digest,
      });
    }
    this.#noteAccess(key, found.accessedAt);
    return { bytes: found.bytes, codec, createdAt, expiresAt, mapped: false, slot: NOWHERE, stamp: 0 };
  }

  async #read(
    key: string,
  ): Promise<{ record: EntryRecord; bytes: Uint8Array; accessedAt: number } | undefined> {
    const path = this.#folder.pathOf(key);
    const listed = await this.#folder.header(key);
    if (listed === undefined) return undefined;
    const file = await readFile(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT" || error.code === "ESTALE") return undefined;
      throw ioError(error, path);
    });
    if (file === undefined) return undefined;
    const header = parseHeader(file, file.byteLength);
    if (header?.key !== key) throw damaged(path, key);
    return { record: header.record, bytes: file.subarray(header.offset), accessedAt: listed.accessedAt };
  }

  async #header(key: string): Promise<Listed | undefined> {
    const found = await this.#folder.header(key);
    return found && !isRecordExpired(found.record, now()) ? found : undefined;
  }

  async #finish(key: string, value: WrittenValue, facts: NewFacts): Promise<EntryFacts> {
    const { path, file, size, digest } = value;
    this.#checkOpen();
    const record = recordOf(facts, { size, createdAt: now(), digest });
    await writeAll(file, encodeHeader(key, record, HEADER_ROOM), 0);
    await file.close();
    return this.#place(key, record, facts.fence, size, () => this.#folder.move(path, key));
  }

  /** Puts a new file in the place of the key's, unless the fence is outdated. */
  async #place(
    key: string,
    record: EntryRecord,
    fence: number | undefined,
    size: number,
    publish: () => Promise<void>,
  ): Promise<EntryFacts> {
    this.#checkOpen();
    const facts = factsOfRecord(key, record, { lastAccessed: record.createdAt, accessCount: 0 });
    if (fence !== undefined && !(await isFenceCurrent(this.#folder.lockPathOf(key), fence))) return facts;
    const before = await this.#folder.header(key).catch(() => undefined);
    await publish();
    if (before !== undefined) this.#count(before, -1);
    this.#count({ record, allocated: allocatedBytes(size + 512) }, 1);
    return facts;
  }

  #removeIf(found: Listed): Promise<boolean> {
    return this.#queue.write(found.key, async () => {
      const removed = await this.#folder.removeIf(found);
      if (removed) this.#count(found, -1);
      return removed;
    });
  }

  #noteAccess(key: string, accessedAt: number): void {
    const time = now();
    if (Math.abs(time - accessedAt) < ACCESS_PRECISION) return;
    const path = this.#folder.pathOf(key);
    // Usage may be lost, and a file that is gone or read-only has none.
    void readTime(path, time).catch(() => undefined);
  }

  #count(found: { record: EntryRecord; allocated: number }, sign: 1 | -1): void {
    add(this.#usage, found, sign);
    add(this.#changes, found, sign);
  }
}

function add(
  usage: { entries: number; bytes: number; allocated: number },
  { record, allocated }: { record: EntryRecord; allocated: number },
  sign: 1 | -1,
): void {
  usage.entries += sign;
  usage.bytes += sign * record.size;
  usage.allocated += sign * allocated;
}

function factsOf({ key, record, accessedAt }: Listed): EntryFacts {
  return factsOfRecord(key, record, { lastAccessed: Math.min(accessedAt, now()), accessCount: 0 });
}

async function readTime(path: string, time: number): Promise<void> {
  const seconds = time / 1000;
  await utimes(path, seconds, seconds);
}

function toDamaged(error: unknown): "damaged" {
  if (error instanceof QuiverError && error.code === "ERR_QUIVER_CORRUPT") return "damaged";
  throw error;
}
