/** Echo templates, state profiles, the wave equation and the mission graph, in a cache. */

import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Cache } from "../../src/cache/cache.ts";
import {
  chirp,
  findEcho,
  loadProfile,
  MissionGraph,
  type MissionNode,
  matchedFilter,
  saveProfile,
  simulationCache,
  WaveEquation,
} from "../../src/simulation/index.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

let cache: Cache;
beforeEach(async () => {
  cache = await simulationCache("unused", { store: new MemoryStore() });
});
afterEach(() => cache.close());

/** Repeatable noise with a normal distribution of that width: twelve uniform numbers summed. */
function noise(length: number, width: number, seed = 1): Float64Array {
  let state = seed;
  const uniform = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 2 ** 32;
  };
  return Float64Array.from(
    { length },
    () => width * (Array.from({ length: 12 }, uniform).reduce((a, b) => a + b) - 6),
  );
}

describe("echo templates", () => {
  const options = { samples: 512, sampleRate: 48_000, startFrequency: 2_000, endFrequency: 12_000 };

  test("have unit energy, fade at the ends, and sweep the frequencies asked for", () => {
    for (const window of ["hann", "rectangular"] as const) {
      const { data } = chirp({ ...options, window });
      expect(data.reduce((sum, value) => sum + value * value, 0)).toBeCloseTo(1, 12);
    }
    const { data } = chirp(options);
    expect(Math.abs(data[0] as number)).toBeLessThan(1e-12);
    expect(Math.abs(data[511] as number)).toBeLessThan(1e-12);
    const crossings = (from: number, to: number): number =>
      data.slice(from, to).filter((value, i, part) => i > 0 && value * (part[i - 1] as number) < 0).length;
    // Two a period; the mean frequencies of the first and the last quarter are 3,250 and 10,750 Hz.
    expect(crossings(0, 128)).toBeCloseTo((2 * 3_250 * 128) / 48_000, -0.7);
    expect(crossings(384, 512)).toBeCloseTo((2 * 10_750 * 128) / 48_000, -0.7);
  });

  test("are found in noise as strong as they are, at their lag and with their amplitude", () => {
    const template = chirp(options);
    for (const [lag, amplitude] of [
      [1_234, 1],
      [0, -1],
      [3_584, 2],
    ] as const) {
      const signal = noise(4_096, 0.044, lag + 1);
      template.data.forEach((value, i) => {
        signal[lag + i] = (signal[lag + i] as number) + amplitude * value;
      });
      const echo = findEcho(new Tensor(signal), template);
      expect(echo.lag).toBe(lag);
      expect(echo.amplitude).toBeCloseTo(amplitude, 0);
    }
    const quiet = matchedFilter(new Tensor(template.data), template);
    expect(quiet.shape).toEqual([1]);
    expect(quiet.at(0)).toBeCloseTo(1, 12);
  });

  test("that can't be sampled or correlated are refused", () => {
    const bad = { code: "ERR_QUIVER_BAD_VALUE" };
    expect(() => chirp({ ...options, endFrequency: 24_001 })).toThrow(expect.objectContaining(bad));
    expect(() => chirp({ ...options, samples: 3 })).toThrow(expect.objectContaining(bad));
    expect(() => chirp({ ...options, startFrequency: 0, endFrequency: 0 })).toThrow(
      expect.objectContaining(bad),
    );
    expect(() => matchedFilter(new Tensor(new Float64Array(3)), chirp(options))).toThrow(
      expect.objectContaining(bad),
    );
  });
});

