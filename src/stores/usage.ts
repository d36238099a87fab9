import type { Usage } from "./store.ts";

/** What several stores or namespaces hold together. */
export function sumUsage(usages: readonly Usage[]): Usage {
  return usages.reduce(
    (sum, usage) => ({
      entries: sum.entries + usage.entries,
      bytes: sum.bytes + usage.bytes,
      allocated: sum.allocated + usage.allocated,
    }),
    { entries: 0, bytes: 0, allocated: 0 },
  );
}
