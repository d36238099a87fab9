/** The Rust tests, counted from the line that each test binary ends with. */

import { run } from "../process.mjs";

const verdict = /^test result: \w+\. (\d+) passed; (\d+) failed; (\d+) ignored/gm;
const started = /^\s+(?:Running .*\(.*\)|Doc-tests .*)$/gm;

/** Sums the verdicts in cargo's output; a test binary that began but gave no verdict crashed, and counts as failed. */
export function countCargo(output, ok) {
  const count = { passed: 0, failed: 0, skipped: 0 };
  let verdicts = 0;
  for (const [, passed, failed, ignored] of output.matchAll(verdict)) {
    verdicts += 1;
    count.passed += Number(passed);
    count.failed += Number(failed);
    count.skipped += Number(ignored);
  }
  const binaries = [...output.matchAll(started)].length;
  count.failed += Math.max(0, binaries - verdicts);
  // It didn't compile, or failed in a way that no line tells.
  if (!ok && count.failed === 0) count.failed = 1;
  return count;
}

/**
 * Runs every crate's tests in the development profile: its arithmetic panics on overflow and its debug assertions
 * hold, which the release profile of the add-on leaves out.
 */
export async function cargoSuite() {
  const options = { show: true, keep: true, env: { CARGO_TERM_COLOR: "never" } };
  const { ok, output } = await run("cargo", ["test", "--workspace", "--no-fail-fast"], options);
  return countCargo(output, ok);
}
