/** Does something for each item, a bounded number at a time. */

/** Results in the order of the items. The first failure stops what has not begun and rejects when the rest is done. */
export async function mapBounded<Item, Result>(
  items: Iterable<Item>,
  concurrency: number,
  act: (item: Item) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const remaining = numbered(items);
  let failure: { readonly reason: unknown } | undefined;
  const work = async (): Promise<void> => {
    for (const [index, item] of remaining) {
      try {
        results[index] = await act(item);
      } catch (reason) {
        failure ??= { reason };
      }
      if (failure !== undefined) return;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, work));
  if (failure !== undefined) throw failure.reason;
  return results;
}

function* numbered<Item>(items: Iterable<Item>): Generator<readonly [number, Item]> {
  let index = 0;
  for (const item of items) yield [index++, item];
}
