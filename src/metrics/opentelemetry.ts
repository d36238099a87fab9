/** Metrics through the API of OpenTelemetry, to whatever the program has set up there. */

import type { LatencyListener } from "../cache/latencies.ts";
import type { Metrics } from "../cache/metrics.ts";
import { QuiverError } from "../shared/errors.ts";
import { METRICS } from "./catalogue.ts";

/** What is used of a cache. */
export interface ObservedCache {
  metrics(): Promise<Metrics>;
  onLatency(listener: LatencyListener): () => void;
}

interface Observable {
  // The instruments of the API have methods; here they are only handed back.
  readonly [Symbol.toStringTag]?: string;
}

interface BatchResult {
  observe(instrument: Observable, value: number, attributes?: Readonly<Record<string, string>>): void;
}

interface InstrumentOptions {
  readonly description: string;
  readonly unit: string;
}

/** What is used of a meter of `@opentelemetry/api`, so that any version of it will do. */
export interface MeterLike {
  createObservableCounter(name: string, options: InstrumentOptions): Observable;
  createObservableGauge(name: string, options: InstrumentOptions): Observable;
  createHistogram(
    name: string,
    options: InstrumentOptions,
  ): { record(value: number, attributes?: Readonly<Record<string, string>>): void };
  // biome-ignore lint/suspicious/noExplicitAny: the API's callback takes its own type of result and instruments
  addBatchObservableCallback(callback: (result: any) => Promise<void>, observables: any[]): void;
  // biome-ignore lint/suspicious/noExplicitAny: as above
  removeBatchObservableCallback(callback: (result: any) => Promise<void>, observables: any[]): void;
}

/**
 * Reports a cache until the returned function is called: counters and gauges when the SDK collects, latencies of
 * operations as the histogram `quiver.operation.duration` in seconds as they happen. Without a meter that of the
 * installed `@opentelemetry/api` is taken; rejects with ERR_QUIVER_UNSUPPORTED where it is not installed.
 */
export async function reportToOpenTelemetry(cache: ObservedCache, meter?: MeterLike): Promise<() => void> {
  const chosen = meter ?? (await installedMeter());
  const instruments = METRICS.map((metric) => {
    const name = `quiver.${metric.name.replaceAll("_", ".")}`;
    const options = { description: metric.help, unit: metric.unit };
    const instrument =
      metric.kind === "counter"
        ? chosen.createObservableCounter(name, options)
        : chosen.createObservableGauge(name, options);
    return { metric, instrument };
  });
  const durations = chosen.createHistogram("quiver.operation.duration", {
    description: "Time that operations took beyond memory",
    unit: "s",
  });
  const observe = async (result: BatchResult): Promise<void> => {
    const metrics = await cache.metrics();
    for (const { metric, instrument } of instruments) {
      for (const { labels, value } of metric.samples(metrics)) result.observe(instrument, value, labels);
    }
  };
  const observables = instruments.map(({ instrument }) => instrument);
  chosen.addBatchObservableCallback(observe, observables);
  const silence = cache.onLatency((namespace, operation, microseconds) =>
    durations.record(microseconds / 1e6, { namespace, operation }),
  );
  return () => {
    silence();
    chosen.removeBatchObservableCallback(observe, observables);
  };
}

async function installedMeter(): Promise<MeterLike> {
  const name = "@opentelemetry/api";
  try {
    const api = await import(name);
    return api.metrics.getMeter("quiver-cache");
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_UNSUPPORTED", "OpenTelemetry's API is not installed", {
      fix: "Run `npm install @opentelemetry/api`, or pass a meter.",
      cause,
    });
  }
}
