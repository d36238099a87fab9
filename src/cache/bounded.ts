/** Does something for each item, a bounded number at a time. */

/** More at a time, as long as what comes of them allows it. */
export interface Widening<Result> {
  /** So many at a time at most. */
  readonly most: number;
  /** Whether another one may be begun beside those under way; if not, fewer are as long as they are too many. */
  readonly when: (result: Result) => boolean;
}

/** Results in the order of the items. The first failure stops what has not begun and rejects when the rest is done. */
export async function mapBounded<Item, Result>(
  items: Iterable<Item>,
  concurrency: number,
  act: (item: Item) => Promise<Result>,
  { most, when }: Widening<Result> = { most: concurrency, when: () => true },
): Promise<Result[]> {
  const results: Result[] = [];
  const remaining = numbered(items);
  let failure: { readonly reason: unknown } | undefined;
  let working = concurrency;
  const work = async (): Promise<void> => {
    // A lane that ends must leave the rest to the others, and leaving a loop over the items would end them.
    for (let next = remaining.next(); !next.done; next = remaining.next()) {
      const [index, item] = next.value;
      try {
        results[index] = await act(item);
      } catch (reason) {
        failure ??= { reason };
      }
      if (failure !== undefined) {
        remaining.return(undefined);
        return;
      }
      if (!when(results[index] as Result)) {
        if (working <= concurrency) continue;
        working--;
        return;
      }
      if (working < most) {
        working++;
        lanes.push(work());
      }
    }
  };
  const lanes = Array.from({ length: concurrency }, work);
  for (let known = 0; known < lanes.length; ) {
    known = lanes.length;
    await Promise.all(lanes);
  }
  if (failure !== undefined) throw failure.reason;
  return results;
}

function* numbered<Item>(items: Iterable<Item>): Generator<readonly [number, Item], void> {
  let index = 0;
  for (const item of items) yield [index++, item];
}
