import { expect, test } from "vitest";
import { Cache, MemoryStore, Tensor } from "../../src/index.ts";

test("what is set is got", async () => {
  await using cache = await Cache.open(undefined, { store: new MemoryStore() });
  const values = cache.namespace("values");
  await values.set("a", { x: [1, 2] });
  expect(await values.get("a")).toEqual({ x: [1, 2] });
  expect(values.getSync("a")).toBe(await values.get("a"));
  await values.set("t", new Tensor(new Float64Array([1, 2, 3])));
  expect(((await values.get("t")) as Tensor).toArray()).toEqual([1, 2, 3]);
});
