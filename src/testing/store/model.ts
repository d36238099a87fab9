/** Random programs of operations, run against the store and against a plain Map that is too simple to be wrong. */

import assert from "node:assert/strict";
import {
  assertStored,
  type Bench,
  bytesOf,
  encoded,
  factsWith,
  keysOf,
  pattern,
  type Suite,
} from "./harness.ts";
import { Random } from "./random.ts";

interface ModelEntry {
  readonly bytes: Uint8Array;
  readonly tags: readonly string[];
  readonly priority: number;
  readonly expiresAt: number | null;
}

const KEYS = ["a", "ab", "b", "B", "b/c", "\uffff", "\u{1f3f9}", "x".repeat(600), "../up", "index"];
const TAGS = ["red", "green", "blue"];
const SIZES = [0, 1, 100, 4064, 5000, 70_000];
const STEPS = 60;

/** One run of the store beside the model. Each step does one operation on both and compares what they answer. */
class Run {
  readonly log: string[] = [];
  readonly #bench: Bench;
  readonly #random: Random;
  readonly #ownClock: boolean;
  readonly #model = new Map<string, ModelEntry>();

  /** Where the clock is the store's own, time passes but nothing expires. */
  constructor(bench: Bench, random: Random, ownClock: boolean) {
    this.#bench = bench;
    this.#random = random;
    this.#ownClock = ownClock;
  }

