/** `npm test`: set-up, then every suite; the last line sums them up for people and for CI. */

import { main, step } from "./lib/report.mjs";
import { cargoSuite } from "./lib/suites/cargo.mjs";
import { examplesSuite } from "./lib/suites/examples.mjs";
import { vitestSuite } from "./lib/suites/vitest.mjs";
import { setup } from "./setup.mjs";

const suites = [
  ["Rust tests", cargoSuite],
  ["TypeScript tests", vitestSuite],
  ["examples", examplesSuite],
];

await main(async () => {
  await setup({ tests: true });
  const total = { passed: 0, failed: 0, skipped: 0 };
  for (const [title, suite] of suites) {
    const count = await step(title, suite);
    for (const kind of Object.keys(total)) total[kind] += count[kind];
  }
  const skipped = total.skipped > 0 ? `, ${total.skipped} skipped` : "";
  console.log(`${total.passed} passed, ${total.failed} failed${skipped}`);
  if (total.failed > 0) process.exitCode = 1;
});
