import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { VectorCache } from "../../src/index.ts";
import { type CliRun, type CliSetting, quiver } from "./cli-io.ts";

const folder = mkdtempSync(join(tmpdir(), "quiver-cli-vectors-"));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(folder, "root-"));
});

const LINES = "the white whale\r\na cup of tea\n\nwhales and ships at sea\nthe tea party";
const texts = ["the white whale", "a cup of tea", "", "whales and ships at sea", "the tea party"];

function run(args: readonly string[], setting?: CliSetting): Promise<CliRun> {
  return quiver(["vectors", ...args, "--root", root], setting);
}

async function json(args: readonly string[], setting?: CliSetting): Promise<unknown> {
  return JSON.parse((await run([...args, "--json"], setting)).out);
}

function file(name: string, contents: string | Uint8Array): string {
  const path = join(folder, name);
  writeFileSync(path, contents);
  return path;
}

describe("create", () => {
  test("embeds lines of a file or of standard input, and says what it made", async () => {
    const made = await run(["create", "a", file("texts.txt", LINES), "--dimension", "64"]);
    expect(made.status).toBe(0);
    expect(made.out).toMatch(/^name +a\ntexts +5\nshape +\[5, 64\] float32\nmodel +quiver\/hashing-64/);
    expect(made.notes).toMatch(/embedding: 5 of 5 \(100 %\)/);
    expect(await json(["create", "b", "--no-texts"], { input: LINES })).toMatchObject({
      size: 5,
      dimension: 384,
      columns: ["text_id", "embeddings"],
      files: 1,
    });
    const cache = await VectorCache.load("a", { root });
    expect(texts.map((_, row) => cache.text(row))).toEqual(texts);
  });

  test("refuses bytes that are no UTF-8 and names their line, or replaces them when told to", async () => {
    const many = "línea\n".repeat(20_000);
    const latin = Buffer.concat([Buffer.from(`${many}ein `), Buffer.from("Märchen\nende", "latin1")]);
    const refused = await run(["create", "a", file("latin.txt", latin)]);
    expect(refused).toMatchObject({
      status: 2,
      notes: expect.stringMatching(/latin\.txt:20001 is not UTF-8/),
    });
    expect(refused.notes).toMatch(/iconv/);
    expect(readdirSync(root)).toEqual([]);
    const last = file("last.txt", Buffer.from("first\nfa\xe7ade", "latin1"));
    expect((await run(["create", "a", last])).notes).toMatch(/last\.txt:2 is not UTF-8/);
    expect((await run(["create", "a", last, "--lossy"])).status).toBe(0);
    const cache = await VectorCache.load("a", { root });
    expect([0, 1].map((row) => cache.text(row))).toEqual(["first", "fa\ufffdade"]);
    expect((await run(["extend", "a", last])).notes).toMatch(/last\.txt:2 is not UTF-8/);
    expect((await run(["extend", "a", last, "--lossy"])).status).toBe(0);
  });

  test("joins letters that two pieces of the input share, and leaves a byte order mark out", async () => {
    const bytes = Buffer.from("\ufeffein Märchen\r\nüber 😀\n");
    const pieces = Array.from(bytes, (byte) => Uint8Array.of(byte));
    expect(await json(["create", "a"], { input: pieces })).toMatchObject({ size: 2 });
    const cache = await VectorCache.load("a", { root });
    expect([0, 1].map((row) => cache.text(row))).toEqual(["ein Märchen", "über 😀"]);
  });

  test("reads a field of JSON lines, and names the line that has none", async () => {
    const lines = texts.map((body, id) => JSON.stringify({ id, body })).join("\n\n");
    const path = file("texts.jsonl", lines);
    expect(await json(["create", "a", path, "--field", "body"])).toMatchObject({ size: 5 });
    expect((await run(["create", "b", path])).notes).toMatch(/texts.jsonl:1 has no text in "text"/);
    const broken = await run(["create", "b", "-", "--field", "body"], { input: '{"body": "x"}\n{' });
    expect(broken).toMatchObject({ status: 2, notes: expect.stringMatching(/-:2 is not JSON/) });
    expect((await run(["create", "b", join(folder, "nowhere")])).status).toBe(1);
    expect((await run(["create", "a/b"], { input: LINES })).status).toBe(2);
    expect(readdirSync(root)).toEqual(["a"]);
  });

  test("takes a vectorizer from a module", async () => {
    const module = file(
      "vectorizer.mjs",
      "export default { model: 'lengths', embed: async (texts) => texts.map((text) => [text.length, 1]) };",
    );
    const options = ["--vectorizer", module, "--dtype", "float16", "--shards", "2", "--batch", "2"];
    expect(await json(["create", "a", ...options], { input: LINES })).toMatchObject({
      model: "lengths",
      dtype: "float16",
      dimension: 2,
      files: 2,
    });
    const found = await json([
      "nearest",
      "a",
      "123456789012",
      "--vectorizer",
      module,
      "--metric",
      "euclidean",
    ]);
    expect(found).toMatchObject([{ row: 1 }, { row: 4 }, { row: 0 }, { row: 3 }, { row: 2 }]);
    const none = file("none.mjs", "export default 1;");
    expect((await run(["create", "b", "--vectorizer", none], { input: LINES })).status).toBe(2);
  });
});

