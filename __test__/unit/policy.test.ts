import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkAdmission } from "../../src/policy/admission.ts";
import type { CandidateColumns, EvictionPolicy } from "../../src/policy/eviction.ts";
import { resolvePolicy, scoreWith } from "../../src/policy/resolve.ts";
import { expiryOf, ttlOf } from "../../src/policy/ttl.ts";
import { evictionGoal } from "../../src/policy/watermarks.ts";

const NOW = 1_800_000_000_000;

interface Row {
  createdAt: number;
  lastAccess: number;
  accessCount: number;
  visited: number;
}

function columnsOf(rows: readonly Row[]): CandidateColumns {
  return {
    length: rows.length,
    createdAt: Float64Array.from(rows, (row) => row.createdAt),
    lastAccess: Float64Array.from(rows, (row) => row.lastAccess),
    accessCount: Uint32Array.from(rows, (row) => row.accessCount),
    size: new Float64Array(rows.length),
    priority: new Int32Array(rows.length),
    expiresAt: new Float64Array(rows.length).fill(Number.POSITIVE_INFINITY),
    visited: Uint8Array.from(rows, (row) => row.visited),
  };
}

function orderBy(policy: EvictionPolicy, rows: readonly Row[]): number[] {
  const scores = new Float64Array(rows.length);
  policy.score(columnsOf(rows), NOW, scores);
  return rows.map((_, index) => index).sort((left, right) => (scores[left] ?? 0) - (scores[right] ?? 0));
}

const rows: fc.Arbitrary<Row[]> = fc.array(
  fc.record({
    createdAt: fc.integer({ min: NOW - 10_000_000, max: NOW }),
    lastAccess: fc.integer({ min: NOW - 10_000_000, max: NOW }),
    accessCount: fc.oneof(fc.nat({ max: 5 }), fc.nat({ max: 60_000 })),
    visited: fc.constantFrom(0, 1),
  }),
  { maxLength: 30 },
);

describe("policies", () => {
  const expected: Record<string, (left: Row, right: Row) => number> = {
    lru: (left, right) => left.lastAccess - right.lastAccess,
    fifo: (left, right) => left.createdAt - right.createdAt,
    lfu: (left, right) => left.accessCount - right.accessCount || left.lastAccess - right.lastAccess,
    sieve: (left, right) => left.visited - right.visited || left.createdAt - right.createdAt,
  };

  test.each(["lru", "fifo", "lfu", "sieve"] as const)("%s orders as its definition does", (name) => {
    fc.assert(
      fc.property(rows, (candidates) => {
        const naive = candidates
          .map((_, index) => index)
          .sort((left, right) => expected[name]?.(candidates[left] as Row, candidates[right] as Row) ?? 0);
        expect(orderBy(resolvePolicy(name), candidates)).toEqual(naive);
      }),
    );
  });

  test("lfu never lets recency outweigh a count", () => {
    const often = { createdAt: 0, lastAccess: 0, accessCount: 4_294_967_295, visited: 0 };
    const seldom = { createdAt: NOW, lastAccess: NOW, accessCount: 4_294_967_294, visited: 1 };
    expect(orderBy(resolvePolicy("lfu"), [often, seldom])).toEqual([1, 0]);
  });

  test("only the rows in use are scored", () => {
    const columns = {
      ...columnsOf([{ createdAt: 1, lastAccess: 1, accessCount: 1, visited: 0 }]),
      length: 0,
    };
    for (const name of ["lru", "fifo", "lfu", "sieve"] as const) {
      const out = new Float64Array([-1]);
      resolvePolicy(name).score(columns, NOW, out);
      expect(out[0]).toBe(-1);
    }
  });

  test("a policy of one's own is taken as it is", () => {
    const own: EvictionPolicy = {
      name: "largest-first",
      score: (columns, _now, out) => out.set(columns.size),
    };
    expect(resolvePolicy(own)).toBe(own);
    expect(resolvePolicy(resolvePolicy("lru")).name).toBe("lru");
  });

  test.each([
    ["an unknown name", "mru"],
    ["a name of Object", "constructor"],
    ["null", null],
    ["no score", { name: "own" }],
    ["no name", { score() {} }],
    ["a name that is no word", { name: "a b", score() {} }],
    ["the name of a built-in", { name: "lru", score() {} }],
  ])("%s is refused", (_, option) => {
    expect(() => resolvePolicy(option as never)).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION" }),
    );
  });

  test("a policy that throws is named, with its error as the cause", () => {
    const cause = new Error("oops");
    const own: EvictionPolicy = {
      name: "own",
      score() {
        throw cause;
      },
    };
    expect(() => scoreWith(own, columnsOf([]), NOW, new Float64Array(0))).toThrow(
      expect.objectContaining({ message: expect.stringContaining('"own"'), cause }),
    );
  });
});

