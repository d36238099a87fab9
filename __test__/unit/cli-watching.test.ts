/** The commands that show why a key is there, and what happens now. */

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Cache } from "../../src/index.ts";
import { setClockForTests } from "../../src/testing/index.ts";
import { quiver } from "./cli-io.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "quiver-watching-"));
});

afterEach(() => rm(root, { recursive: true, force: true }));

async function explain(key: string, ...more: string[]) {
  const { out, status } = await quiver(["explain", key, ...more, "--cache", root, "--json"]);
  return { ...JSON.parse(out), status };
}

test("explain tells present, expired, never cached, and the same input under another version", async () => {
  let time = Date.now();
  const restore = setClockForTests(() => time);
  try {
    let keys: string[];
    {
      await using cache = await Cache.open(root);
      const stageOf = (version: string) =>
        cache.memoize((text: string) => text.length, {
          namespace: "stage",
          version,
          ttl: "1h",
          staleTtl: "1d",
        });
      await stageOf("1")("a");
      keys = [await stageOf("1").key("a"), await stageOf("2").key("a"), await stageOf("1").key("b")];
    }
    const [first = "", second = "", never = ""] = keys;
    expect(await explain(first)).toMatchObject({
      state: "present",
      status: 0,
      reasons: [
        expect.stringContaining("json"),
        expect.stringContaining("expires in"),
        expect.stringContaining("0 of 1"),
      ],
    });
    expect(await explain(second)).toMatchObject({
      state: "never",
      status: 1,
      reasons: [
        "nothing has left this namespace yet",
        `the same input is there under another version: "${first}"`,
      ],
    });
    expect(await explain(never)).toMatchObject({
      state: "never",
      reasons: ["nothing has left this namespace yet"],
    });
    expect(await explain("none", "x")).toMatchObject({ state: "never", namespace: "none", key: "x" });
    expect(await explain("x", "--namespace", "none")).toMatchObject({ state: "never" });
    time += 2 * 3_600_000;
    expect(await explain(first)).toMatchObject({ state: "expired", status: 1 });
  } finally {
    restore();
  }
  expect((await quiver(["explain", "x", "--cache", root])).status).toBe(2);
});

test("explain names what may have become of a key that is gone", async () => {
  {
    await using cache = await Cache.open(root);
    await cache.namespace("values").set("a", 1);
    await cache.namespace("values").delete("a");
  }
  const { reasons, state } = await explain("a", "-n", "values");
  expect({ reasons, state }).toEqual({
    state: "missing",
    reasons: ["it may have been deleted, as 1 entries were"],
  });
});

test("top shows what has happened between two looks", async () => {
  await using cache = await Cache.open(root, { maxSize: "10MB" });
  const values = cache.namespace("values");
  await values.set("a", 1);
  const looking = quiver(["top", "--cache", root, "--interval", "0.2", "--count", "2"]);
  for (let time = 0; time < 10; time++) await values.set(`k${time}`, time);
  const { out, status } = await looking;
  expect(status).toBe(0);
  const tables = out.split("namespace").slice(1);
  expect(tables).toHaveLength(2);
  expect(tables[1]).toMatch(/values +11 /);
  const { out: json } = await quiver(["top", "--cache", root, "-i", "0.01", "-c", "1", "--json"]);
  expect(JSON.parse(json).namespaces.values.entries).toBe(11);
});
