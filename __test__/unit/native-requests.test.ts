import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type NativeStore, openNative, Requests } from "../../src/native/store.ts";
import { QuiverError } from "../../src/shared/errors.ts";

/** Requests to an add-on that answers when the test says so. */
function requests() {
  let listener: (answers: string) => void = () => undefined;
  const store = {
    listen: (callback: typeof listener) => {
      listener = callback;
    },
    flush: () => null,
    putMany: (id: number) => {
      handedOver.push(id);
    },
  };
  const handedOver: number[] = [];
  const tell = (text: string): void => listener(text);
  const answer = (...answers: readonly unknown[]): void => tell(JSON.stringify(answers));
  return { requests: new Requests(store as unknown as NativeStore), tell, answer, handedOver };
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
    const result = sent.send(note, { read: (found) => found, ended: () => ended.push(turn) });
    for (const id of numbers) answer([id, turn], [id, "late"]);
    await (turn % 2 === 0 ? expect(result).rejects.toThrow("refused") : expect(result).resolves.toBe(turn));
    expect(ended).toEqual([turn]);
  }
  expect(numbers.size).toBe(1);
});

/** Who can't read what is answered, or forgets to be told of its end. */
const throws = (what: "read" | "ended", error: unknown) => ({
  read: (answer: unknown) => answer,
  ended: () => undefined,
  [what]: () => {
    throw error;
  },
});
const reads = { read: (answer: unknown) => answer, ended: () => undefined };
const fault = new SyntaxError("unreadable");
const corrupt = new QuiverError("ERR_QUIVER_CORRUPT", "damaged");
const failure = { code: "ERR_QUIVER_DISK_FULL", message: "no space", path: "/cache" };
const internal = { code: "ERR_QUIVER_INTERNAL", cause: fault };

test("what can't be read of one answer is the failure of that request, and all others are answered", async () => {
  const { requests: sent, answer } = requests();
  const ids: number[] = [];
  const note = (id: number): void => {
    ids.push(id);
  };
  const endings = [reads, throws("read", fault), throws("read", corrupt), throws("ended", fault), reads];
  const all = [...endings, throws("ended", fault), reads].map((ending) => sent.send(note, ending));
  const results = Promise.allSettled(all);
  answer(...ids.map((id, index) => (index < endings.length ? [id, index] : [id, null, failure])));
  expect(await results).toMatchObject([
    { value: 0 },
    { reason: internal },
    { reason: corrupt },
    { reason: internal },
    { value: 4 },
    { reason: internal },
    { reason: { code: failure.code, path: failure.path } },
  ]);
});

test("what is no JSON of one answer is the failure of that request, and all others are answered", async () => {
  const { requests: sent, tell } = requests();
  const ids: number[] = [];
  const all = [0, 1, 2, 3].map(() => sent.send((id) => ids.push(id)));
  const results = Promise.allSettled(all);
  const answers = [`"first"`, `{"count":}`, "", `"last"`];
  tell(`[${answers.map((answer, index) => `[${ids[index]},${answer}]`).join(",\n")}]`);
  const unreadable = { reason: { code: "ERR_QUIVER_INTERNAL" } };
  expect(await results).toMatchObject([{ value: "first" }, unreadable, unreadable, { value: "last" }]);
});

test("the add-on writes answers so that each can be read alone", async () => {
  const root = mkdtempSync(join(tmpdir(), "quiver-requests-"));
  const settings = { durability: "process", maxSize: null, maxEntries: null, eviction: null } as const;
  const options = {
    settings,
    reconfigure: false,
    readOnly: false,
    modes: "private",
    mappings: 1,
    copies: 0,
  } as const;
  const store = await openNative(root, options);
  try {
    const lines: string[] = [];
    const note = (answers: string): number => lines.push(...answers.slice(1, -1).split(",\n"));
    store.listen(note);
    for (const id of [0, 1, 2]) store.expire(id);
    const answers = store.flush();
    if (answers !== null) note(answers);
    await expect.poll(() => lines.length).toBe(3);
    expect(lines.map((line) => JSON.parse(line)[0])).toEqual([0, 1, 2]);
  } finally {
    await store.close();
    rmSync(root, { recursive: true });
  }
});

test.each([
  ["one answer for all", 7, [7, internal, internal, 7]],
  ["a list", [1, 2, 3, { failure }], [1, internal, internal, { code: failure.code }]],
  ["a list that is too short", [1], [1, internal, internal, undefined]],
])("the values of a chunk are each answered: %s", async (_, answers, expected) => {
  const { requests: sent, answer, handedOver } = requests();
  const put = { handle: 0, manner: 0, expiresAt: null, bytes: Uint8Array.of(1) };
  const endings = [reads, throws("read", fault), throws("ended", fault), reads];
  const alone = endings.map((ending, index) => sent.put({ ...put, key: `alone ${index}` }, ending));
  sent.handOver();
  const gathering = sent.together<unknown>();
  for (const [index, ending] of endings.entries()) {
    gathering.add({ ...put, key: `together ${index}` }, ending);
  }
  sent.handOver();
  const settled = Promise.all(alone.map((each) => each.catch((error: unknown) => error)));
  answer(...handedOver.map((id) => [id, answers]));
  for (const results of [await settled, await gathering.answers()]) {
    for (const [index, result] of results.entries()) {
      const wanted = expected[index];
      if (typeof wanted === "object") expect(result).toMatchObject(wanted);
      else expect(result).toBe(wanted);
    }
  }
});

test("a value that can't be copied fails alone, and nobody waits for it", async () => {
  const { requests: sent, answer, handedOver } = requests();
  const detached = new Uint8Array(8);
  structuredClone(detached, { transfer: [detached.buffer] });
  const put = { handle: 0, key: "k", manner: 0, expiresAt: null, bytes: Uint8Array.of(1) };
  let ended = 0;
  const counts = { ...reads, ended: () => ended++ };
  const first = sent.put(put, counts);
  await expect(sent.put({ ...put, bytes: detached }, counts)).rejects.toThrow(TypeError);
  expect(ended).toBe(1);
  const gathering = sent.together<unknown>();
  gathering.add(put, counts);
  expect(() => gathering.add({ ...put, bytes: detached }, counts)).toThrow(TypeError);
  sent.handOver();
  answer(...handedOver.map((id) => [id, 5]));
  expect([await first, await gathering.answers(), ended]).toEqual([5, [5], 3]);
});
