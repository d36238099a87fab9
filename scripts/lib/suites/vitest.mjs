/** The TypeScript tests, counted from vitest's own report. */

import { readFileSync, rmSync } from "node:fs";
import { inRoot, tools } from "../paths.mjs";
import { runNode } from "../process.mjs";

/** Counts a report; a file that failed before its first test counts as one failure. */
export function countVitest(report, ok) {
  const broken = report.testResults.filter(
    ({ status, assertionResults }) =>
      status === "failed" && !assertionResults.some((result) => result.status === "failed"),
  ).length;
  const count = {
    passed: report.numPassedTests,
    failed: report.numFailedTests + broken,
    skipped: report.numPendingTests + report.numTodoTests,
  };
  // An unhandled error outside any test.
  if (!ok && count.failed === 0) count.failed = 1;
  return count;
}

/** Runs all TypeScript tests. */
export async function vitestSuite() {
  const reportFile = inRoot(".quiver-test/vitest.json");
  rmSync(reportFile, { force: true });
  const reporters = ["--reporter=default", "--reporter=json", `--outputFile.json=${reportFile}`];
  const { ok } = await runNode([...tools.vitest, "run", ...reporters], { show: true });
  try {
    return countVitest(JSON.parse(readFileSync(reportFile, "utf8")), ok);
  } catch {
    return { passed: 0, failed: 1, skipped: 0 };
  }
}
