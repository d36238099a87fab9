/** The conformance suite of the Store contract. A new store brings a factory and what it can do. */

import { basics } from "./store/basics.ts";
import { coherence } from "./store/coherence.ts";
import { eviction } from "./store/eviction.ts";
import { expiry } from "./store/expiry.ts";
import { facts } from "./store/facts.ts";
import { forgetting } from "./store/forgetting.ts";
import { Suite } from "./store/harness.ts";
import { lifecycle } from "./store/lifecycle.ts";
import { listing } from "./store/listing.ts";
import { model } from "./store/model.ts";
import { ordering } from "./store/ordering.ts";
import type { StoreFactory, StoreSuiteOptions } from "./store/suite-options.ts";
import { versions } from "./store/versions.ts";
import { writers } from "./store/writers.ts";

/**
 * Registers the suite for one store under `name`. Failures are AssertionErrors of node:assert; a failing random
 * program tells its seed and its steps.
 */
export function storeSuite(name: string, factory: StoreFactory, options: StoreSuiteOptions): void {
  const suite = new Suite(factory, options);
  options.describe(`${name}: the Store contract`, () => {
    lifecycle(suite);
    if (!options.capabilities.keeps) {
      forgetting(suite);
      return;
    }
    basics(suite);
    ordering(suite);
    facts(suite);
    listing(suite);
    expiry(suite);
    writers(suite);
    eviction(suite);
    coherence(suite);
    if (options.capabilities.versions) versions(suite);
    model(suite, options.programs ?? 40);
  });
}
