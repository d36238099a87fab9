import fc from "fast-check";
import { expect, test } from "vitest";
import { type NativeStore, Requests } from "../../src/native/store.ts";

/** Requests to an add-on that answers when the test says so. */
function requests() {
  let listener: (answers: string) => void = () => undefined;
  const store = {
    listen: (callback: typeof listener) => {
      listener = callback;
    },
    flush: () => null,
  };
  const answer = (...answers: readonly unknown[]): void => listener(JSON.stringify(answers));
  return { requests: new Requests(store as unknown as NativeStore), answer };
}

test("whatever the order of the answers, each goes to the request that it is for", async () => {
  const steps = fc.array(fc.record({ sends: fc.boolean(), which: fc.nat() }), { maxLength: 200 });
  await fc.assert(
    fc.asyncProperty(steps, async (all) => {
      const { requests: sent, answer } = requests();
      const underWay: { id: number; name: number; promise: Promise<unknown> }[] = [];
      for (const [name, { sends, which }] of all.entries()) {
        if (sends) {
          let id = -1;
          const promise = sent.send((number) => {
            id = number;
          });
          expect(underWay.map((other) => other.id)).not.toContain(id);
          underWay.push({ id, name, promise });
        } else {
          const [taken] = underWay.splice(which % Math.max(underWay.length, 1), 1);
          if (taken === undefined) continue;
          answer([taken.id, taken.name]);
          expect(await taken.promise).toBe(taken.name);
        }
      }
      answer(...underWay.map(({ id, name }) => [id, name]));
      expect(await Promise.all(underWay.map(({ promise }) => promise))).toEqual(
        underWay.map(({ name }) => name),
      );
    }),
  );
});

test("numbers of requests that have ended are used again, also of those that could not be sent", async () => {
  const { requests: sent, answer } = requests();
  const numbers = new Set<number>();
  for (let turn = 0; turn < 100; turn++) {
    const note = (id: number): void => {
      numbers.add(id);
      if (turn % 2 === 0) throw new Error("refused");
    };
    const ended: number[] = [];
    const result = sent.send(
      note,
      (found) => found,
      () => ended.push(turn),
    );
    for (const id of numbers) answer([id, turn], [id, "late"]);
    await (turn % 2 === 0 ? expect(result).rejects.toThrow("refused") : expect(result).resolves.toBe(turn));
    expect(ended).toEqual([turn]);
  }
  expect(numbers.size).toBe(1);
});
