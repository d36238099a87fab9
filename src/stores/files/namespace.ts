/** A namespace of the store of self-describing files. */

import { rm, utimes } from "node:fs/promises";
import type { EncodedValue } from "../../codecs/codec.ts";
import { now } from "../../shared/clock.ts";
import { QuiverError } from "../../shared/errors.ts";
import { writeAll } from "../../shared/file-system.ts";
import { KeyQueue } from "../../shared/key-queue.ts";
import { compareKeys } from "../../shared/keys.ts";
import type { ListedCandidate } from "../listed-scan.ts";
import { digestOf } from "../memory/entry.ts";
import { changedRecord, type EntryRecord, factsOfRecord, isRecordExpired, recordOf } from "../record.ts";
import {
  type EntryFacts,
  type FactChanges,
  type Flight,
  type GetFromStore,
  type ListQuery,
  type NamespaceSettings,
  type NewFacts,
  NOWHERE,
  type Page,
  type StoredValue,
  type StoreNamespace,
  type Usage,
  type ValueWriter,
} from "../store.ts";
import { allocatedBytes, type Listed } from "./entry-file.ts";
import { claimLock, isFenceCurrent } from "./flight.ts";
import { type EntryFolder, TOGETHER } from "./folder.ts";
import { encodeHeader } from "./format.ts";
import { Listing } from "./listing.ts";
import { parseUsage, UsageCount } from "./usage-count.ts";
import { FileWriter, fitsBefore, HEADER_ROOM, piecesOf, type WrittenValue } from "./writer.ts";

const LONGEST_PAGE = 10_000;

/** How exactly the time of the last access is kept: setting it is a call to a distant server. */
const ACCESS_PRECISION = 60_000;

const USAGE = "usage.json";

export interface FileNamespaceParts {
  readonly name: string;
  readonly settings: NamespaceSettings;
  readonly folder: EntryFolder;
  /** Leaves no trace, usage included. */
  readonly readOnly: boolean;
  readonly checkOpen: () => void;
}

/**
 * Every operation reads or replaces whole files. Nothing is remembered between two that another process could
 * contradict, but usage, which every walk counts anew. Listings, tags and expiry walk over all files.
 */
