import { describe, test } from "vitest";
import { NullStore } from "../../src/stores/null.ts";
import { storeSuite } from "../../src/testing/index.ts";

storeSuite("null", async () => ({ store: new NullStore() }), {
  capabilities: new NullStore().capabilities,
  describe,
  test,
});