describe("time to live", () => {
  test("the first level that says something counts", () => {
    expect(ttlOf()).toBe(null);
    expect(ttlOf(undefined, undefined, undefined)).toBe(null);
    expect(ttlOf(5, 6, 7)).toBe(5);
    expect(ttlOf(undefined, 6, 7)).toBe(6);
    expect(ttlOf(undefined, null, 7)).toBe(null);
    expect(ttlOf(0, 6)).toBe(0);
    expect([expiryOf(100, 5), expiryOf(100, 0), expiryOf(100, null)]).toEqual([105, 100, null]);
  });

  test("beyond all exact numbers means never", () => {
    expect(expiryOf(NOW, Number.MAX_SAFE_INTEGER)).toBe(null);
  });
});

describe("admission", () => {
  test("a value up to the limit is let in", () => {
    expect(() => checkAdmission("k", 100, "the cache", 100)).not.toThrow();
    expect(() => checkAdmission("k", 101, "the cache", 100)).toThrow(
      expect.objectContaining({ code: "ERR_QUIVER_TOO_LARGE", key: "k", expected: 100, found: 101 }),
    );
  });
});

describe("watermarks", () => {
  const usage = (allocated: number, entries: number) => ({ allocated, entries });

  test("nothing leaves up to the high-water mark", () => {
    expect(evictionGoal(usage(900, 10), { maxSize: 1000, maxEntries: null })).toBe(undefined);
    expect(evictionGoal(usage(1e15, 1e9), { maxSize: null, maxEntries: null })).toBe(undefined);
    expect(evictionGoal(usage(1000, 10), { maxSize: 1000, maxEntries: null }, 1)).toBe(undefined);
  });

  test("beyond it usage falls to the low-water mark", () => {
    expect(evictionGoal(usage(901, 10), { maxSize: 1000, maxEntries: null })).toEqual({
      allocated: 51,
      entries: 0,
    });
    expect(evictionGoal(usage(5, 950), { maxSize: 1000, maxEntries: 1000 })).toEqual({
      allocated: 0,
      entries: 100,
    });
    expect(evictionGoal(usage(600, 0), { maxSize: 1000, maxEntries: null }, 0.5)).toEqual({
      allocated: 150,
      entries: 0,
    });
  });

  test("a limit of a few entries can be used in full", () => {
    for (const maxEntries of [1, 2, 3, 9]) {
      expect(evictionGoal(usage(0, maxEntries), { maxSize: null, maxEntries })).toBe(undefined);
      const goal = evictionGoal(usage(0, maxEntries + 1), { maxSize: null, maxEntries });
      expect(goal?.entries).toBeGreaterThanOrEqual(1);
      expect(goal?.entries).toBeLessThanOrEqual(2);
    }
  });

  test("a limit of nothing lets nothing stay", () => {
    expect(evictionGoal(usage(7, 3), { maxSize: 0, maxEntries: 0 })).toEqual({ allocated: 7, entries: 3 });
  });
});