export class FileNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence = undefined;
  settings: NamespaceSettings;
  readonly #folder: EntryFolder;
  readonly #readOnly: boolean;
  readonly #checkOpen: () => void;
  readonly #queue = new KeyQueue();
  readonly #count = new UsageCount();
  readonly #listing = new Listing();

  constructor({ name, settings, folder, readOnly, checkOpen }: FileNamespaceParts) {
    this.name = name;
    this.settings = settings;
    this.#folder = folder;
    this.#readOnly = readOnly;
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
      return this.#replace(key, record, [bytes], own.fence);
    });
  }

  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    this.#checkOpen();
    return new FileWriter({
      path: this.#folder.temporary(),
      signal: options.signal,
      checkOpen: this.#checkOpen,
      finish: (value, facts) => this.#finish(key, value, facts),
      enqueue: (operation) => this.#queue.write(key, operation),
    });
  }

  async delete(key: string): Promise<boolean> {
    this.#checkOpen();
    return this.#queue.write(key, async () => {
      const found = await this.#folder.header(key).catch(toDamaged);
      if (found === undefined) return false;
      await this.#folder.remove(key);
      if (found === "damaged") return true;
      this.#count.removed(found);
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

  /** The first page walks over all files. */
  async list(options: ListQuery): Promise<Page> {
    this.#checkOpen();
    const { prefix = "", after, limit } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE) {
      const message = `limit is ${limit}; a page has 1 to ${LONGEST_PAGE} entries`;
      throw new QuiverError("ERR_QUIVER_OUT_OF_RANGE", message);
    }
    const keys = this.#listing.take(prefix, after) ?? (await this.#keys(prefix, after));
    const entries: EntryFacts[] = [];
    let start = 0;
    while (start < keys.length && entries.length < limit) {
      const batch = keys.slice(start, start + Math.min(TOGETHER, limit - entries.length));
      start += batch.length;
      const found = await Promise.all(batch.map((key) => this.#header(key).catch(toDamaged)));
      for (const listed of found) if (typeof listed === "object") entries.push(factsOf(listed));
    }
    const last = entries.at(-1)?.key;
    if (start === keys.length || last === undefined) return { entries, next: undefined };
    this.#listing.keep(prefix, last, keys.slice(start));
    return { entries, next: last };
  }

  /** Copies the file: what is published never changes. */
  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    this.#checkOpen();
    const own = structuredClone(changes);
    return this.#queue.write(key, async () => {
      const found = await this.#folder.value(key);
      if (found === undefined || isRecordExpired(found.record, now())) return undefined;
      return this.#replace(key, changedRecord(found.record, own), [found.bytes], undefined);
    });
  }

  /** Empty at once; the files are counted, damaged and expired ones too, and removed afterwards. */
  async clear(): Promise<number> {
    this.#checkOpen();
    const aside = await this.#folder.moveAside();
    this.#count.assume({ entries: 0, bytes: 0, allocated: 0 });
    if (aside === undefined) return 0;
    let count = 0;
    for await (const paths of this.#folder.files(aside)) count += paths.length;
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

  /** Walks over all files, unless that took so long last time that it is not yet due again. */
  async expire(time: number): Promise<number> {
    this.#checkOpen();
    if (!this.#count.isDue) return 0;
    let count = 0;
    await this.#recount(async (found) => {
      if (isRecordExpired(found.record, time, true) && (await this.#removeIf(found))) count++;
    });
    return count;
  }

  /** As counted by the last walk, with this process's changes since. */
  usage(): Usage {
    return this.#count.current;
  }

  async flight(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined> {
    this.#checkOpen();
    return claimLock(this.#folder.lockPathOf(key), () => this.#folder.temporary(), { key, ...options });
  }

  /** Takes the usage that was noted down last, or counts. */
  async learnUsage(): Promise<void> {
    const noted = parseUsage((await this.#folder.note(USAGE)) ?? "");
    if (noted === undefined) await this.#recount(async () => undefined);
    else this.#count.assume(noted);
  }

  /** Notes the usage down for who opens the namespace next. */
  async noteUsage(): Promise<void> {
    if (this.#readOnly) return;
    // It may be lost: whoever finds none counts.
    await this.#folder.writeNote(USAGE, JSON.stringify(this.usage())).catch(() => undefined);
  }

  /** Entries that may be evicted. */
  async *candidates(): AsyncGenerator<ListedCandidate> {
    const time = now();
    for await (const { key, record, allocated, usedAt } of this.#folder.entries()) {
      if (record.pinned || isRecordExpired(record, time)) continue;
      const { revision, createdAt, priority, expiresAt } = record;
      const facts = { revision, createdAt, priority, expiresAt, accessCount: 0, lastAccess: usedAt };
      yield { namespace: this.name, key, allocated, ...facts };
    }
  }

  /** Removes those that are as they were; says which. */
  async evict(victims: readonly ListedCandidate[]): Promise<readonly boolean[]> {
    const removed: boolean[] = [];
    for (const { key, revision } of victims) {
      const found = await this.#folder.header(key).catch(toDamaged);
      const same = typeof found === "object" && found.record.revision === revision;
      removed.push(same && (await this.#removeIf(found)));
    }
    return removed;
  }

  async #get(key: string, stale: boolean): Promise<StoredValue | undefined> {
    const found = await this.#folder.value(key);
    if (found === undefined || isRecordExpired(found.record, now(), stale)) return undefined;
    const { codec, createdAt, expiresAt, digest } = found.record;
    if ((await digestOf(found.bytes)) !== digest) {
      const details = { key, path: found.path, expected: digest };
      const message = "the value is not the one that was written";
      throw new QuiverError("ERR_QUIVER_CHECKSUM_MISMATCH", message, details);
    }
    this.#noteAccess(found);
    return { bytes: found.bytes, codec, createdAt, expiresAt, mapped: false, slot: NOWHERE, stamp: 0 };
  }

  async #header(key: string): Promise<Listed | undefined> {
    const found = await this.#folder.header(key);
    return found && !isRecordExpired(found.record, now()) ? found : undefined;
  }

  /** Keys of entries, in order. */
  async #keys(prefix: string, after: string | undefined): Promise<readonly string[]> {
    const keys: string[] = [];
    for await (const { key } of this.#folder.entries()) {
      if (key.startsWith(prefix) && (after === undefined || compareKeys(key, after) > 0)) keys.push(key);
    }
    return keys.sort(compareKeys);
  }

  async #finish(key: string, value: WrittenValue, facts: NewFacts): Promise<EntryFacts> {
    this.#checkOpen();
    const { path, file, size, digest } = value;
    const record = recordOf(facts, { size, createdAt: now(), digest });
    if (!fitsBefore(encodeHeader(key, record).byteLength, size)) {
      const stored = await this.#replace(key, record, piecesOf(value), facts.fence);
      await file.close();
      await rm(path, { force: true });
      return stored;
    }
    return this.#place(key, record, HEADER_ROOM, facts.fence, async () => {
      await writeAll(file, encodeHeader(key, record, HEADER_ROOM), 0);
      await this.#folder.move(path, file, key);
    });
  }

  #replace(
    key: string,
    record: EntryRecord,
    value: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
    fence: number | undefined,
  ): Promise<EntryFacts> {
    const header = encodeHeader(key, record);
    return this.#place(key, record, header.byteLength, fence, () =>
      this.#folder.publish(key, inSequence(header, value)),
    );
  }

  /** Puts a new file in the place of the key's, unless the fence is outdated. */
  async #place(
    key: string,
    record: EntryRecord,
    offset: number,
    fence: number | undefined,
    publish: () => Promise<void>,
  ): Promise<EntryFacts> {
    const facts = factsOfRecord(key, record, { lastAccessed: record.createdAt, accessCount: 0 });
    if (fence !== undefined && !(await isFenceCurrent(this.#folder.lockPathOf(key), fence))) return facts;
    const before = await this.#folder.header(key).catch(toDamaged);
    await publish();
    if (typeof before === "object") this.#count.removed(before);
    else this.#listing.forget();
    this.#count.added({ record, allocated: allocatedBytes(offset + record.size) });
    return facts;
  }

  #removeIf(found: Listed): Promise<boolean> {
    return this.#queue.write(found.key, async () => {
      const removed = await this.#folder.removeIf(found);
      if (removed) this.#count.removed(found);
      return removed;
    });
  }

  async #recount(visit: (found: Listed) => Promise<void>): Promise<void> {
    await this.#count.recount(this.#folder.entries(), visit);
    await this.noteUsage();
  }

  #noteAccess({ path, usedAt }: Listed): void {
    const time = now();
    if (this.#readOnly || Math.abs(time - usedAt) < ACCESS_PRECISION) return;
    // Usage may be lost, and a file that is gone has none.
    void utimes(path, time / 1000, time / 1000).catch(() => undefined);
  }
}

async function* inSequence(
  header: Uint8Array,
  value: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield header;
  yield* value;
}

function factsOf({ key, record, usedAt }: Listed): EntryFacts {
  return factsOfRecord(key, record, { lastAccessed: Math.min(usedAt, now()), accessCount: 0 });
}

function toDamaged(error: unknown): "damaged" {
  if (error instanceof QuiverError && error.code === "ERR_QUIVER_CORRUPT") return "damaged";
  throw error;
}
