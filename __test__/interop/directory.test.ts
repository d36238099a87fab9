/** Cache directories shared with programs that know nothing of Quiver: plain Python with json, hashlib and NumPy. */

import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "vitest";
import { Cache, Tensor } from "../../src/index.ts";
import { simulationCache } from "../../src/simulation/index.ts";
import { bytesOf } from "../../src/tensor/tensor.ts";
import { findPython, runPython } from "./python.ts";

const python = findPython("numpy");
if (python === undefined) console.warn("directory.test.ts: no Python with numpy, all its tests are skipped");

/** What the other side does with a directory. Files get times older than the two seconds that a writer has to finish. */
const LIBRARY = `
import hashlib, json, os, sys, time
import numpy as np
task = json.loads(sys.argv[1])
root = task["root"]
def path(category, name): return os.path.join(root, category, name)
def age(file, seconds=10): os.utime(file, (time.time() - seconds,) * 2)
def entry(file, key, created="2025-11-11T00:00:00Z", last="2025-11-12T06:30:00Z", count=15, **more):
    data = open(file, "rb").read()
    return {"key": key, "created_at": created, "size_bytes": len(data), "access_count": count, "last_accessed": last,
            "checksum": "sha256:" + hashlib.sha256(data).hexdigest(), **more}
def write_index(category, entries, **more):
    size = sum(e["size_bytes"] for e in entries)
    index = {"version": "1.0", "created_at": "2025-11-11T00:00:00Z", "total_entries": len(entries),
             "total_size_mb": round(size / 1048576, 2), "entries": {e["key"]: e for e in entries}, **more}
    with open(path(category, "index.json.new"), "w") as f: json.dump(index, f)
    os.replace(path(category, "index.json.new"), path(category, "index.json"))
def read_index(category): return json.load(open(path(category, "index.json")))
`;

const WRITE = `
for name in ["fractional_kernels", "stencils", "fftw_wisdom", "mission_graph"]: os.makedirs(path(name, ""))
np.savez_compressed(path("fractional_kernels", "kernel_1.5_0.01_1000.npz"), data=np.arange(1000.0))
np.savez(path("fractional_kernels", "pair.npz"), alpha=np.float32([1, 2]), beta=np.int64([[3], [4]]))
np.save(path("stencils", "laplacian.npy"), np.asfortranarray(np.arange(200000.0).reshape(400, 500)))
json.dump({"thrust": [1, 2.5], "ok": True}, open(path("mission_graph", "burn.json"), "w"))
json.dump({"author": "python"}, open(path("mission_graph", "burn.meta.json"), "w"))
open(path("fftw_wisdom", "fft_2d_512x512.dat"), "wb").write(b"(fftw-3.3.10 fftw_wisdom\\n)")
open(path("fftw_wisdom", "notes.pkl"), "wb").write(b"not a value")
np.save(path("stencils", "unlisted.npy"), np.arange(3.0))
listed = {"fractional_kernels": ["kernel_1.5_0.01_1000.npz", "pair.npz"], "stencils": ["laplacian.npy"],
          "mission_graph": ["burn.json"], "fftw_wisdom": ["fft_2d_512x512.dat"]}
for category, names in listed.items():
    for name in os.listdir(path(category, "")): age(path(category, name))
    entries = [entry(path(category, name), os.path.splitext(name)[0], codec_version=7, origin={"host": "a"}) for name in names]
    write_index(category, entries, generator="kernels.py")
print(json.dumps({c: read_index(c) for c in listed}))
`;

