import { describe, test } from "vitest";
import { MemoryStore } from "../../src/stores/memory.ts";
import { storeSuite } from "../../src/testing/index.ts";

storeSuite("memory", async () => ({ store: new MemoryStore() }), {
  capabilities: new MemoryStore().capabilities,
  describe,
  test,
});
