/** The ready-made configuration and the recipes that fill it. */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import type { Cache } from "../../src/cache/cache.ts";
import {
  grunwaldLetnikov,
  type SimulationCategory,
  simulationCache,
  simulationCategories,
  simulationRecipes,
} from "../../src/simulation/index.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import { Tensor } from "../../src/tensor/tensor.ts";

describe("a simulation cache", () => {
  let cache: Cache;
  beforeEach(async () => {
    cache = await simulationCache("unused", {
      store: new MemoryStore(),
      namespaces: { stencils: { ttl: "2h" }, spectra: { codec: "npy" } },
    });
  });
  afterEach(() => cache.close());

  test("has the eight categories from the start, as files named by key", async () => {
    const names: SimulationCategory[] = [
      "echo_templates",
      "fftw_wisdom",
      "fractional_kernels",
      "mission_graph",
      "source_maps",
      "state_profiles",
      "stencils",
      "surrogates",
    ];
    expect(Object.keys(simulationCategories).sort()).toEqual(names);
    expect(await cache.namespaces()).toEqual([...names, "spectra"].sort());
    for (const { name, settings } of cache.describe().namespaces) {
      if (name !== "spectra")
        expect(settings).toMatchObject({ layout: "named", files: "always", index: true });
    }
  });

  test("takes more categories, and more options for those it has", async () => {
    const settings = Object.fromEntries(
      cache.describe().namespaces.map((namespace) => [namespace.name, namespace.settings]),
    );
    expect(settings["stencils"]).toMatchObject({ ttl: 7_200_000, codec: "npz", layout: "named" });
    expect(settings["spectra"]).toMatchObject({ codec: "npy", layout: "hashed" });
  });

  test("writes each category in its format", async () => {
    const tensor = new Tensor(Float64Array.of(1, 2));
    const values: readonly [SimulationCategory, unknown, string][] = [
      ["fractional_kernels", tensor, "npz"],
      ["stencils", { a: tensor, b: tensor }, "npz"],
      ["fftw_wisdom", new TextEncoder().encode("(fftw"), "bin"],
      ["echo_templates", tensor, "npz"],
      ["state_profiles", { u: tensor }, "npz"],
      ["state_profiles", { step: 3 }, "json"],
      ["source_maps", tensor, "npz"],
      ["mission_graph", [1, "two"], "json"],
      ["surrogates", { weight: tensor, epoch: 3 }, "pt"],
    ];
    for (const [name, value, codec] of values) {
      expect(await cache.namespace(name).set("key_1.5", value)).toMatchObject({ codec });
      expect(await cache.namespace(name).get("key_1.5")).toEqual(value);
    }
  });

  test("is filled by the recipes once", async () => {
    const first = await cache.warm(simulationRecipes("small"));
    expect(first).toMatchObject({ failed: 0, present: 0 });
    expect(first.computed).toBeGreaterThan(30);
    expect(await cache.warm(simulationRecipes("small"))).toMatchObject({
      computed: 0,
      present: first.computed,
    });
    const kernel = await cache.namespace<Tensor>("fractional_kernels").get("kernel_1.5_0.01_1000");
    expect(kernel?.equals(grunwaldLetnikov(1.5, 0.01, 1000))).toBe(true);
    const operator = await cache
      .namespace<Record<string, Tensor>>("stencils")
      .get("laplacian_operator_3d_8_order6");
    expect(operator?.["indptr"]?.shape).toEqual([513]);
    expect(await cache.namespace("source_maps").info("source_plummer_3d_16_float32")).toMatchObject({
      shape: [16, 16, 16],
      dtype: "float32",
    });
    expect(await cache.namespace("echo_templates").has("chirp_1000_8000_1024")).toBe(true);
    expect(await cache.namespace("state_profiles").has("wave_32_step50")).toBe(true);
  });
});

test("on the disk every entry is a file named by its key; large arrays are mapped, small ones inflated", async () => {
  const root = mkdtempSync(join(tmpdir(), "quiver-simulation-"));
  try {
    const writer = await simulationCache(root);
    const written = writer.namespace<Tensor>("fractional_kernels");
    await written.set("kernel_1.5_0.01_100", grunwaldLetnikov(1.5, 0.01, 100));
    await written.set("kernel_1.5_0.01_10000", grunwaldLetnikov(1.5, 0.01, 10_000));
    await writer.close();
    for (const name of Object.keys(simulationCategories)) {
      expect(existsSync(join(root, name, "index.json"))).toBe(true);
    }
    await using cache = await simulationCache(root);
    const kernels = cache.namespace<Tensor>("fractional_kernels");
    for (const count of [100, 10_000]) {
      const key = `kernel_1.5_0.01_${count}`;
      const kernel = await kernels.get(key);
      expect(kernel?.equals(grunwaldLetnikov(1.5, 0.01, count))).toBe(true);
      expect(kernel?.isView).toBe(count === 10_000);
      expect(existsSync(join(root, "fractional_kernels", `${key}.npz`))).toBe(true);
    }
  } finally {
    rmSync(root, { recursive: true, force: true });
  }
});

test("the full recipes are the small ones on larger grids", () => {
  const shapeOf = ({ namespace, parameters }: { namespace: string; parameters?: object }) =>
    [namespace, ...Object.keys(parameters ?? {})].join();
  expect(new Set(simulationRecipes("full").map(shapeOf))).toEqual(
    new Set(simulationRecipes("small").map(shapeOf)),
  );
  const kernel = simulationRecipes("full").find(({ namespace }) => namespace === "fractional_kernels");
  expect(kernel?.parameters?.["n"]).toContain(1_000_000);
});
