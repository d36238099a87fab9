/** What a store brings to its conformance suite. */

import type { Store, StoreCapabilities } from "../../stores/store.ts";

/** A fresh, empty store for one test. The suite closes it; `dispose` then removes what it leaves behind. */
export type StoreFactory = () => Promise<{ readonly store: Store; readonly dispose?: () => Promise<void> }>;

/** What the suite is told of a store, and where its tests go. */
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
