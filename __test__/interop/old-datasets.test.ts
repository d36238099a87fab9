/**
 * Vector caches and older releases of datasets, in both directions. They are installed by
 * `QUIVER_OLD_DATASETS=1 npm test`.
 */

import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { Dataset, fromFunction, type Tensor, VectorCache } from "../../src/index.ts";
import { runPython } from "./python.ts";

const root = mkdtempSync(join(tmpdir(), "quiver-interop-old-"));
afterAll(() => rmSync(root, { recursive: true, force: true }));

const TEXTS = Array.from({ length: 300 }, (_, i) => `text ${i}`);
const numberOf = (text: string): number => Number(text.slice("text ".length));

/** What a text's vectors are, and how they are kept. */
const layouts = {
  flat: { options: {}, embed: (n: number) => [n, n + 0.5, -n] },
  shards: { options: { numShards: 3 }, embed: (n: number) => [n, n + 0.5, -n] },
  padded: { options: { padTo: 3 }, embed: (n: number) => Array.from({ length: 1 + (n % 4) }, () => [n, 1]) },
  ragged: { options: {}, embed: (n: number) => Array.from({ length: 1 + (n % 4) }, () => [n, 1]) },
} as const;

const script = `
import json, sys, datasets
found = {}
for name, (given, saved) in json.loads(sys.argv[1]).items():
    data = datasets.load_from_disk(given)
    found[name] = [data[i] for i in (0, 7, 299)]
    longer = data.map(lambda row: {"length": len(row["text"])}, load_from_cache_file=False)
    longer.save_to_disk(saved)
print(json.dumps({"version": datasets.__version__, "found": found}))`;

interface Answer {
  readonly version: string;
  readonly found: Readonly<Record<string, readonly unknown[]>>;
}

const rowOf = (dataset: Dataset, row: number): unknown =>
  (dataset.column("embeddings").row(row) as Tensor).toArray();

describe.each([2, 3, 4])("with datasets %i", (release) => {
  const python = resolve(import.meta.dirname, `../../.venv/datasets-${release}/bin/python`);
  const isThere = existsSync(python);
  if (!isThere) console.warn(`old-datasets.test.ts: no datasets ${release}, its tests are skipped`);

  test.skipIf(!isThere)(
    "vectors are read there, mapped, saved, and read here",
    async () => {
      const folders: Record<string, readonly [given: string, saved: string]> = {};
      for (const [model, { options, embed }] of Object.entries(layouts)) {
        const vectors = (texts: readonly string[]) =>
          texts.map((text) => embed(numberOf(text))) as number[][] | number[][][];
        const vectorizer = fromFunction((texts) => vectors(texts) as number[][], { model });
        const name = `${model}-${release}`;
        const { path } = await VectorCache.create({ name, root, texts: TEXTS, vectorizer, ...options });
        folders[model] = [path, join(root, `saved-${name}`)];
      }
      const { version, found } = await runPython<Answer>(python, script, folders);
      expect(version).toMatch(new RegExp(`^${release}\\.`));
      for (const [model, [given, saved]] of Object.entries(folders)) {
        const [ours, theirs] = [await Dataset.open(given), await Dataset.open(saved)];
        [0, 7, 299].forEach((row, i) => {
          const expected = { text_id: row, text: TEXTS[row], embeddings: rowOf(ours, row) };
          expect(found[model]?.[i], model).toMatchObject(expected);
        });
        expect(theirs.column("embeddings").shape).toEqual(ours.column("embeddings").shape);
        for (let row = 0; row < TEXTS.length; row++) expect(rowOf(theirs, row)).toEqual(rowOf(ours, row));
        expect(theirs.column("length").toTensor().at(299)).toBe(8n);
      }
    },
    120_000,
  );
});
