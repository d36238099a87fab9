/** A namespace of the Redis store. */

import type { EncodedValue } from "../../codecs/codec.ts";
import { now } from "../../shared/clock.ts";
import { QuiverError } from "../../shared/errors.ts";
import { KeyQueue } from "../../shared/key-queue.ts";
import type { ListedCandidate } from "../listed-scan.ts";
import { digestOf } from "../memory/entry.ts";
import { BufferedWriter } from "../memory/writer.ts";
import { changedRecord, type EntryRecord, factsOfRecord, freshId, recordOf } from "../record.ts";
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
import type { Command } from "./connection.ts";
import { claimFlight } from "./flight.ts";
import type { Link } from "./link.ts";
import { arrayOf, bytesOf, isText, parseRow, type Row, rowOf, useOf, valueWithId } from "./rows.ts";
import * as scripts from "./scripts.ts";

const LONGEST_PAGE = 10_000;
/** Entries that one script looks at, so that the server is never held up for long. */
const LOOKED_AT_ONCE = 500;
/** Entries whose value is looked for in one `expire`, of those that the server may have evicted. */
const REAPED_AT_ONCE = 1000;

export interface RedisNamespaceParts {
  readonly name: string;
  readonly base: string;
  readonly settings: NamespaceSettings;
  readonly link: Link;
  /** Longest value, in bytes. */
  readonly maxValueSize: number;
}

/**
 * Each operation is one script or one pair of commands, so that it is atomic on the server. A value begins with the
 * id of its row: a row and a value read apart, with a write in between, don't pass for one entry.
 */
export class RedisNamespace implements StoreNamespace {
  readonly name: string;
  readonly coherence = undefined;
  settings: NamespaceSettings;
  readonly #base: string;
  readonly #link: Link;
  readonly #maxValueSize: number;
  readonly #queue = new KeyQueue();
  #usage: Usage = { entries: 0, bytes: 0, allocated: 0 };
  /** Where the search for entries without a value goes on. */
  #reapedTo = "-";

  constructor(parts: RedisNamespaceParts) {
    this.name = parts.name;
    this.settings = parts.settings;
    this.#base = parts.base;
    this.#link = parts.link;
    this.#maxValueSize = parts.maxValueSize;
  }

  async get(key: string, options: GetFromStore = {}): Promise<StoredValue | undefined> {
    this.#link.check();
    if (options.version !== undefined) return undefined;
    return this.#queue.read(key, () => this.#get(key));
  }

