/** The conformance suite of the Store contract. A new store brings a factory and what it can do. */

import type { Store, StoreCapabilities } from "../stores/store.ts";
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
import { versions } from "./store/versions.ts";
import { writers } from "./store/writers.ts";

/** A fresh, empty store for one test. The suite closes it; `dispose` then removes what it leaves behind. */
export type StoreFactory = () => Promise<{ readonly store: Store; readonly dispose?: () => Promise<void> }>;

export interface StoreSuiteOptions {
  /** What the store claims; decides which parts run, and is compared with what the store says itself. */
  readonly capabilities: StoreCapabilities;
  /** Of the test framework: vitest's, node:test's or any that takes a name and a function. */
  readonly describe: (name: string, body: () => void) => unknown;
  readonly test: (name: string, body: () => Promise<void>) => unknown;
  /**
   * Whether the store takes the time from this process's clock, which the suite then moves. Default: true; false
   * for one whose server decides what has expired.
   */
  readonly ownClock?: boolean;
  /** How many random programs are run against the model. Default: 40. */
  readonly programs?: number;
}

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
