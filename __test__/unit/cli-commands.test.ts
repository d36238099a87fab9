import { chmod, mkdtemp, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache } from "../../src/cache/cache.ts";
import { saveFile } from "../../src/codecs/files.ts";
import { Tensor } from "../../src/tensor/tensor.ts";
import { type CliRun, type CliSetting, quiver } from "./cli-io.ts";

let folder: string;
let root: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "quiver-cli-"));
  root = join(folder, "cache");
});

afterEach(() => rm(folder, { recursive: true, force: true }));

function run(args: readonly string[], setting?: CliSetting): Promise<CliRun> {
  return quiver([...args, "--cache", root], setting);
}

async function json(args: readonly string[]): Promise<unknown> {
  return JSON.parse((await run([...args, "--json"])).out);
}

/** Three entries of three kinds in two namespaces. */
async function fill(): Promise<void> {
  const cache = await Cache.open(root);
  const kernels = cache.namespace("kernels");
  await kernels.set("k_2", new Tensor(Float64Array.of(1, -2, 4.5, 0), [2, 2]), {
    tags: ["a"],
    metadata: { h: 1 },
  });
  await kernels.set("k_10", { a: new Tensor(Int32Array.of(7)), b: new Tensor(Float32Array.of(1, 2)) });
  await cache.namespace("notes").set("hello", "grün");
  await cache.close();
}

/** Changes a byte of a value in a file. */
async function damage(namespace: string, key: string): Promise<void> {
  await using cache = await Cache.open(root);
  using lease = await cache.namespace(namespace).path(key);
  const path = lease?.path ?? "";
  await chmod(path, 0o644);
  await using file = await open(path, "r+");
  await file.write(Uint8Array.of(255), 0, 1, 50_000);
}

describe("ls", () => {
  test("shows the namespaces, then the entries of one", async () => {
    await fill();
    const namespaces = await run(["ls"]);
    expect(namespaces.status).toBe(0);
    expect(namespaces.out).toMatch(/^namespace +entries +size +last access\nkernels +2 .*\nnotes +1 /);
    const entries = await run(["ls", "kernels"]);
    expect(entries.out).toMatch(
      /^key +size +age +last access +count +codec +checksum\nk_10 .*npz.*\nk_2 .*npy.*\n$/,
    );
  });

  test("filters by prefix, sorts, and says when it shows less than there is", async () => {
    await fill();
    expect(await json(["ls", "kernels", "--prefix", "k_2"])).toMatchObject([{ key: "k_2", tags: ["a"] }]);
    expect(await json(["ls", "kernels", "--sort", "size", "-n", "1"])).toMatchObject([{ key: "k_10" }]);
    const limited = await run(["ls", "kernels", "--limit", "1"]);
    expect(limited.notes).toBe("1 of 2 entries; --limit shows more\n");
  });
});

describe("info", () => {
  test("shows shape, dtype, extremes, mean and first values of a tensor", async () => {
    await fill();
    const { out } = await run(["info", "kernels", "k_2"]);
    expect(out).toMatch(/^key +k_2$/m);
    expect(out).toMatch(
      /^value +float64 \[2, 2\] {2}min -2 {2}max 4.5 {2}mean 0.875 {2}first 1, -2, 4.5, 0$/m,
    );
    expect(out).toMatch(/^metadata +\{"h":1\}$/m);
    expect(await json(["info", "kernels", "k_2"])).toMatchObject({
      key: "k_2",
      shape: [2, 2],
      head: [{ kind: "tensor", dtype: "float64", min: -2, max: 4.5, mean: 0.875, first: [1, -2, 4.5, 0] }],
    });
  });

  test("shows every tensor of an archive", async () => {
    await fill();
    const { head } = (await json(["info", "kernels", "k_10"])) as { head: unknown[] };
    expect(head).toMatchObject([
      { name: "a", dtype: "int32", first: [7] },
      { name: "b", dtype: "float32", max: 2 },
    ]);
  });
});

