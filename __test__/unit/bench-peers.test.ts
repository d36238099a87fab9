/** The parts of the races against peers that judge: what counts as better, as equal, and how it is written down. */

import { describe, expect, test } from "vitest";
import { latencies, pace, paceSync } from "../../bench/peers/measure.ts";
import { headlinesOf, plot } from "../../bench/peers/plot.ts";
import { advantage, ratio, sectionOf, short, spread } from "../../bench/peers/report.ts";
import type { RaceResult } from "../../bench/peers/results.ts";
import { bytes, digestOf, matrix, randomRows } from "../../bench/peers/values.ts";

describe("report", () => {
  test("an advantage above one is ours, whichever way the unit counts", () => {
    expect(advantage(200, 100, "/s")).toBe(2);
    expect(advantage(5, 10, "ms")).toBe(2);
    expect(advantage(10, 5, "bytes")).toBe(0.5);
  });

  test("the middle of an even number of samples is one of them", () => {
    expect(spread([3, 1, 2])).toEqual({ low: 1, median: 2, high: 3 });
    expect([1, 2, 3, 4]).toContain(spread([4, 1, 3, 2]).median);
  });

  test("figures have three digits and a unit", () => {
    expect([0.1234, 999, 1_234, 12_345, 1_234_567].map(short)).toEqual([
      "0.123",
      "999",
      "1,230",
      "12.3 k",
      "1.23 M",
    ]);
    expect(ratio(0.04567)).toBe("0.046x");
  });

  test("a cell compares with ours in the same table, and a missing peer is named", () => {
    const place = { table: "get", column: "1 KB", unit: "/s" } as const;
    const entrant = { layout: "packed", durability: {}, version: "1" } as const;
    const text = sectionOf({
      workload: "blobs",
      title: "Blobs",
      load: 0.5,
      notes: ["A note."],
      entrants: [
        { name: "quiver", ...entrant },
        { name: "other", ...entrant },
      ],
      series: [
        { peer: "quiver", ...place, samples: [300, 200, 100] },
        { peer: "other", ...place, samples: [50] },
      ],
      absent: [{ peer: "gone", why: "not installed" }],
    });
    expect(text).toContain("| `quiver` | packed | 200 (100 to 300) |");
    expect(text).toContain("| `other` | packed | 50 **4x** |");
    expect(text).toContain("`gone` is missing: not installed");
  });
});

describe("values", () => {
  test("other seeds give other bytes, and the digest tells them apart", () => {
    expect(bytes(1_000, 1)).not.toEqual(bytes(1_000, 2));
    expect(digestOf([bytes(1_000, 1)])).toBe(digestOf([bytes(1_000, 1)]));
    expect(digestOf([bytes(1_000, 1)])).not.toBe(digestOf([bytes(1_000, 2)]));
  });

  test("random rows are rows of the table, none twice, and others in each turn", () => {
    const rows = randomRows(200_000, 1_000, 3);
    expect(new Set(rows).size).toBe(1_000);
    expect(rows.every((row) => Number.isInteger(row) && row >= 0 && row < 200_000)).toBe(true);
    expect(randomRows(200_000, 1_000, 4)).not.toEqual(rows);
  });

  test("sums of the matrix are exact in float32 elements", () => {
    expect(matrix(10, 10).every(Number.isInteger)).toBe(true);
  });
});

describe("clocks", () => {
  test("what was done is counted, warm-up left out of the rate", async () => {
    let done = 0;
    expect(paceSync(() => done++, 4)).toBeGreaterThan(0);
    expect(done).toBeGreaterThan(1);
  });

  test("as many operations are under way as were asked for", async () => {
    let under = 0;
    let most = 0;
    await pace(
      async () => {
        most = Math.max(most, ++under);
        await new Promise((resolve) => setImmediate(resolve));
        under--;
      },
      5,
      8,
    );
    expect(most).toBe(8);
  });

  test("the slow hundredth is not quicker than the middle", async () => {
    const { p50, p99 } = await latencies(() => undefined, 2);
    expect(p99).toBeGreaterThanOrEqual(p50);
  });
});

describe("plot", () => {
  const races: RaceResult[] = [
    {
      workload: "blobs",
      title: "Blobs",
      load: 0.5,
      notes: [],
      entrants: [],
      absent: [],
      series: [
        { peer: "quiver", table: "get", column: "1 KB", unit: "/s", samples: [400] },
        { peer: "slow", table: "get", column: "1 KB", unit: "/s", samples: [100] },
        { peer: "quick", table: "get", column: "1 KB", unit: "/s", samples: [800] },
      ],
    },
  ];
  const headline = { title: "get of 1 KB & more", workload: "blobs", table: "get", column: "1 KB" };

  test("headlines that were not measured are left out", () => {
    const figures = headlinesOf([headline, { ...headline, column: "2 KB" }], races, [
      "slow",
      "absent",
      "quick",
    ]);
    expect(figures).toEqual([
      {
        title: "get of 1 KB & more",
        unit: "/s",
        ours: 400,
        peers: [
          { name: "slow", value: 100, factor: 4 },
          { name: "quick", value: 800, factor: 0.5 },
        ],
      },
    ]);
  });

  test("a lead lies to the right of the line at one, a lag to its left", () => {
    const svg = plot(headlinesOf([headline], races, ["slow", "quick"]), ["slow", "quick"]);
    const one = Number(/x1="([\d.]+)"[^>]*stroke-width="2"/.exec(svg)?.[1]);
    const bars = [...svg.matchAll(/<rect x="([\d.]+)" y="[\d.]+" width="([\d.]+)"[^>]*><title>/g)].map(
      ([, x, width]) => [Number(x), Number(x) + Number(width)],
    );
    expect(bars).toHaveLength(2);
    expect(bars[0]?.[0]).toBeCloseTo(one, 0);
    expect(bars[1]?.[1]).toBeCloseTo(one, 0);
    expect(svg).toContain("get of 1 KB &amp; more");
  });
});
