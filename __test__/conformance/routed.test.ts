import { describe, test } from "vitest";
import { Router } from "../../src/routing/router.ts";
import { MemoryStore } from "../../src/stores/memory.ts";
import type { Store } from "../../src/stores/store.ts";
import { storeSuite } from "../../src/testing/index.ts";

/** A router as a store, so that the suite can run over a namespace whose values lie in two stores by their size. */
function routedStore(): Store {
  const home = new MemoryStore();
  const router = new Router([{ minBytes: 60_000, store: new MemoryStore() }], home);
  return {
    name: "routed",
    capabilities: home.capabilities,
    open: (namespace, settings, options) => router.open(namespace, settings, options),
    names: () => router.names(),
    usage: () => router.usage(),
    // Limits are kept store by store, so that there are no scans over all.
    evictionScan: (options) => home.evictionScan(options),
    close: () => router.close(),
  };
}

storeSuite("routed by size", async () => ({ store: routedStore() }), {
  capabilities: routedStore().capabilities,
  describe,
  test,
});