describe("get and set", () => {
  test("text goes in and comes out byte for byte", async () => {
    expect((await run(["set", "notes", "a", "grün\n"])).status).toBe(0);
    expect((await run(["get", "notes", "a"])).out).toBe("grün\n");
  });

  test("standard input is bytes, whatever they are", async () => {
    const bytes = Uint8Array.of(0, 255, 10, 13);
    await run(["set", "blobs", "b", "-"], { input: bytes });
    expect((await run(["get", "blobs", "b"])).bytes).toEqual(Buffer.from(bytes));
    expect(await json(["get", "blobs", "b"])).toEqual({ base64: "AP8KDQ==" });
  });

  test("a tensor file goes in as a tensor and comes out as the same file", async () => {
    const file = join(folder, "in.npy");
    await saveFile(file, new Tensor(Float32Array.of(1, 2, 3)));
    await run([
      "set",
      "kernels",
      "k",
      "--file",
      file,
      "--tag",
      "a",
      "b",
      "--priority",
      "-2",
      "--meta",
      '{"h":1}',
    ]);
    const info = { codec: "npy", shape: [3], tags: ["a", "b"], priority: -2, metadata: { h: 1 } };
    expect(await json(["info", "kernels", "k"])).toMatchObject(info);
    await run(["get", "kernels", "k", "-o", join(folder, "out.npy")]);
    expect(await readFile(join(folder, "out.npy"))).toEqual(await readFile(file));
    expect(await json(["get", "kernels", "k"])).toEqual({ dtype: "float32", shape: [3], data: [1, 2, 3] });
  });

  test("a terminal is spared binary values", async () => {
    await fill();
    const { out } = await run(["get", "kernels", "k_2"], { terminal: true, columns: 80 });
    expect(out).toMatch(/^float64 \[2, 2\]/);
  });

  test("JSON is parsed, and refused when it is none", async () => {
    await run(["set", "notes", "j", '{"a":[1,2]}', "--codec", "json"]);
    expect(await json(["get", "notes", "j"])).toEqual({ a: [1, 2] });
    const refused = await run(["set", "notes", "j", "{", "--codec", "json"]);
    expect(refused.status).toBe(2);
    expect(refused.notes).toContain("ERR_QUIVER_BAD_VALUE");
    expect(await json(["get", "notes", "j"])).toEqual({ a: [1, 2] });
  });
});

describe("removing", () => {
  test("rm removes what is there and tells what is not", async () => {
    await fill();
    const { status, notes } = await run(["rm", "kernels", "k_2", "nothing"]);
    expect(status).toBe(1);
    expect(notes).toBe("not there: nothing\nremoved 1 of 2\n");
    expect(await json(["ls", "kernels"])).toMatchObject([{ key: "k_10" }]);
  });

  test("clear removes nothing without a yes", async () => {
    await fill();
    const refused = await run(["clear", "kernels"]);
    expect(refused.status).toBe(2);
    expect(await json(["ls", "kernels"])).toHaveLength(2);
    expect((await run(["clear", "kernels"], { answer: true })).status).toBe(0);
    expect(await json(["ls", "kernels"])).toEqual([]);
    expect(await json(["ls", "notes"])).toHaveLength(1);
    expect((await run(["clear", "--yes"])).status).toBe(0);
    expect(await json(["ls", "notes"])).toEqual([]);
  });

  test("evict reports what left", async () => {
    await fill();
    expect(await json(["evict"])).toEqual({ evicted: 0, bytes: 0, expired: 0 });
  });
});

describe("statistics", () => {
  test("stats and du sum up the namespaces", async () => {
    await fill();
    const { out } = await run(["stats"]);
    expect(out).toMatch(/^kernels +2 /m);
    expect(out).toMatch(/^all +3 /m);
    expect(await json(["stats"])).toMatchObject({ entries: 3, namespaces: { kernels: { entries: 2 } } });
    const usage = { namespaces: [{ name: "kernels", entries: 2 }, { name: "notes" }] };
    expect(await json(["du"])).toMatchObject(usage);
    expect((await run(["du"])).out).toMatch(/^kernels +2 .*\n(.*\n)*total +[1-9]/m);
  });
});