  async step(): Promise<void> {
    const steps = [
      this.#set,
      this.#set,
      this.#set,
      this.#stream,
      this.#get,
      this.#get,
      this.#info,
      this.#delete,
      this.#touch,
      this.#deleteByTag,
      this.#list,
      this.#expire,
      this.#advance,
      this.#abort,
      this.#burst,
    ];
    if (this.#random.chance(0.02)) await this.#clear();
    else await this.#random.pick(steps).call(this);
  }

  /** Compares everything there is. */
  async compareAll(): Promise<void> {
    await this.#bench.namespace.expire(this.#bench.now());
    this.#dropExpired();
    assert.deepEqual(await keysOf(this.#bench.namespace, "", 3), this.#keys(""));
    for (const key of KEYS) await this.#compare(key);
    const usage = this.#bench.namespace.usage();
    assert.equal(usage.entries, this.#model.size);
    assert.equal(
      usage.bytes,
      [...this.#model.values()].reduce((sum, entry) => sum + entry.bytes.byteLength, 0),
    );
  }

  async #set(): Promise<void> {
    const [key, entry] = [this.#random.pick(KEYS), this.#entry()];
    this.log.push(`set ${key.slice(0, 20)} (${entry.bytes.byteLength} bytes)`);
    await this.#bench.namespace.set(
      key,
      encoded(entry.bytes, this.#random.pick([997, 100_000])),
      factsWith(entry),
    );
    this.#model.set(key, entry);
  }

  async #stream(): Promise<void> {
    const [key, entry] = [this.#random.pick(KEYS), this.#entry()];
    this.log.push(`stream ${key.slice(0, 20)} (${entry.bytes.byteLength} bytes)`);
    const writer = await this.#bench.namespace.writer(key, { extension: "dat" });
    for (const part of encoded(entry.bytes, 9999).parts) await writer.write(part);
    await writer.commit(factsWith(entry));
    this.#model.set(key, entry);
  }

  async #abort(): Promise<void> {
    const key = this.#random.pick(KEYS);
    this.log.push(`abort ${key.slice(0, 20)}`);
    const writer = await this.#bench.namespace.writer(key, { extension: "dat" });
    await writer.write(pattern(100));
    await writer.abort();
    await this.#compare(key);
  }

  /** Several operations on one key that are not awaited one by one. */
  async #burst(): Promise<void> {
    const key = this.#random.pick(KEYS);
    this.log.push(`burst on ${key.slice(0, 20)}`);
    const pending: Promise<unknown>[] = [];
    for (let count = 0; count < 4; count++) {
      if (this.#random.chance(0.3)) {
        pending.push(this.#bench.namespace.delete(key));
        this.#model.delete(key);
      } else {
        const entry = this.#entry();
        pending.push(this.#bench.namespace.set(key, encoded(entry.bytes), factsWith(entry)));
        this.#model.set(key, entry);
      }
    }
    await Promise.all(pending);
    await this.#compare(key);
  }

  async #get(): Promise<void> {
    const key = this.#random.pick(KEYS);
    this.log.push(`get ${key.slice(0, 20)}`);
    await this.#compare(key);
  }

  async #info(): Promise<void> {
    const key = this.#random.pick(KEYS);
    this.log.push(`info ${key.slice(0, 20)}`);
    const expected = this.#live(key);
    const found = await this.#bench.namespace.info(key);
    assert.equal(found?.size, expected?.bytes.byteLength);
    assert.equal(found?.priority, expected?.priority);
    assert.equal(found?.expiresAt, expected?.expiresAt);
    assert.deepEqual(found && [...found.tags].sort(), expected && [...expected.tags].sort());
  }

  async #delete(): Promise<void> {
    const key = this.#random.pick(KEYS);
    this.log.push(`delete ${key.slice(0, 20)}`);
    assert.equal(await this.#bench.namespace.delete(key), this.#live(key) !== undefined);
    this.#model.delete(key);
  }

  async #touch(): Promise<void> {
    const [key, { expiresAt, tags, priority }] = [this.#random.pick(KEYS), this.#entry()];
    this.log.push(`touch ${key.slice(0, 20)}`);
    const expected = this.#live(key);
    const touched = await this.#bench.namespace.touch(key, { expiresAt, tags, priority });
    assert.equal(touched !== undefined, expected !== undefined);
    if (expected !== undefined) this.#model.set(key, { ...expected, expiresAt, tags, priority });
  }

  async #deleteByTag(): Promise<void> {
    const tag = this.#random.pick(TAGS);
    this.log.push(`deleteByTag ${tag}`);
    this.#dropExpired();
    await this.#bench.namespace.expire(this.#bench.now());
    const keys = [...this.#model].filter(([, entry]) => entry.tags.includes(tag)).map(([key]) => key);
    assert.equal(await this.#bench.namespace.deleteByTag(tag), keys.length);
    for (const key of keys) this.#model.delete(key);
  }

  async #list(): Promise<void> {
    const prefix = this.#random.pick(["", "", "a", "b", "x", "\u{1f3f9}"]);
    this.log.push(`list "${prefix}"`);
    assert.deepEqual(
      await keysOf(this.#bench.namespace, prefix, this.#random.pick([1, 2, 100])),
      this.#keys(prefix),
    );
  }

  async #expire(): Promise<void> {
    this.log.push("expire");
    const expected = this.#dropExpired();
    assert.ok((await this.#bench.namespace.expire(this.#bench.now())) <= expected);
  }

  async #advance(): Promise<void> {
    if (!this.#ownClock) return;
    const milliseconds = this.#random.pick([1, 500, 5000]);
    this.log.push(`advance ${milliseconds}`);
    this.#bench.advance(milliseconds);
  }

  async #clear(): Promise<void> {
    this.log.push("clear");
    this.#dropExpired();
    await this.#bench.namespace.expire(this.#bench.now());
    assert.equal(await this.#bench.namespace.clear(), this.#model.size);
    this.#model.clear();
  }

  async #compare(key: string): Promise<void> {
    const expected = this.#live(key)?.bytes;
    if (expected !== undefined) await assertStored(this.#bench.namespace, key, expected);
    else assert.equal(await bytesOf(this.#bench.namespace, key), undefined);
    assert.equal(await this.#bench.namespace.has(key), expected !== undefined);
  }

  #entry(): ModelEntry {
    const ttl = this.#random.pick(this.#ownClock ? [null, null, 400, 3000] : [null, null, 3e6, 4e6]);
    return {
      bytes: pattern(this.#random.pick(SIZES), this.#random.below(250)),
      tags: TAGS.filter(() => this.#random.chance(0.3)),
      priority: this.#random.below(5) - 2,
      expiresAt: ttl === null ? null : this.#bench.now() + ttl,
    };
  }

  #live(key: string): ModelEntry | undefined {
    const entry = this.#model.get(key);
    const expired = entry !== undefined && entry.expiresAt !== null && this.#bench.now() >= entry.expiresAt;
    return expired ? undefined : entry;
  }

  #keys(prefix: string): string[] {
    return [...this.#model.keys()]
      .filter((key) => key.startsWith(prefix) && this.#live(key) !== undefined)
      .sort((left, right) => Buffer.compare(Buffer.from(left), Buffer.from(right)));
  }

  #dropExpired(): number {
    const expired = [...this.#model.keys()].filter((key) => this.#live(key) === undefined);
    for (const key of expired) this.#model.delete(key);
    return expired.length;
  }
}

export function model(suite: Suite, programs: number): void {
  suite.describe("random programs", () => {
    const register = suite.ownClock ? suite.timedTest.bind(suite) : suite.test.bind(suite);
    for (let seed = 1; seed <= programs; seed++) {
      register(`behaves like a Map, program ${seed}`, async (bench) => {
        const run = new Run(bench, new Random(seed), suite.ownClock);
        try {
          for (let step = 0; step < STEPS; step++) await run.step();
          await run.compareAll();
        } catch (cause) {
          const reason = cause instanceof Error ? cause.message : String(cause);
          throw new Error(`seed ${seed}, after\n  ${run.log.join("\n  ")}\n${reason}`, { cause });
        }
      });
    }
  });
}
