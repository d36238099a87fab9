import { describe, expect, test } from "vitest";
import { countCargo } from "../../scripts/lib/suites/cargo.mjs";
import { countVitest } from "../../scripts/lib/suites/vitest.mjs";

describe("counting cargo's tests", () => {
  const io = "     Running unittests src/lib.rs (target/debug/deps/quiver_io-1f)\n";
  const verdict =
    "test result: ok. 5 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.01s\n";

  test("sums the verdicts of all binaries", () => {
    const docs = "   Doc-tests quiver_io\n";
    const failed = "test result: FAILED. 2 passed; 3 failed; 0 ignored; 0 measured; 0 filtered out\n";
    expect(countCargo(io + verdict + docs + failed, false)).toEqual({ passed: 7, failed: 3, skipped: 1 });
  });

  test("a binary that gave no verdict crashed", () => {
    expect(countCargo(io + verdict + io, false)).toEqual({ passed: 5, failed: 1, skipped: 1 });
  });

  test("crates that don't compile are a failure", () => {
    expect(countCargo("error[E0308]: mismatched types\n", false)).toEqual({
      passed: 0,
      failed: 1,
      skipped: 0,
    });
  });
});

describe("counting vitest's tests", () => {
  const numbers = { numPassedTests: 4, numFailedTests: 1, numPendingTests: 2, numTodoTests: 1 };
  const failing = { status: "failed", assertionResults: [{ status: "failed" }] };
  const broken = { status: "failed", assertionResults: [] };

  test("sums what ran, and counts a file that could not be loaded", () => {
    const report = { ...numbers, testResults: [failing, broken] };
    expect(countVitest(report, false)).toEqual({ passed: 4, failed: 2, skipped: 3 });
  });

  test("an error outside any test is a failure", () => {
    const report = { ...numbers, numFailedTests: 0, testResults: [] };
    expect(countVitest(report, false).failed).toBe(1);
    expect(countVitest(report, true).failed).toBe(0);
  });
});