describe("compact and backup", () => {
  test("compact makes the catalog smaller and keeps every value", async () => {
    await fill();
    {
      await using cache = await Cache.open(root, { durability: "full" });
      const notes = cache.namespace("notes");
      const keys = Array.from({ length: 300 }, (_, index) => `n${index}`);
      await notes.setMany(keys.map((key) => [key, "x".repeat(8_000)] as const));
      await notes.deleteMany(keys);
    }
    expect(await json(["compact"])).toMatchObject({ saved: expect.any(Number) });
    expect((await json(["compact"])) as { saved: number }).toEqual({ saved: 0 });
    await using cache = await Cache.open(root);
    expect(await cache.namespace("notes").get("hello")).toBe("grün");
    await cache.namespace("notes").set("hello", "new");
    expect(await cache.namespace("notes").get("hello")).toBe("new");
  });

  test("a backup made while the cache is in use opens as a cache of its own", async () => {
    await fill();
    await using cache = await Cache.open(root);
    const copy = join(folder, "copy");
    const large = new Uint8Array(300_000).fill(7);
    await cache.namespace("notes").set("large", large);
    expect((await run(["backup", copy])).status).toBe(0);
    await cache.namespace("notes").clear();
    await using opened = await Cache.open(copy);
    expect(await opened.namespace("notes").get("hello")).toBe("grün");
    expect(await opened.namespace("notes").get("large")).toEqual(large);
    expect((await run(["backup", copy])).status).not.toBe(0);
    expect((await run(["backup", join(root, "inside")])).notes).toContain("ERR_QUIVER_NESTED_ROOT");
  });
});

describe("verify", () => {
  test("finds nothing wrong in a sound cache", async () => {
    await fill();
    expect((await run(["verify"])).notes).toBe("3 entries verified, 0 damaged\n");
    const repair = { catalog: [], swept: { orphans: 0 }, checked: 3, damaged: [], repaired: 0 };
    expect(await json(["repair"])).toMatchObject(repair);
  });

  test("names what is damaged, status 1, until it is repaired", async () => {
    const file = join(folder, "in.npy");
    await saveFile(file, new Tensor(new Float64Array(10_000)));
    await run(["set", "kernels", "big", "--file", file]);
    await damage("kernels", "big");
    const found = await run(["verify"]);
    expect(found.status).toBe(1);
    expect(found.out).toContain("damaged: kernels  big: ");
    expect((await run(["verify", "--repair"])).status).toBe(0);
    expect(await json(["ls", "kernels"])).toEqual([]);
  });
});

describe("warm", () => {
  const recipes = `
    export const recipes = [
      { namespace: "squares", key: "n_{n}", parameters: { n: [1, 2, 3] }, compute: ({ n }) => ({ square: n * n }) },
      { namespace: "squares", key: "bad", compute: () => { throw new Error("no such square"); } },
    ];`;

  test("tells what is missing, computes it once, and reports failures", async () => {
    const module = join(folder, "recipes.mjs");
    await writeFile(module, recipes);
    const dry = await run(["warm", module, "--dry-run"]);
    expect(dry.out).toBe("squares  n_1\nsquares  n_2\nsquares  n_3\nsquares  bad\n");
    expect(dry.notes).toContain("4 missing, 0 present");
    const first = await run(["warm", module]);
    expect(first.status).toBe(1);
    expect(first.notes).toContain("failed: squares  bad: no such square\n3 computed, 0 present, 1 failed\n");
    expect(await json(["warm", module])).toMatchObject({ computed: 0, present: 3, failed: 1 });
    expect(await json(["get", "squares", "n_3"])).toEqual({ square: 9 });
  });

  test("refuses a module without recipes", async () => {
    const module = join(folder, "none.mjs");
    await writeFile(module, "export const other = 1;");
    expect((await run(["warm", module])).status).toBe(2);
    const broken = join(folder, "broken.mjs");
    await writeFile(broken, "throw new Error('no licence');");
    const { status, notes } = await run(["warm", broken]);
    expect(status).toBe(2);
    expect(notes).toContain("\n  cause: no licence\n");
  });
});