/** Reads everything as a stranger would, and states what does not agree. */
const AUDIT = `
problems, values = [], {}
for category in sorted(os.listdir(root)):
    if category.startswith(".") or not os.path.isdir(path(category, "")): continue
    index = read_index(category)
    files = {n for n in os.listdir(path(category, "")) if n != "index.json" and not n.endswith(".meta.json") and not n.endswith(".pkl")}
    stems = {os.path.splitext(n)[0]: n for n in files}
    if index["version"] != "1.0": problems.append([category, "version"])
    if index["total_entries"] != len(index["entries"]): problems.append([category, "total_entries"])
    size = sum(e["size_bytes"] for e in index["entries"].values())
    if index["total_size_mb"] != round(size / 1048576, 2): problems.append([category, "total_size_mb", index["total_size_mb"], size])
    if set(stems) != set(index["entries"]): problems.append([category, "files", sorted(stems), sorted(index["entries"])])
    for key, e in index["entries"].items():
        if key not in stems: continue
        file = path(category, stems[key])
        data = open(file, "rb").read()
        if e["key"] != key: problems.append([category, key, "key"])
        if e["size_bytes"] != len(data): problems.append([category, key, "size"])
        if e["checksum"] != "sha256:" + hashlib.sha256(data).hexdigest(): problems.append([category, key, "checksum"])
        for field in ["created_at", "last_accessed"]:
            if not e[field].endswith("Z"): problems.append([category, key, field])
            time.strptime(e[field][:19], "%Y-%m-%dT%H:%M:%S")
        def facts(a): return {"dtype": str(a.dtype), "shape": a.shape, "hex": a.astype(a.dtype.newbyteorder("<")).tobytes("C").hex()}
        if file.endswith(".npy"): value = facts(np.load(file, mmap_mode="r"))
        elif file.endswith(".npz"): z = np.load(file); value = {n: facts(z[n]) for n in z.files}
        elif file.endswith(".json"): value = json.load(open(file))
        else: value = data.hex()
        values[category + "/" + key] = value
print(json.dumps({"problems": problems, "values": values}))
`;

interface Index {
  readonly [field: string]: unknown;
  readonly entries: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

let root: string;

beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), "quiver-directory-"));
});

afterEach(() => rmSync(root, { recursive: true, force: true }));

function run<T = null>(script: string, more: Record<string, unknown> = {}): Promise<T> {
  return runPython<T>(python as string, LIBRARY + script, { root, ...more });
}

function audit(): Promise<{ problems: unknown[]; values: Record<string, unknown> }> {
  return run(AUDIT);
}

function indexOf(category: string): Index {
  return JSON.parse(readFileSync(join(root, category, "index.json"), "utf8"));
}

function factsOf(tensor: Tensor): unknown {
  const hex = Buffer.from(bytesOf(tensor.data)).toString("hex");
  return { dtype: tensor.dtype, shape: tensor.shape, hex };
}

async function collect<T>(items: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = [];
  for await (const item of items) all.push(item);
  return all;
}

