/** What the scripts say: one line a step, the same text on a terminal and in a log. */

/** Seconds with one decimal, or milliseconds below a tenth of a second. */
export function seconds(milliseconds) {
  return milliseconds < 100 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(1)} s`;
}

/** Prints what is about to happen, runs it, and prints how long it took. */
export async function step(title, action) {
  console.log(`> ${title}`);
  const start = performance.now();
  const result = await action();
  console.log(`  ${title}: ${seconds(performance.now() - start)}`);
  return result;
}

/** A problem the user can solve; printed without a stack trace. */
export class SetupError extends Error {}

/** Runs a script's main function: a `SetupError` becomes its message, and either way a failure exit status. */
export async function main(action) {
  try {
    await action();
  } catch (error) {
    console.error(error instanceof SetupError ? error.message : error);
    process.exitCode = 1;
  }
}