describe("config and doctor", () => {
  test("config says where each value came from", async () => {
    await fill();
    await writeFile(join(root, "quiver.config.json"), '{"ttl":"7d"}');
    const { out } = await run(["config"]);
    expect(out).toMatch(/^path .* --cache$/m);
    expect(out).toMatch(/^ttl +7d .*quiver\.config\.json$/m);
    expect(out).toMatch(/^eviction +lru +default$/m);
  });

  test("doctor tries every codec and leaves nothing behind", async () => {
    const { status, out } = await run(["doctor"]);
    expect(out.split("\n").filter((line) => !line.startsWith("OK  "))).toEqual([""]);
    expect(status).toBe(0);
    for (const name of ["npy", "npz", "safetensors", "pt", "json", "text", "bin"])
      expect(out).toContain(`codec ${name}`);
    await expect(stat(root)).rejects.toThrow();
  });
});

describe("failures", () => {
  test("a path without a cache is an error, not a new cache", async () => {
    for (const args of [["ls"], ["stats"], ["rm", "a", "b"], ["clear", "--yes"], ["verify"]]) {
      const { status, notes } = await run(args);
      expect(status).toBe(1);
      expect(notes).toMatch(/^quiver: there is no cache in .*\n {2}why: .*\n {2}fix: .*\n$/);
    }
    await expect(stat(root)).rejects.toThrow();
  });

  test("a namespace or key that isn't there is status 1, and makes nothing", async () => {
    await fill();
    expect((await run(["ls", "kernel"])).status).toBe(1);
    expect((await run(["ls", "kernel"])).notes).toContain("There are kernels, notes.");
    expect((await run(["info", "kernels", "nothing"])).status).toBe(1);
    expect((await run(["get", "kernels", "nothing"])).status).toBe(1);
    expect((await json(["ls"])) as unknown[]).toHaveLength(2);
  });

  test("wrong usage is status 2", async () => {
    expect((await run(["lst"])).status).toBe(2);
    expect((await run(["ls", "--limit", "many"])).status).toBe(2);
    expect((await run(["set", "notes", "a", "b", "--ttl", "soon"])).status).toBe(2);
    expect((await run(["set", "../notes", "a", "b"])).status).toBe(2);
    expect((await run(["set", "notes", "", "b"])).status).toBe(2);
    expect((await run(["set", "notes", "a", "b", "--codec", "npy"])).status).toBe(2);
    expect((await run(["info", "notes"])).notes).toContain("--help");
    expect((await quiver(["--help"])).status).toBe(0);
    expect((await quiver(["--version"])).out).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test("a file that can't be written, and output that nobody takes, are told without a stack", async () => {
    await fill();
    const saved = await run(["get", "notes", "hello", "--output", join(folder, "none", "file")]);
    expect(saved.status).toBe(1);
    expect(saved.notes).toContain(`there is no ${join(folder, "none")} `);
    const full = Object.assign(new Error("ENOSPC: no space left on device, write"), { syscall: "write" });
    const refused = await run(["ls"], { refuses: full });
    expect(refused).toMatchObject({ status: 3, notes: "quiver: ENOSPC: no space left on device, write\n" });
  });

  test("a file in place of the folder is named", async () => {
    await writeFile(root, "not a cache");
    expect((await run(["set", "notes", "a", "b"])).notes).toContain(`${root} is not a folder`);
  });

  test("a hostile key can't write to the terminal", async () => {
    await run(["set", "notes", "a\u001b[2J\nb", "x"]);
    expect((await run(["ls", "notes"])).out).toContain("a\\u{1b}[2J\\u{a}b");
    expect((await run(["get", "notes", "\u001b[2J"])).notes).not.toContain("\u001b");
  });
});
