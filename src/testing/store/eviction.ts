/** Eviction scans. Candidates have no keys in their columns; the tests know them by their times of expiry. */

import assert from "node:assert/strict";
import type { CandidateColumns } from "../../policy/eviction.ts";
import type { EvictionResult, Store } from "../../stores/store.ts";
import { type Bench, keysOf, pattern, put, type Suite } from "./harness.ts";

const FAR = 4_000_000_000_000;

interface Request {
  readonly goal: { readonly allocated: number; readonly entries: number };
  readonly namespaces?: readonly string[];
  readonly limit?: number;
  readonly score?: (columns: CandidateColumns, row: number) => number;
  /** Runs between the last `offer` and `evict`. */
  readonly meanwhile?: () => Promise<void>;
}

/** Scores by the mark that `fill` gave unless told otherwise, and evicts. */
async function evict(store: Store, request: Request): Promise<EvictionResult> {
  const { goal, namespaces, limit = 4, score = markOf } = request;
  using scan = await store.evictionScan({ goal, ...(namespaces && { namespaces }) });
  for (;;) {
    const columns = await scan.next(limit);
    if (columns === undefined) break;
    assert.ok(columns.length >= 1 && columns.length <= limit, "a chunk is empty or longer than asked");
    scan.offer(Float64Array.from({ length: columns.length }, (_, row) => score(columns, row)));
  }
  await request.meanwhile?.();
  return scan.evict(goal);
}

function markOf(columns: CandidateColumns, row: number): number {
  return (columns.expiresAt[row] as number) - FAR;
}

/** Entries k0, k1, … whose marks are 0, 1, …, stored in another order. */
async function fill(
  { namespace }: Bench,
  count: number,
  priorityOf: (mark: number) => number = () => 0,
): Promise<void> {
  for (let index = 0; index < count; index++) {
    const mark = (index * 7) % count;
    await put(namespace, `k${mark}`, pattern(1000, mark), {
      expiresAt: FAR + mark,
      priority: priorityOf(mark),
    });
  }
}

const keysFrom = (first: number, last: number) =>
  Array.from({ length: last - first }, (_, index) => `k${first + index}`);