describe("state profiles", () => {
  test("bring back every bit of arrays and numbers, as copies to go on with", async () => {
    const profiles = cache.namespace("state_profiles");
    const restore = async (key: string): Promise<Record<string, Tensor | number>> => {
      const state = await loadProfile(profiles, key);
      if (state === undefined) throw new Error(`${key} is not there`);
      return { ...state };
    };
    const field = new Tensor(Float32Array.of(1.5, -0, Number.NaN, 3), [2, 2]);
    const counts = new Tensor(BigInt64Array.of(-1n, 2n ** 62n));
    const numbers = { time: 0.1, zero: -0, none: Number.NaN, far: -Infinity };
    const single = new Tensor(Float64Array.of(2.5));
    await saveProfile(profiles, "s", { field, counts, single, ...numbers });
    const restored = await restore("s");
    expect(Object.keys(restored).sort()).toEqual([
      "counts",
      "far",
      "field",
      "none",
      "single",
      "time",
      "zero",
    ]);
    const copy = restored["field"] as Tensor<Float32Array>;
    expect(copy.equals(field)).toBe(true);
    expect((restored["counts"] as Tensor).equals(counts)).toBe(true);
    expect(single.equals(restored["single"] as Tensor)).toBe(true);
    expect(restored).toMatchObject(numbers);
    copy.data.fill(7);
    expect(field.equals((await restore("s"))["field"] as Tensor)).toBe(true);
    await saveProfile(profiles, "one", { data: field });
    expect(field.equals((await restore("one"))["data"] as Tensor)).toBe(true);
    expect(await loadProfile(profiles, "nowhere")).toBeUndefined();
  });

  test("are told from other entries, and refuse other parts", async () => {
    const profiles = cache.namespace("state_profiles");
    await profiles.set("json", { steps: 3 });
    const bad = { code: "ERR_QUIVER_BAD_VALUE" };
    await expect(loadProfile(profiles, "json")).rejects.toMatchObject(bad);
    await expect(saveProfile(profiles, "s", { name: "x" as unknown as number })).rejects.toMatchObject(bad);
    await expect(saveProfile(profiles, "s", {})).rejects.toMatchObject(bad);
  });

  test("let a simulation continue bit by bit", async () => {
    const profiles = cache.namespace("state_profiles");
    const through = new WaveEquation({ n: 24, courant: 0.6 });
    through.run(300);
    const first = new WaveEquation({ n: 24, courant: 0.6 });
    first.run(130);
    const saving = saveProfile(profiles, "wave", first.state());
    first.run(1);
    await saving;
    const second = WaveEquation.restore((await loadProfile(profiles, "wave")) ?? {});
    expect(second.steps).toBe(130);
    second.run(170);
    expect(second.steps).toBe(300);
    expect(second.displacement.equals(through.displacement)).toBe(true);
    expect(first.displacement.equals(through.displacement)).toBe(false);
  });
});

describe("the wave equation", () => {
  test("keeps its lowest mode, as leapfrog's own dispersion has it", () => {
    const n = 20;
    const courant = 0.7;
    const wave = new WaveEquation({ n, courant });
    const start = wave.displacement.data.slice();
    const phase = 2 * Math.asin(courant * Math.SQRT2 * Math.sin(Math.PI / (2 * (n + 1))));
    for (const steps of [1, 1, 98, 400]) {
      wave.run(steps);
      const factor = Math.cos(wave.steps * phase);
      wave.displacement.data.forEach((value, i) => {
        expect(value).toBeCloseTo(factor * (start[i] as number), 11);
      });
    }
  });

  test("refuses unstable steps and foreign states", () => {
    const bad = expect.objectContaining({ code: "ERR_QUIVER_BAD_VALUE" });
    expect(() => new WaveEquation({ n: 8, courant: 0.8 })).toThrow(bad);
    expect(() => WaveEquation.restore({ n: 8 })).toThrow(bad);
    expect(() => WaveEquation.restore({ ...new WaveEquation({ n: 8 }).state(), n: 9 })).toThrow(bad);
  });
});