  async #get(key: string): Promise<StoredValue | undefined> {
    const found = await this.#read(key);
    if (found === undefined) return undefined;
    const { record, bytes } = found;
    const { codec, createdAt, expiresAt } = record;
    return { bytes, codec, createdAt, expiresAt, mapped: false, slot: NOWHERE, stamp: 0 };
  }

  async has(key: string): Promise<boolean> {
    this.#link.check();
    return this.#queue.read(key, async () => {
      const [row, value] = await Promise.all([
        this.#link.send(["HEXISTS", `${this.#base}facts`, key]),
        this.#link.send(["EXISTS", this.#valueName(key)]),
      ]);
      return Number(row) === 1 && Number(value) === 1;
    });
  }

  async set(key: string, value: EncodedValue, facts: NewFacts): Promise<EntryFacts> {
    this.#link.check();
    return this.#put(key, value.parts, value.byteLength, facts);
  }

  async writer(
    key: string,
    options: { extension: string; sizeHint?: number; signal?: AbortSignal },
  ): Promise<ValueWriter> {
    this.#link.check();
    return new BufferedWriter(options, (bytes, facts) => this.#put(key, [bytes], bytes.byteLength, facts));
  }

  async #put(key: string, parts: EncodedValue["parts"], size: number, facts: NewFacts): Promise<EntryFacts> {
    this.#link.check();
    if (size > this.#maxValueSize) {
      const limit = this.#maxValueSize;
      throw new QuiverError("ERR_QUIVER_TOO_LARGE", `the value has ${size} bytes; Redis is given ${limit}`, {
        key,
        expected: limit,
        found: size,
      });
    }
    // All that is the caller's is copied here, before the write has to wait for its turn.
    const record = recordOf(facts, { size, createdAt: now() });
    const { row, text } = rowOf(key, record);
    const value = valueWithId(record, parts);
    return this.#queue.write(key, async () => {
      const deadline = String(this.#link.deadline(size));
      const args = [key, text, value, String(facts.fence ?? ""), deadline];
      const outcome = Number(await this.#run(scripts.PUT, args, size));
      if (outcome === -1) {
        throw new QuiverError("ERR_QUIVER_TIMEOUT", "the write reached the server too late and was dropped", {
          key,
        });
      }
      return this.#facts(key, row, record.createdAt);
    });
  }

  async delete(key: string): Promise<boolean> {
    this.#link.check();
    return this.#queue.write(key, async () => Number(await this.#run(scripts.DELETE, [key])) > 0);
  }

  /** Digests that are not known yet are computed from the value, which has to be fetched, and recorded. */
  async info(key: string): Promise<EntryFacts | undefined> {
    this.#link.check();
    return this.#queue.read(key, async () => {
      const [reply, idle, accesses] = arrayOf(await this.#run(scripts.INFO, [key]));
      const row = parseRow(reply);
      if (row === undefined) return undefined;
      const use = useOf(row.record, idle, accesses, now());
      if (row.record.digest !== undefined) return factsOfRecord(key, row.record, use);
      const found = await this.#read(key);
      if (found === undefined) return undefined;
      const digested = { ...found.record, digest: await digestOf(found.bytes) };
      await this.#run(scripts.AMEND, [key, found.text, rowOf(key, digested).text]);
      return factsOfRecord(key, digested, use);
    });
  }

  async list(options: ListQuery): Promise<Page> {
    this.#link.check();
    const { prefix = "", after, limit } = options;
    if (!Number.isInteger(limit) || limit < 1 || limit > LONGEST_PAGE) {
      const message = `limit is ${limit}; a page has 1 to ${LONGEST_PAGE} entries`;
      throw new QuiverError("ERR_QUIVER_OUT_OF_RANGE", message);
    }
    const entries: EntryFacts[] = [];
    for await (const { key, row, idle, accesses } of this.#rows(prefix, after, "keep")) {
      if (entries.length === limit) return { entries, next: entries.at(-1)?.key };
      entries.push(factsOfRecord(key, row.record, useOf(row.record, idle, accesses, now())));
    }
    return { entries, next: undefined };
  }

  async touch(key: string, changes: FactChanges): Promise<EntryFacts | undefined> {
    this.#link.check();
    const own = structuredClone(changes);
    return this.#queue.write(key, async () => {
      for (;;) {
        const [reply, idle, accesses] = arrayOf(await this.#run(scripts.INFO, [key]));
        const before = parseRow(reply);
        if (before === undefined || !isText(reply)) return undefined;
        const { row, text } = rowOf(key, changedRecord(before.record, own));
        const amended = Number(await this.#run(scripts.AMEND, [key, reply, text]));
        if (amended === 1) return factsOfRecord(key, row.record, useOf(row.record, idle, accesses, now()));
      }
    });
  }

  /** Empty at once; the server frees the values in pieces afterwards. */
  async clear(): Promise<number> {
    this.#link.check();
    const count = Number(await this.#run(scripts.CLEAR, [freshId(), String(now())]));
    this.#drain().catch(() => undefined);
    return count;
  }

  async deleteByTag(tag: string): Promise<number> {
    this.#link.check();
    let removed = 0;
    // No more than there were at first, so that writers who go on tagging can't keep this going.
    for (let left = Number.POSITIVE_INFINITY; left > 0; ) {
      const reply = await this.#run(scripts.DELETE_TAGGED, [tag, String(LOOKED_AT_ONCE)]);
      const [total, looked, gone] = arrayOf(reply).map(Number) as [number, number, number];
      removed += gone;
      left = Math.min(left, total) - looked;
      if (looked === 0) break;
    }
    return removed;
  }

  /**
   * The server has removed the values in time; this takes them out of the indexes, and with them a number of those
   * that it evicted. What has expired by this clock but not by the server's stays until it has.
   */
  async expire(time: number): Promise<number> {
    this.#link.check();
    let count = 0;
    for (let offset = 0; ; ) {
      const args = [String(time), String(offset), String(LOOKED_AT_ONCE)];
      const [looked, gone] = arrayOf(await this.#run(scripts.EXPIRE, args)).map(Number) as [number, number];
      count += gone;
      offset += looked - gone;
      if (looked < LOOKED_AT_ONCE) break;
    }
    await this.#reap();
    await this.#drain();
    return count;
  }

  /** As of this process's last operation. */
  usage(): Usage {
    return this.#usage;
  }

  flight(key: string, options: { timeout: number; signal?: AbortSignal }): Promise<Flight | undefined> {
    return claimFlight((script, args) => this.#run(script, args), key, options);
  }

  /** Entries that may be evicted. */
  async *candidates(): AsyncGenerator<ListedCandidate> {
    for await (const { key, row, idle, accesses } of this.#rows("", undefined, "forget")) {
      const { record, allocated } = row;
      if (record.pinned) continue;
      const { revision, createdAt, priority, expiresAt } = record;
      const { lastAccessed, accessCount } = useOf(record, idle, accesses, now());
      const facts = { revision, createdAt, priority, expiresAt, accessCount, lastAccess: lastAccessed };
      yield { namespace: this.name, key, allocated, ...facts };
    }
  }

  /** Removes those that are as they were; says which. */
  async evict(victims: readonly ListedCandidate[]): Promise<readonly boolean[]> {
    const args = victims.flatMap(({ key, revision }) => [key, revision]);
    return arrayOf(await this.#run(scripts.EVICT, args)).map((removed) => Number(removed) === 1);
  }

  /** Asks the server for the usage. */
  async refreshUsage(): Promise<void> {
    await this.#run(scripts.COUNT, []);
  }

  async #run(script: scripts.Script, args: Command, bytes = 0): Promise<unknown> {
    const reply = arrayOf(await this.#link.run(script, this.#base, args, bytes));
    const [result, entries, size, allocated] = reply;
    this.#usage = { entries: Number(entries), bytes: countOf(size), allocated: countOf(allocated) };
    return result;
  }

  /** Row and value together; the row's text for comparison. */
  async #read(
    key: string,
  ): Promise<{ record: EntryRecord; text: string | Buffer; bytes: Uint8Array } | undefined> {
    const facts = this.#link.send(["HGET", `${this.#base}facts`, key]);
    // Sent in the same turn; how long it may take is known when the row is. Nobody else hears a failure of this promise
    // where the server is known to be away, so it has none.
    const size = facts.then(sizeOf, () => 0);
    const value = this.#link.send(["GET", this.#valueName(key)], size);
    const apart = pairOf(...(await Promise.all([facts, value])));
    if (apart !== "apart") return apart;
    const [text, bytes] = arrayOf(await this.#run(scripts.READ, [key], this.#maxValueSize));
    const together = pairOf(text, bytes);
    return together === "apart" ? undefined : together;
  }

  /** Rows in the order of keys; where the server has dropped the value, "forget" takes the row out. */
  async *#rows(
    prefix: string,
    after: string | undefined,
    missing: "keep" | "forget",
  ): AsyncGenerator<{ key: string; row: Row; idle: unknown; accesses: unknown }> {
    const begin = Buffer.from(prefix);
    // No UTF-8 has a byte of 0xff, so that this comes after every key that starts with the prefix.
    const end: Buffer | string =
      prefix === "" ? "+" : Buffer.concat([Buffer.from("("), begin, Buffer.from([0xff])]);
    const isAfter = after !== undefined && Buffer.compare(Buffer.from(after), begin) >= 0;
    let start: Buffer | string = isAfter ? `(${after}` : prefix === "" ? "-" : `[${prefix}`;
    for (;;) {
      const args = [start, end, String(LOOKED_AT_ONCE), missing === "forget" ? "1" : "0"];
      const [looked, last, ...found] = arrayOf(await this.#run(scripts.LIST, args));
      for (let index = 0; index + 3 < found.length; index += 4) {
        const row = parseRow(found[index + 1]);
        if (row !== undefined) {
          yield { key: String(found[index]), row, idle: found[index + 2], accesses: found[index + 3] };
        }
      }
      if (Number(looked) < LOOKED_AT_ONCE) return;
      start = `(${String(last)}`;
    }
  }

  /** Takes out some of the entries that the server has evicted, going round over all of them in many calls. */
  async #reap(): Promise<void> {
    for (let reaped = 0; reaped < REAPED_AT_ONCE; reaped += LOOKED_AT_ONCE) {
      const args = [this.#reapedTo, "+", String(LOOKED_AT_ONCE), "1"];
      const [looked, last] = arrayOf(await this.#run(scripts.LIST, args));
      const isLast = Number(looked) < LOOKED_AT_ONCE;
      this.#reapedTo = isLast ? "-" : `(${String(last)}`;
      if (isLast) return;
    }
  }

  async #drain(): Promise<void> {
    while (Number(await this.#run(scripts.DRAIN, [String(LOOKED_AT_ONCE)])) > 0);
  }

  #valueName(key: string): string {
    return `${this.#base}value:${key}`;
  }

  #facts(key: string, { record }: Row, lastAccessed: number): EntryFacts {
    return factsOfRecord(key, record, { lastAccessed, accessCount: 0 });
  }
}

/** A row and the value that goes with it; "apart" when a write came in between the two. */
function pairOf(
  text: unknown,
  value: unknown,
): { record: EntryRecord; text: string | Buffer; bytes: Uint8Array } | undefined | "apart" {
  const row = parseRow(text);
  if (row === undefined || !isText(text) || !isText(value)) return undefined;
  const bytes = bytesOf(row.record, value);
  return bytes === undefined ? "apart" : { record: row.record, text, bytes };
}

function sizeOf(reply: unknown): number {
  return parseRow(reply)?.record.size ?? 0;
}

/** Counters can go astray where the server evicts the hash they lie in; they never show less than nothing. */
function countOf(reply: unknown): number {
  return Math.max(0, Number(reply));
}
