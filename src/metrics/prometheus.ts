/**
 * Metrics in the text format that Prometheus scrapes, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/).
 */

import { OPERATIONS } from "../cache/latencies.ts";
import type { Metrics } from "../cache/metrics.ts";
import { badArgument } from "../shared/arguments.ts";
import { METRICS, type Metric, type Sample } from "./catalogue.ts";

/** The content type to serve the text with. */
export const PROMETHEUS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8";

const QUANTILES = [
  ["0.5", "p50"],
  ["0.9", "p90"],
  ["0.99", "p99"],
] as const;

/**
 * The text for one scrape: `response.end(prometheusText(await cache.metrics()))`. Every name begins with `quiver_`;
 * latencies are a summary in seconds, `quiver_operation_seconds`. `labels` are added to every sample, to tell
 * several caches of a process apart.
 */
export function prometheusText(metrics: Metrics, labels: Readonly<Record<string, string>> = {}): string {
  if (typeof metrics?.namespaces !== "object") {
    throw badArgument("metrics", metrics, "what cache.metrics() resolves to");
  }
  const families = METRICS.map((metric) => family(metric, metrics, labels));
  return [...families, latencies(metrics, labels)].filter((text) => text !== "").join("");
}

function family(metric: Metric, metrics: Metrics, labels: Sample["labels"]): string {
  const samples = metric.samples(metrics);
  if (samples.length === 0) return "";
  const name = `quiver_${metric.name}${metric.kind === "counter" ? "_total" : ""}`;
  const lines = samples.map((one) => line(name, { ...labels, ...one.labels }, one.value));
  return `# HELP ${name} ${metric.help}\n# TYPE ${name} ${metric.kind}\n${lines.join("")}`;
}

function latencies({ namespaces }: Metrics, labels: Sample["labels"]): string {
  const name = "quiver_operation_seconds";
  const lines = Object.entries(namespaces).flatMap(([namespace, numbers]) =>
    OPERATIONS.flatMap((operation) => {
      const summary = numbers.latencies[operation];
      if (summary.count === 0) return [];
      const own = { ...labels, namespace, operation };
      const quantiles = QUANTILES.map(([quantile, field]) =>
        line(name, { ...own, quantile }, seconds(summary[field])),
      );
      const sum = line(`${name}_sum`, own, seconds(summary.mean * summary.count));
      return [...quantiles, sum, line(`${name}_count`, own, summary.count)];
    }),
  );
  if (lines.length === 0) return "";
  return `# HELP ${name} Time that operations took beyond memory\n# TYPE ${name} summary\n${lines.join("")}`;
}

function seconds(microseconds: number): number {
  return microseconds / 1e6;
}

function line(name: string, labels: Sample["labels"], value: number): string {
  const pairs = Object.entries(labels).map(([label, text]) => `${label}="${escaped(text)}"`);
  return `${name}${pairs.length === 0 ? "" : `{${pairs.join(",")}}`} ${value}\n`;
}

function escaped(text: string): string {
  return text.replaceAll("\\", "\\\\").replaceAll("\n", "\\n").replaceAll('"', '\\"');
}
