/** What the parts of the store suite share: fresh stores, values to store, and a clock to move. */

import assert from "node:assert/strict";
import type { EncodedValue } from "../../codecs/codec.ts";
import { setClockForTests } from "../../shared/clock.ts";
import type { QuiverErrorCode } from "../../shared/errors.ts";
import type { NewFacts, Store, StoreCapabilities, StoreNamespace } from "../../stores/store.ts";
import type { StoreFactory, StoreSuiteOptions } from "./suite-options.ts";

/** A fresh store with one namespace open. */
export interface Bench {
  readonly store: Store;
  readonly namespace: StoreNamespace;
  /** The present time, as the store sees it. */
  now(): number;
  /** Moves the store's clock; only in tests registered with `timedTest`. */
  advance(milliseconds: number): void;
}

export class Suite {
  readonly capabilities: StoreCapabilities;
  readonly #factory: StoreFactory;
  readonly #options: StoreSuiteOptions;

  constructor(factory: StoreFactory, options: StoreSuiteOptions) {
    this.capabilities = options.capabilities;
    this.#factory = factory;
    this.#options = options;
  }

  describe(name: string, body: () => void): void {
    this.#options.describe(name, body);
  }

  /** Registers a test that is given a fresh store. */
  test(name: string, body: (bench: Bench) => Promise<void>): void {
    this.#options.test(name, async () => {
      const { store, dispose } = await this.#factory();
      try {
        const namespace = await store.open("suite", {});
        const advance = () => assert.fail("this test does not own the clock");
        await body({ store, namespace, now: Date.now, advance });
      } finally {
        await store.close();
        await dispose?.();
      }
    });
  }

  /** Whether the store takes the time from this process's clock. */
  get ownClock(): boolean {
    return this.#options.ownClock ?? true;
  }

  /** The same with a clock that stands still until the test moves it; left out for stores with their own. */
  timedTest(name: string, body: (bench: Bench) => Promise<void>): void {
    if (!this.ownClock) return;
    this.test(name, async (bench) => {
      let time = Date.now();
      const restore = setClockForTests(() => time);
      const advance = (milliseconds: number) => {
        time += milliseconds;
      };
      try {
        await body({ ...bench, now: () => time, advance });
      } finally {
        restore();
      }
    });
  }
}

/** An encoded value of the bytes or the UTF-8 of a text, in one part or in parts of `partLength`. */
export function encoded(content: string | Uint8Array, partLength?: number): EncodedValue {
  const bytes = typeof content === "string" ? new TextEncoder().encode(content) : content;
  const length = partLength ?? Math.max(bytes.byteLength, 1);
  const parts: Uint8Array[] = [];
  for (let start = 0; start < bytes.byteLength; start += length)
    parts.push(bytes.subarray(start, start + length));
  return { parts, byteLength: bytes.byteLength };
}

/** Facts of a value that never expires, with changes. */
export function factsWith(changes: Partial<NewFacts> = {}): NewFacts {
  return { codec: "bin", extension: "dat", expiresAt: null, ...changes };
}

/** Stores a text under a key. */
export async function put(
  namespace: StoreNamespace,
  key: string,
  content: string | Uint8Array,
  changes: Partial<NewFacts> = {},
): Promise<void> {
  await namespace.set(key, encoded(content), factsWith(changes));
}

/** The value as text; undefined when absent. Verified where the store leaves that to the reader. */
export async function textOf(
  namespace: StoreNamespace,
  key: string,
  version?: number,
): Promise<string | undefined> {
  const bytes = await bytesOf(namespace, key, version);
  return bytes && new TextDecoder().decode(bytes);
}

/** A copy of the value; undefined when absent. Verified where the store leaves that to the reader. */
export async function bytesOf(
  namespace: StoreNamespace,
  key: string,
  version?: number,
): Promise<Uint8Array | undefined> {
  const value = await namespace.get(key, version === undefined ? {} : { version });
  if (value === undefined) return undefined;
  if (value.ready !== undefined) await value.ready(0, value.bytes.byteLength);
  else value.verify?.(0, value.bytes.byteLength);
  return value.bytes.slice();
}

/** Asserts that the bytes under a key are these. */
export async function assertStored(
  namespace: StoreNamespace,
  key: string,
  expected: Uint8Array,
): Promise<void> {
  const found = await bytesOf(namespace, key);
  assert.equal(found?.byteLength, expected.byteLength, `length of the value under ${JSON.stringify(key)}`);
  assert.ok(Buffer.from(expected).equals(found), `the value under ${JSON.stringify(key)} has other bytes`);
}

/** All keys in the order in which pages of `limit` list them. */
export async function keysOf(namespace: StoreNamespace, prefix = "", limit = 7): Promise<string[]> {
  const keys: string[] = [];
  let after: string | undefined;
  do {
    const page = await namespace.list({ prefix, limit, ...(after !== undefined && { after }) });
    assert.ok(page.entries.length <= limit, "a page is longer than its limit");
    const alone = await namespace.listKeys?.({ prefix, limit, ...(after !== undefined && { after }) });
    if (alone !== undefined) {
      assert.deepEqual(alone, { entries: page.entries.map((entry) => entry.key), next: page.next });
    }
    keys.push(...page.entries.map((entry) => entry.key));
    after = page.next;
  } while (after !== undefined);
  return keys;
}

/** Asserts that the promise is rejected with this code. */
export async function rejectsWith(code: QuiverErrorCode, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error: { code?: unknown }) => {
    assert.equal(error.code, code);
    return true;
  });
}

/** Bytes that differ at every place and between seeds. */
export function pattern(byteLength: number, seed = 1): Uint8Array {
  const bytes = new Uint8Array(byteLength);
  for (let index = 0; index < byteLength; index++)
    bytes[index] = (index * 31 + (index >>> 8) * 7 + seed * 101) & 0xff;
  return bytes;
}