describe("the mission graph", () => {
  /** launch -> orbit -> survey, launch -> budget, survey + budget -> report */
  const nodes = (changes: Record<string, Partial<MissionNode>> = {}): Record<string, MissionNode> => {
    const graph: Record<string, MissionNode> = {
      launch: {
        parameters: { mass: 100, day: 3 },
        compute: (_, p) => ({ speed: (p as { mass: number }).mass * 2 }),
      },
      orbit: { inputs: ["launch"], parameters: { height: 400 }, compute: ({ launch }, p) => [launch, p] },
      survey: { inputs: ["orbit"], compute: ({ orbit }) => ({ images: JSON.stringify(orbit).length }) },
      budget: { inputs: ["launch"], parameters: { price: 7 }, compute: ({ launch }, p) => [launch, p] },
      report: { inputs: ["survey", "budget"], compute: ({ survey, budget }) => ({ survey, budget }) },
      other: { compute: () => "not asked for" },
    };
    for (const [name, change] of Object.entries(changes))
      graph[name] = { ...(graph[name] as MissionNode), ...change };
    return graph;
  };
  const run = async (changes?: Record<string, Partial<MissionNode>>) => {
    const result = await new MissionGraph(cache.namespace("mission_graph"), nodes(changes)).run("report");
    return { value: result.value, computed: [...result.computed].sort(), reused: [...result.reused].sort() };
  };

  test("computes each node once, and nothing the second time", async () => {
    const first = await run();
    expect(first.computed).toEqual(["budget", "launch", "orbit", "report", "survey"]);
    expect(first.reused).toEqual([]);
    expect(first.value).toEqual({
      survey: { images: JSON.stringify([{ speed: 200 }, { height: 400 }]).length },
      budget: [{ speed: 200 }, { price: 7 }],
    });
    const second = await run();
    expect(second.computed).toEqual([]);
    expect(second.reused).toEqual(["budget", "launch", "orbit", "report", "survey"]);
    expect(second.value).toEqual(first.value);
  });

  test("recomputes what hangs below a changed node, and only that", async () => {
    await run();
    expect((await run({ budget: { parameters: { price: 8 } } })).computed).toEqual(["budget", "report"]);
    expect((await run({ orbit: { version: "2", compute: () => "elsewhere" } })).computed).toEqual([
      "orbit",
      "report",
      "survey",
    ]);
    expect((await run({ launch: { parameters: { mass: 101, day: 3 } } })).computed).toHaveLength(5);
  });

  test("goes no further where a changed node's result is what it was", async () => {
    await run();
    // The day doesn't enter the result.
    expect((await run({ launch: { parameters: { mass: 100, day: 4 } } })).computed).toEqual(["launch"]);
    // The order of fields means nothing at all.
    expect((await run({ launch: { parameters: { day: 3, mass: 100 } } })).computed).toEqual([]);
  });

  test("recomputes a result that was evicted, and only that", async () => {
    await run();
    const results = cache.namespace("mission_graph");
    for await (const key of results.keys({ prefix: "orbit-" })) await results.delete(key);
    expect((await run()).computed).toEqual(["orbit"]);
  });

  test("keeps what was finished when a node fails, and goes on from there", async () => {
    const failure = new Error("no fuel");
    await expect(
      run({
        survey: {
          compute: () => {
            throw failure;
          },
        },
      }),
    ).rejects.toBe(failure);
    const { computed } = await run();
    expect(computed).toContain("survey");
    expect(computed).not.toContain("orbit");
  });

  test("computes even where nothing can be stored", async () => {
    const results = cache.namespace("mission_graph");
    const graph = new MissionGraph(results, {
      ...nodes(),
      launch: { compute: () => ({ speed: 1n }) },
      orbit: { inputs: ["launch"], compute: ({ launch }) => String((launch as { speed: bigint }).speed) },
    });
    expect(await graph.run("survey")).toMatchObject({
      value: { images: 3 },
      computed: ["launch", "orbit", "survey"],
    });
  });

  test("refuses cycles, unknown nodes and parameters that can't be compared", async () => {
    const results = cache.namespace("mission_graph");
    const make = (changes: Record<string, Partial<MissionNode>>) => () =>
      new MissionGraph(results, nodes(changes));
    const bad = (message: RegExp) =>
      expect.objectContaining({ code: "ERR_QUIVER_BAD_OPTION", message: expect.stringMatching(message) });
    expect(make({ launch: { inputs: ["survey"] } })).toThrow(bad(/launch <- survey <- orbit <- launch/));
    expect(make({ other: { inputs: ["other"] } })).toThrow(bad(/other <- other/));
    expect(make({ other: { inputs: ["nowhere"] } })).toThrow(bad(/"other" has the input "nowhere"/));
    const cyclic: Record<string, unknown> = {};
    cyclic["self"] = cyclic;
    for (const parameters of [{ at: Number.NaN }, { at: [undefined] }, { at: new Date() }, cyclic, () => 1]) {
      expect(make({ other: { parameters } })).toThrow(bad(/^parameters.* is not a JSON value/));
    }
    await expect(new MissionGraph(results, nodes()).run("nowhere")).rejects.toMatchObject({
      code: "ERR_QUIVER_NOT_FOUND",
    });
  });
});
