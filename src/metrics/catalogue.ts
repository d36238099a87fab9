/** The metrics that are exported: names, meanings and where each value comes from. One table for all formats. */

import type { Metrics, NamespaceMetrics } from "../cache/metrics.ts";

/** A value with the labels that tell it from others of its metric. */
export interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Metric {
  /** Without prefix and suffix, words joined by underscores. */
  readonly name: string;
  readonly help: string;
  /** A counter only grows; a gauge goes both ways. */
  readonly kind: "counter" | "gauge";
  /** As in UCUM; "1" for a share, "{…}" for what is counted. */
  readonly unit: "By" | "1" | `{${string}}`;
  readonly samples: (metrics: Metrics) => readonly Sample[];
}

/** One sample a namespace; nulls are left out. */
function perNamespace(value: (namespace: NamespaceMetrics) => number | null): Metric["samples"] {
  return ({ namespaces }) =>
    Object.entries(namespaces).flatMap(([namespace, numbers]) => sample({ namespace }, value(numbers)));
}

function sample(labels: Sample["labels"], value: number | null | undefined): readonly Sample[] {
  return value === null || value === undefined ? [] : [{ labels, value }];
}

/** Evictions by cause, as one metric with a label. */
const removals: Metric["samples"] = ({ namespaces }) =>
  Object.entries(namespaces).flatMap(([namespace, { evictions, expired }]) => [
    { labels: { namespace, cause: "limit" }, value: evictions },
    { labels: { namespace, cause: "expired" }, value: expired },
  ]);

/** What namespaces that are only observed would have given, as one metric with a label. */
const observations: Metric["samples"] = ({ namespaces }) =>
  Object.entries(namespaces).flatMap(([namespace, { observed }]) =>
    observed.same + observed.different === 0
      ? []
      : [
          { labels: { namespace, result: "same" }, value: observed.same },
          { labels: { namespace, result: "different" }, value: observed.different },
        ],
  );

export const METRICS: readonly Metric[] = [
  {
    name: "hits",
    help: "Look-ups that found a value",
    kind: "counter",
    unit: "{lookup}",
    samples: perNamespace((n) => n.hits),
  },
  {
    name: "misses",
    help: "Look-ups that found none",
    kind: "counter",
    unit: "{lookup}",
    samples: perNamespace((n) => n.misses),
  },
  {
    name: "writes",
    help: "Values stored",
    kind: "counter",
    unit: "{value}",
    samples: perNamespace((n) => n.sets),
  },
  {
    name: "deletes",
    help: "Entries deleted by callers",
    kind: "counter",
    unit: "{entry}",
    samples: perNamespace((n) => n.deletes),
  },
  {
    name: "evictions",
    help: "Entries removed by the cache, by cause",
    kind: "counter",
    unit: "{entry}",
    samples: removals,
  },
  {
    name: "failures",
    help: "Failures that counted as misses",
    kind: "counter",
    unit: "{failure}",
    samples: perNamespace((n) => n.errors),
  },
  {
    name: "process_failures",
    help: "Failures of this process by kind",
    kind: "counter",
    unit: "{failure}",
    samples: ({ errors }) => Object.entries(errors).map(([kind, value]) => ({ labels: { kind }, value })),
  },
  {
    name: "observations",
    help: "Values computed although they were there, by whether they were the same",
    kind: "counter",
    unit: "{value}",
    samples: observations,
  },
  {
    name: "entries",
    help: "Entries",
    kind: "gauge",
    unit: "{entry}",
    samples: perNamespace((n) => n.entries),
  },
  {
    name: "value_bytes",
    help: "Sum of value sizes",
    kind: "gauge",
    unit: "By",
    samples: perNamespace((n) => n.bytes),
  },
  {
    name: "allocated_bytes",
    help: "Allocated bytes, which limits count",
    kind: "gauge",
    unit: "By",
    samples: perNamespace((n) => n.allocated),
  },
  {
    name: "limit_share",
    help: "Allocated bytes as a share of the namespace's limit",
    kind: "gauge",
    unit: "1",
    samples: perNamespace((n) => n.limitShare),
  },
  {
    name: "total_limit_share",
    help: "Allocated bytes as a share of the cache's limit",
    kind: "gauge",
    unit: "1",
    samples: ({ limitShare }) => sample({}, limitShare),
  },
  {
    name: "memory_bytes",
    help: "Decoded values held in memory",
    kind: "gauge",
    unit: "By",
    samples: ({ held }) => sample({}, held),
  },
  {
    name: "volume_free_bytes",
    help: "Bytes free on the cache's file system",
    kind: "gauge",
    unit: "By",
    samples: ({ volume }) => sample({}, volume?.free),
  },
  {
    name: "volume_size_bytes",
    help: "Size of the cache's file system",
    kind: "gauge",
    unit: "By",
    samples: ({ volume }) => sample({}, volume?.size),
  },
];
