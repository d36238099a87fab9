/** Suites that every implementation of a contract has to pass; published as `quiver-cache/testing`. */

export { setClockForTests } from "../shared/clock.ts";
export type { StoreFactory, StoreSuiteOptions } from "./store/suite-options.ts";
export { storeSuite } from "./store-suite.ts";