/** index.json follows within a second or two. */
async function untilIndex(category: string, holds: (index: Index) => boolean): Promise<void> {
  for (;;) {
    try {
      if (holds(indexOf(category))) return;
    } catch {
      // Not written yet.
    }
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

const namedOnly = { memoryLimit: 0, namespaces: { stencils: { layout: "named" } } } as const;

describe.skipIf(python === undefined)("a directory that Python wrote", () => {
  test("opens as it is, with values, times, counts and metadata", async () => {
    await run(WRITE);
    await using cache = await simulationCache(root);
    const kernels = cache.namespace("fractional_kernels");
    expect(await collect(kernels.keys())).toEqual(["kernel_1.5_0.01_1000", "pair"]);
    const kernel = (await kernels.get("kernel_1.5_0.01_1000")) as Tensor<Float64Array>;
    expect(Array.from(kernel.data)).toEqual(Array.from({ length: 1000 }, (_, i) => i));
    const pair = (await kernels.get("pair")) as Record<string, Tensor>;
    expect(pair["alpha"]?.equals(new Tensor(Float32Array.of(1, 2)))).toBe(true);
    expect(pair["beta"]?.equals(new Tensor(BigInt64Array.of(3n, 4n), [2, 1]))).toBe(true);
    const stencils = cache.namespace("stencils");
    const laplacian = (await stencils.get("laplacian")) as Tensor;
    expect([laplacian.shape, laplacian.at(3, 7), laplacian.isView]).toEqual([[400, 500], 1507, true]);
    expect((await stencils.get("unlisted")) as Tensor).toMatchObject({ shape: [3] });
    expect(await cache.namespace("mission_graph").get("burn")).toEqual({ thrust: [1, 2.5], ok: true });
    const wisdom = cache.namespace("fftw_wisdom");
    expect(Buffer.from((await wisdom.get("fft_2d_512x512")) as Uint8Array).toString()).toBe(
      "(fftw-3.3.10 fftw_wisdom\n)",
    );
    expect(await collect(wisdom.keys())).toEqual(["fft_2d_512x512"]);

    const noted = indexOf("mission_graph").entries["burn"];
    expect(await cache.namespace("mission_graph").info("burn")).toMatchObject({
      size: noted?.["size_bytes"],
      digest: noted?.["checksum"],
      createdAt: Date.parse("2025-11-11T00:00:00Z"),
      codec: "json",
      metadata: { author: "python" },
    });
    expect((await kernels.stats()).entries).toBe(2);
  });

  test("keeps times and counts of entries that nobody reads", async () => {
    await run(WRITE);
    await using cache = await simulationCache(root);
    expect(await cache.namespace("stencils").info("laplacian")).toMatchObject({
      createdAt: Date.parse("2025-11-11T00:00:00Z"),
      lastAccessed: Date.parse("2025-11-12T06:30:00Z"),
      accessCount: 15,
    });
  });

  test("keeps fields that we do not know, of the index and of its entries", async () => {
    const before = await run<Record<string, Index>>(WRITE);
    await (await simulationCache(root)).close();
    {
      await using cache = await simulationCache(root);
      await cache.namespace("fractional_kernels").set("ours", new Tensor(Float64Array.of(1)));
    }
    for (const [category, index] of Object.entries(before)) {
      const after = indexOf(category);
      expect(after).toMatchObject({ generator: "kernels.py", created_at: "2025-11-11T00:00:00Z" });
      for (const [key, entry] of Object.entries(index.entries)) {
        const { created_at, last_accessed, ...same } = entry;
        expect(after.entries[key]).toMatchObject(same);
        expect(Date.parse(String(after.entries[key]?.["created_at"]))).toBe(Date.parse(String(created_at)));
        expect(Date.parse(String(after.entries[key]?.["last_accessed"]))).toBe(
          Date.parse(String(last_accessed)),
        );
      }
    }
    expect((await audit()).problems).toEqual([]);
  });

  test("a file that differs from its index is refused and nothing else, until its writer puts it right", async () => {
    await run(
      `${WRITE}
index = read_index("stencils")
index["entries"]["laplacian"]["checksum"] = "sha256:" + "0" * 64
write_index("stencils", list(index["entries"].values()))
`.replace(/^print.*$/m, "print('null')"),
    );
    await using cache = await simulationCache(root);
    const stencils = cache.namespace("stencils");
    for (let i = 0; i < 2; i++) {
      await expect(stencils.get("laplacian")).rejects.toMatchObject({
        code: "ERR_QUIVER_CHECKSUM_MISMATCH",
        key: "laplacian",
        path: join(root, "stencils", "laplacian.npy"),
      });
      expect(stencils.getSync("laplacian")).toBeUndefined();
    }
    expect(await stencils.has("unlisted")).toBe(true);
    await stencils.set("ours", new Tensor(Float64Array.of(1)));
    await untilIndex("stencils", ({ entries }) => entries["ours"] !== undefined);
    expect(indexOf("stencils").entries["laplacian"]?.["checksum"]).toBe(`sha256:${"0".repeat(64)}`);
    await run(`
index = read_index("stencils")
index["entries"]["laplacian"] = entry(path("stencils", "laplacian.npy"), "laplacian")
write_index("stencils", list(index["entries"].values()))
print("null")`);
    expect(((await stencils.get("laplacian")) as Tensor).at(0, 2)).toBe(2);
  });

  test("a file that is rewritten while it is older than its index says is not what the index tells of", async () => {
    await run(WRITE);
    await run(`
np.save(path("stencils", "laplacian.npy"), np.arange(5.0))
later = os.stat(path("stencils", "laplacian.npy")).st_mtime
os.utime(path("stencils", "index.json"), (later - 20,) * 2)
age(path("stencils", "laplacian.npy"))
print("null")`);
    await using cache = await simulationCache(root);
    expect(((await cache.namespace("stencils").get("laplacian")) as Tensor).shape).toEqual([5]);
  });
});

describe.skipIf(python === undefined)("a directory that Quiver wrote", () => {
  test("is what plain Python expects: fields, checksums and values", async () => {
    const grid = new Tensor(
      Float32Array.from({ length: 60_000 }, (_, i) => i / 3),
      [200, 300],
    );
    const counts = new Tensor(Int32Array.of(1, -2, 3));
    {
      await using cache = await simulationCache(root);
      await cache.namespace("source_maps").set("radial", grid);
      await cache
        .namespace("echo_templates")
        .set("chirp", { grid, counts }, { metadata: { f0: 5 }, pinned: true });
      await cache.namespace("mission_graph").set("plan", { nodes: ["a"], cost: 1.5 });
      await cache.namespace("fftw_wisdom").set("plans", new Uint8Array([0, 255, 10]));
      await cache.namespace("state_profiles").set("old", grid, { codec: "npy" });
      await cache.namespace("state_profiles").set("old", { t: 1 }, { codec: "json" });
      await cache.namespace("state_profiles").set("gone", grid);
      await cache.namespace("state_profiles").delete("gone");
      await cache.namespace("stencils").set("plain", counts, { codec: "npy" });
    }
    const { problems, values } = await audit();
    expect(problems).toEqual([]);
    expect(values).toEqual({
      "source_maps/radial": { data: factsOf(grid) },
      "echo_templates/chirp": { grid: factsOf(grid), counts: factsOf(counts) },
      "mission_graph/plan": { nodes: ["a"], cost: 1.5 },
      "fftw_wisdom/plans": "00ff0a",
      "state_profiles/old": { t: 1 },
      "stencils/plain": factsOf(counts),
    });
    expect(JSON.parse(readFileSync(join(root, "echo_templates", "chirp.meta.json"), "utf8"))).toEqual({
      f0: 5,
    });
    expect(statSync(join(root, "stencils", "plain.npy")).mode & 0o222).toBe(0);
  });

  test("agrees within seconds while it is open", async () => {
    await using cache = await simulationCache(root);
    const maps = cache.namespace("source_maps");
    await maps.set("a", new Tensor(Float64Array.of(1, 2)));
    await untilIndex("source_maps", ({ entries }) => entries["a"] !== undefined);
    expect((await audit()).problems).toEqual([]);
    await maps.clear();
    await untilIndex("source_maps", ({ total_entries }) => total_entries === 0);
    await maps.set("a", new Tensor(Float64Array.of(3)));
    await untilIndex("source_maps", ({ entries }) => entries["a"] !== undefined);
    expect((await audit()).problems).toEqual([]);
  });
});

describe.skipIf(python === undefined)("while the cache is open", () => {
  const save = (name: string, expression: string, seconds = 10): Promise<null> =>
    run(
      `np.save(path("stencils", "new.tmp.npy"), ${expression})
age(path("stencils", "new.tmp.npy"), task["seconds"])
os.replace(path("stencils", "new.tmp.npy"), path("stencils", "${name}.npy"))
print("null")`,
      { seconds },
    );

  test("files that Python adds, replaces and deletes are noticed", async () => {
    await using cache = await Cache.open(root, namedOnly);
    const stencils = cache.namespace("stencils");
    const shapeOf = async (key: string): Promise<unknown> =>
      ((await stencils.get(key)) as Tensor | undefined)?.shape;
    expect(await shapeOf("added")).toBeUndefined();
    await save("added", "np.arange(20000.0)");
    expect(await stencils.has("added")).toBe(true);
    expect(await shapeOf("added")).toEqual([20_000]);

    await stencils.set("ours", new Tensor(new Float64Array(10_000)));
    const ours = (await stencils.get("ours")) as Tensor;
    for (const key of ["added", "ours"]) {
      await save(key, "np.ones(30000)");
      expect(await shapeOf(key)).toEqual([30_000]);
    }
    expect([ours.shape, ours.at(9_999)]).toEqual([[10_000], 0]);

    await run(`os.remove(path("stencils", "added.npy")); print("null")`);
    expect(await shapeOf("added")).toBeUndefined();
    expect(await stencils.has("added")).toBe(false);
    await untilIndex("stencils", ({ entries }) => Object.keys(entries).join() === "ours");
    expect((await audit()).problems).toEqual([]);
  });

  test("a file that may still be being written is a miss until it is two seconds old", async () => {
    await using cache = await Cache.open(root, namedOnly);
    const stencils = cache.namespace("stencils");
    await save("young", "np.ones(3)", -5);
    expect(await stencils.get("young")).toBeUndefined();
    await run(`age(path("stencils", "young.npy"), 3); print("null")`);
    expect(await stencils.get("young")).toMatchObject({ shape: [3] });
  });

  test("a value in use stays what it was when Python rewrites its file in place", async () => {
    await using cache = await Cache.open(root, namedOnly);
    const stencils = cache.namespace("stencils");
    await save("mapped", "np.ones(200000)");
    const mapped = (await stencils.get("mapped")) as Tensor<Float64Array>;
    expect(mapped.isView).toBe(true);
    await run(`
np.save(path("stencils", "mapped.npy"), np.zeros(7))
age(path("stencils", "mapped.npy"))
print("null")`);
    expect(mapped.data.every((value) => value === 1)).toBe(true);
    expect(await stencils.get("mapped")).toMatchObject({ shape: [7] });
  });

  test("entries and counts that Python notes in the index are kept when we write it", async () => {
    await using cache = await Cache.open(root, namedOnly);
    const stencils = cache.namespace("stencils");
    await stencils.set("ours", new Tensor(Float64Array.of(1, 2)));
    await untilIndex("stencils", ({ entries }) => entries["ours"] !== undefined);
    await run(`
np.save(path("stencils", "theirs.npy"), np.arange(4.0))
age(path("stencils", "theirs.npy"))
index = read_index("stencils")
index["entries"]["ours"]["access_count"] = 99
index["entries"]["theirs"] = entry(path("stencils", "theirs.npy"), "theirs", count=3, origin="lab")
write_index("stencils", list(index["entries"].values()), project="x")
print("null")`);
    await stencils.set("more", new Tensor(Float64Array.of(3)));
    await untilIndex("stencils", ({ entries }) => entries["more"] !== undefined);
    const index = indexOf("stencils");
    expect(index["project"]).toBe("x");
    expect(index.entries["ours"]?.["access_count"]).toBe(99);
    expect(index.entries["theirs"]).toMatchObject({ origin: "lab", access_count: 3 });
    expect((await audit()).problems).toEqual([]);
    expect(await stencils.get("theirs")).toMatchObject({ shape: [4] });
    expect(await stencils.info("theirs")).toMatchObject({ createdAt: Date.parse("2025-11-11T00:00:00Z") });
    await untilIndex("stencils", ({ entries }) => entries["theirs"]?.["codec"] === "npy");
    expect(indexOf("stencils").entries["theirs"]?.["origin"]).toBe("lab");
  });

  test("a replaced file keeps its writer's entry until it is taken over", async () => {
    await using cache = await Cache.open(root, namedOnly);
    const stencils = cache.namespace("stencils");
    await stencils.set("shared", new Tensor(Float64Array.of(1, 2)));
    await untilIndex("stencils", ({ entries }) => entries["shared"] !== undefined);
    await save("shared", "np.ones(9)");
    await run(`
index = read_index("stencils")
index["entries"]["shared"] = entry(path("stencils", "shared.npy"), "shared", count=1)
write_index("stencils", list(index["entries"].values()))
print("null")`);
    await stencils.set("more", new Tensor(Float64Array.of(3)));
    await untilIndex("stencils", ({ entries }) => entries["more"] !== undefined);
    expect((await audit()).problems).toEqual([]);
    expect(await stencils.get("shared")).toMatchObject({ shape: [9] });
  });
});

describe("the root of a new cache", () => {
  test("leaves to version control what describes values, and not the values", async () => {
    {
      await using cache = await simulationCache(root);
      await cache.namespace("stencils").set("k", new Tensor(Float64Array.of(1)), { metadata: { a: 1 } });
    }
    execFileSync("git", ["init", "-q", root]);
    execFileSync("git", ["-C", root, "add", "-A"]);
    const kept = execFileSync("git", ["-C", root, "ls-files"], { encoding: "utf8" }).trim().split("\n");
    expect(kept.filter((path) => !path.endsWith("/index.json"))).toEqual([
      ".gitignore",
      "CACHEDIR.TAG",
      "README.md",
    ]);
    expect(kept).toContain("stencils/index.json");
    expect(readFileSync(join(root, "CACHEDIR.TAG"), "latin1")).toMatch(
      /^Signature: 8a477f597d28d172789f06886806bc55\n/,
    );
  });

  test("keeps files of the user's own", async () => {
    mkdirSync(join(root, "stencils"));
    writeFileSync(join(root, "README.md"), "mine");
    await (await simulationCache(root)).close();
    rmSync(join(root, ".gitignore"));
    await (await simulationCache(root)).close();
    expect(readFileSync(join(root, "README.md"), "utf8")).toBe("mine");
    expect(() => statSync(join(root, ".gitignore"))).toThrow("ENOENT");
  });

  test.skipIf(python === undefined)("tells how Python loads an entry, as it really does", async () => {
    {
      await using cache = await simulationCache(root);
      await cache.namespace("fractional_kernels").set("kernel_1.5", new Tensor(Float64Array.of(1, 2)));
      await cache.namespace("stencils").set("laplacian", new Tensor(Float64Array.of(3)), { codec: "npy" });
    }
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const [, code] = /```python\n([\s\S]*?)```/.exec(readme) as RegExpExecArray;
    const script = `import os; os.chdir(root)\n${code}\nprint(json.dumps([list(kernel), list(mapped)]))`;
    expect(await run(script)).toEqual([[1, 2], [3]]);
  });
});
