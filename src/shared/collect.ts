/** Collecting garbage on request, where what it holds is scarcer than memory. */

import { setImmediate } from "node:timers/promises";

let collecting: Promise<void> | undefined;

/**
 * Has everything collected that nobody refers to, and waits until its finalisers have run. Takes tens of
 * milliseconds, of which the collection itself blocks the event loop: for use before something has to be refused.
 * Where Node has no inspector, or doesn't permit it, nothing is collected. Calls that come meanwhile share one
 * collection.
 */
export function collectGarbage(): Promise<void> {
  collecting ??= collect().finally(() => {
    collecting = undefined;
  });
  return collecting;
}

async function collect(): Promise<void> {
  // A weak reference that was looked at keeps its target until the present turn is over.
  await setImmediate();
  await collectByInspector().catch(() => undefined);
  // Finalisers run in the next turns; those of objects that were kept by others' finalisers, one turn later.
  await setImmediate();
  await setImmediate();
}

async function collectByInspector(): Promise<void> {
  // Rarely needed, and slow to load.
  const { Session } = await import("node:inspector/promises");
  const session = new Session();
  session.connect();
  try {
    await session.post("HeapProfiler.collectGarbage");
  } finally {
    session.disconnect();
  }
}