export function eviction(suite: Suite): void {
  suite.describe("eviction", () => {
    suite.test("the lowest scores leave, as many as the goal asks", async (bench) => {
      await fill(bench, 10);
      const result = await evict(bench.store, { goal: { allocated: 0, entries: 4 } });
      assert.equal(result.count, 4);
      assert.deepEqual(await keysOf(bench.namespace), keysFrom(4, 10));
      assert.deepEqual(
        result.sample.map((evicted) => `${evicted.namespace} ${evicted.key}`).sort(),
        keysFrom(0, 4).map((key) => `suite ${key}`),
      );
      assert.equal(bench.namespace.usage().entries, 6);
    });

    suite.test("a goal in bytes is met, and not by everything", async (bench) => {
      await fill(bench, 10);
      const before = bench.namespace.usage();
      const result = await evict(bench.store, { goal: { allocated: 3000, entries: 0 } });
      assert.ok(result.bytes >= 3000, "less was freed than asked for");
      assert.ok(result.count >= 1 && result.count <= 3, `${result.count} entries of 1000 bytes for 3000`);
      assert.equal(bench.namespace.usage().entries, before.entries - result.count);
      assert.deepEqual(await keysOf(bench.namespace), keysFrom(result.count, 10));
    });

    suite.test("both goals are met", async (bench) => {
      await fill(bench, 10);
      const result = await evict(bench.store, { goal: { allocated: 1, entries: 5 } });
      assert.equal(result.count, 5);
    });

    suite.test("a goal that cannot be met takes all there is", async (bench) => {
      await fill(bench, 10);
      const result = await evict(bench.store, { goal: { allocated: 1e9, entries: 1e9 } });
      assert.equal(result.count, 10);
      assert.deepEqual(await keysOf(bench.namespace), []);
    });

    suite.test("no goal, no eviction", async (bench) => {
      await fill(bench, 5);
      const result = await evict(bench.store, { goal: { allocated: 0, entries: 0 } });
      assert.deepEqual({ ...result, sample: [...result.sample] }, { count: 0, bytes: 0, sample: [] });
      assert.equal((await keysOf(bench.namespace)).length, 5);
    });

    suite.test("lower priority leaves first, whatever the score", async (bench) => {
      await fill(bench, 8, (mark) => (mark >= 6 ? -1 : mark === 0 ? 5 : 0));
      await evict(bench.store, { goal: { allocated: 0, entries: 4 } });
      assert.deepEqual(await keysOf(bench.namespace), ["k0", "k3", "k4", "k5"]);
    });

    suite.test("scores that are no number count as 0", async (bench) => {
      await fill(bench, 4);
      const scores = [-1, Number.NaN, 1, 2];
      await evict(bench.store, {
        goal: { allocated: 0, entries: 2 },
        score: (columns, row) => scores[markOf(columns, row)] as number,
      });
      assert.deepEqual(await keysOf(bench.namespace), ["k2", "k3"]);
    });

    suite.test("pinned entries are no candidates", async (bench) => {
      await fill(bench, 6);
      await bench.namespace.touch("k0", { pinned: true });
      await bench.namespace.touch("k3", { pinned: true });
      const result = await evict(bench.store, { goal: { allocated: 0, entries: 100 } });
      assert.equal(result.count, 4);
      assert.deepEqual(await keysOf(bench.namespace), ["k0", "k3"]);
    });

    suite.test("what changed after it was scored stays", async (bench) => {
      const { namespace } = bench;
      await fill(bench, 8);
      await evict(bench.store, {
        goal: { allocated: 0, entries: 5 },
        meanwhile: async () => {
          await put(namespace, "k0", "new value");
          await namespace.touch("k1", { pinned: true });
          await namespace.touch("k2", { expiresAt: FAR + 1_000_000 });
          await namespace.delete("k3");
          await put(namespace, "k3", "made again");
        },
      });
      assert.deepEqual((await keysOf(namespace)).slice(0, 4), ["k0", "k1", "k2", "k3"]);
      assert.equal(await namespace.has("k4"), false);
    });

    suite.test("what is deleted after it was scored does no harm", async (bench) => {
      await fill(bench, 4);
      const result = await evict(bench.store, {
        goal: { allocated: 0, entries: 2 },
        meanwhile: async () => void (await bench.namespace.clear()),
      });
      assert.equal(result.count, 0);
      assert.equal(bench.namespace.usage().entries, 0);
    });

    suite.test("only the namespaces named are looked at", async (bench) => {
      const other = await bench.store.open("other", {});
      await put(other, "k", "value");
      await fill(bench, 3);
      await evict(bench.store, { goal: { allocated: 0, entries: 9 }, namespaces: ["suite"] });
      assert.deepEqual(await keysOf(bench.namespace), []);
      assert.equal(await other.has("k"), true);
      await evict(bench.store, { goal: { allocated: 0, entries: 9 } });
      assert.equal(await other.has("k"), false);
    });

    suite.test("the order holds across many chunks", async (bench) => {
      await fill(bench, 300);
      await evict(bench.store, { goal: { allocated: 0, entries: 120 }, limit: 32 });
      const left = (await keysOf(bench.namespace)).map((key) => Number(key.slice(1)));
      assert.deepEqual(
        left.sort((a, b) => a - b),
        Array.from({ length: 180 }, (_, index) => index + 120),
      );
    });

    suite.test("columns tell the facts", async (bench) => {
      const before = bench.now();
      await put(bench.namespace, "k", pattern(5000), { priority: -7 });
      using scan = await bench.store.evictionScan({ goal: { allocated: 1, entries: 1 } });
      const columns = await scan.next(10);
      assert.equal(columns?.length, 1);
      assert.ok((columns?.size[0] ?? 0) >= 5000);
      assert.equal(columns?.priority[0], -7);
      assert.equal(columns?.expiresAt[0], Number.POSITIVE_INFINITY);
      assert.ok((columns?.createdAt[0] ?? 0) >= before - 1 && (columns?.createdAt[0] ?? 0) <= bench.now());
      assert.ok((columns?.lastAccess[0] ?? 0) <= bench.now());
    });

    suite.timedTest("expired entries are no candidates", async (bench) => {
      await put(bench.namespace, "k", "value", { expiresAt: bench.now() + 10 });
      bench.advance(10);
      using scan = await bench.store.evictionScan({ goal: { allocated: 1, entries: 1 } });
      assert.equal(await scan.next(10), undefined);
    });
  });
}