describe("a cache", () => {
  beforeEach(async () => {
    await run(["create", "a"], { input: LINES });
  });

  test("is listed, shown, loaded and searched", async () => {
    expect((await run(["info"])).out).toMatch(/^name +texts +dimension +size +model\na +5 +384 .*hashing/);
    expect(await json(["info"])).toMatchObject({ caches: [{ name: "a", size: 5 }], unfinished: [] });
    expect(await json(["info", "a"])).toMatchObject({
      chunks: null,
      columns: ["text_id", "embeddings", "text"],
    });
    expect((await run(["info", "b"])).status).toBe(1);
    const rows = (await run(["load", "a", "--rows", "3:9"])).out;
    expect(rows).toMatch(/^3 {2}\[384\] .* … {2}whales and ships at sea\n4 .*tea party\n$/);
    expect(await json(["load", "a", "--rows", "1"])).toMatchObject({ row: 1, text: "a cup of tea" });
    expect((await run(["load", "a", "--rows", "5"])).notes).toMatch(/row 5 is not in \[0, 5\)/);
    expect((await run(["load", "a", "--rows", "3:1"])).status).toBe(2);
    const found = await run(["nearest", "a", "white whales", "-k", "2"], { terminal: true, columns: 30 });
    expect(found.out).toMatch(/^row +score +text\n +0 +0\.\d{4} +the white.*\n +3 +0\.\d{4} +whales.*\n$/);
  });

  test("grows by texts with the model that it has, and by columns", async () => {
    expect(await json(["extend", "a", "-"], { input: "more\n" })).toMatchObject({ size: 6, name: "a" });
    const options = ["--column", "small", "--dimension", "16", "--as", "b"];
    expect(await json(["extend", "a", ...options])).toMatchObject({ name: "b", dimension: 16, size: 6 });
    expect((await run(["extend", "b", "--column", "small", "--dimension", "8"])).status).toBe(2);
    const column = await json(["info", "b", "--column", "embeddings"]);
    expect(column).toMatchObject({ dimension: 384 });
  });

  test("is verified", async () => {
    expect(await run(["verify"])).toMatchObject({ status: 0, out: "a: sound, 1 file compared\n" });
    const path = join(
      root,
      "a",
      readdirSync(join(root, "a")).find((name) => name.endsWith(".arrow")) as string,
    );
    const bytes = readFileSync(path);
    bytes[bytes.length - 100] = (bytes[bytes.length - 100] as number) ^ 1;
    rmSync(path);
    writeFileSync(path, bytes);
    const damaged = await run(["verify", "a"]);
    expect(damaged).toMatchObject({ status: 1, out: expect.stringMatching(/^a: .*\.arrow/) });
  });
});
