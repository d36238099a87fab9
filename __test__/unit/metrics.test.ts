import { channel } from "node:diagnostics_channel";
import { metrics as api } from "@opentelemetry/api";
import {
  AggregationTemporality,
  InMemoryMetricExporter,
  MeterProvider,
  PeriodicExportingMetricReader,
} from "@opentelemetry/sdk-metrics";
import { afterEach, describe, expect, test } from "vitest";
import {
  Cache,
  type CacheOptions,
  MemoryStore,
  prometheusText,
  reportToOpenTelemetry,
} from "../../src/index.ts";
import { findPython, runPython } from "../interop/python.ts";

const quiet = { debug() {}, info() {}, warn() {}, error() {} };
const open = (options: CacheOptions = {}) =>
  Cache.open(undefined, { store: new MemoryStore(), logger: quiet, ...options });

/** Two entries, one hit, two misses, one computation, one removal. */
async function use(cache: Cache): Promise<void> {
  const namespace = cache.namespace<string>("texts", { maxSize: "1MB" });
  await namespace.set("a", "one");
  await namespace.getOrCompute("b", async () => "two");
  await namespace.get("a");
  await namespace.get("nothing");
  await namespace.delete("b");
}

describe("metrics", () => {
  test("count what happened, time what left memory, and look at no entry", async () => {
    await using cache = await open({ maxSize: "2MB" });
    await use(cache);
    const metrics = await cache.metrics();
    const { texts: found } = metrics.namespaces;
    expect(found).toMatchObject({ entries: 1, hits: 1, misses: 2, sets: 2, deletes: 1, errors: 0 });
    expect(found?.latencies.write.count).toBe(2);
    expect(found?.latencies.compute.count).toBe(1);
    expect(found?.latencies.delete.count).toBe(1);
    expect(found?.latencies.read.count).toBe(1);
    expect(found?.limitShare).toBeCloseTo((found?.allocated ?? 0) / 2 ** 20);
    expect(metrics.limitShare).toBeCloseTo((found?.allocated ?? 0) / 2 ** 21);
  });

  test("failures are counted by kind", async () => {
    await using cache = await open({ onError: "miss" });
    const namespace = cache.namespace<string>("texts");
    await namespace.getOrCompute("key", async () => Symbol("no codec takes this") as unknown as string);
    expect((await cache.metrics()).errors).toEqual({ ERR_QUIVER_BAD_VALUE: 1 });
  });
});

describe("Prometheus", () => {
  test("its own parser reads the text, labels and all", async (context) => {
    const python = findPython("prometheus_client");
    if (python === undefined) return context.skip();
    await using cache = await open({ maxSize: "2MB" });
    await use(cache);
    const text = prometheusText(await cache.metrics(), { cache: 'tést\n"\\' });
    const parsed = await runPython<Record<string, [Record<string, string>, number][]>>(
      python,
      `
import json, sys
from prometheus_client.parser import text_string_to_metric_families as parse
text = json.loads(sys.argv[1])
print(json.dumps({s.name: [[t.labels, t.value] for f in parse(text) for t in f.samples if t.name == s.name]
                  for f in parse(text) for s in f.samples}))`,
      text,
    );
    const labels = { cache: 'tést\n"\\', namespace: "texts" };
    expect(parsed["quiver_misses_total"]).toEqual([[labels, 2]]);
    expect(parsed["quiver_evictions_total"]).toContainEqual([{ ...labels, cause: "expired" }, 0]);
    expect(parsed["quiver_operation_seconds_count"]).toContainEqual([{ ...labels, operation: "write" }, 2]);
    const median = parsed["quiver_operation_seconds"]?.find(
      ([{ operation, quantile }]) => operation === "write" && quantile === "0.5",
    );
    expect(median?.[1]).toBeGreaterThan(0);
  });
});

describe("diagnostics_channel", () => {
  test("subscribers hear of every cache of the process, and cost nothing before", async () => {
    await using cache = await open();
    const namespace = cache.namespace<number>("numbers");
    await namespace.set("silent", 1);
    const heard: unknown[] = [];
    const listen = (message: unknown): void => void heard.push(message);
    const channels = [channel("quiver:set"), channel("quiver:hit")];
    for (const one of channels) one.subscribe(listen);
    try {
      await namespace.set("a", 1);
      await namespace.get("a");
    } finally {
      for (const one of channels) one.unsubscribe(listen);
    }
    await namespace.get("a");
    expect(heard).toEqual([
      { namespace: "numbers", key: "a", size: 1, path: undefined },
      { namespace: "numbers", key: "a", path: undefined },
    ]);
  });
});

describe("OpenTelemetry", () => {
  afterEach(() => api.disable());

  /** What the SDK exports of a metric, by its attributes as JSON. */
  function exported(exporter: InMemoryMetricExporter, name: string): Record<string, unknown> {
    const found = exporter
      .getMetrics()
      .flatMap(({ scopeMetrics }) => scopeMetrics.flatMap(({ metrics }) => metrics))
      .findLast(({ descriptor }) => descriptor.name === name);
    return Object.fromEntries(
      (found?.dataPoints ?? []).map(({ attributes, value }) => [Object.values(attributes).join(), value]),
    );
  }

  test("the installed API's meter is told of counters and latencies, until it is enough", async () => {
    const exporter = new InMemoryMetricExporter(AggregationTemporality.CUMULATIVE);
    const reader = new PeriodicExportingMetricReader({ exporter, exportIntervalMillis: 1_000_000 });
    const provider = new MeterProvider({ readers: [reader] });
    api.setGlobalMeterProvider(provider);
    await using cache = await open();
    const stop = await reportToOpenTelemetry(cache);
    await use(cache);
    await reader.forceFlush();
    expect(exported(exporter, "quiver.misses")).toEqual({ texts: 2 });
    expect(exported(exporter, "quiver.operation.duration")).toMatchObject({
      "texts,write": { count: 2 },
      "texts,compute": { count: 1 },
    });
    stop();
    await cache.namespace("late").set("a", 1);
    await reader.forceFlush();
    expect(exported(exporter, "quiver.operation.duration")).not.toHaveProperty("late,write");
    await provider.shutdown();
  });
});
