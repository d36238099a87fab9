/** Vector caches that grow: by a column of vectors of another model, or by more texts. */

import { dirname, join, resolve } from "node:path";
import type { Dataset } from "../datasets/dataset.ts";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { createFolder, EMBEDDINGS, TEXT, TEXT_ID, VectorFolder } from "./creation.ts";
import type { StoredDType } from "./elements.ts";
import { checkName, type Folder } from "./folders.ts";
import { type ColumnMetadata, extendedMetadata, isFreeName, type VectorMetadata } from "./metadata.ts";
import { EMBED_INTO_OPTIONS, type EmbedIntoOptions, embeddingPlan } from "./options.ts";
import { MASKS, type VectorColumn } from "./vector-column.ts";

/** Options of `extend`: a new column of vectors, or more texts. */
export interface ExtendOptions extends EmbedIntoOptions {
  /** Name of a new column, which gets a row for every text. Without it, texts are added. */
  readonly column?: string;
  /** The texts to add; with `column` those of the rows, where the cache doesn't keep them. */
  readonly texts?: readonly string[];
  /** Name of the extended cache. Default: the same, so that it takes the place of this one when it is complete. */
  readonly name?: string;
  /** Whether a column of this name is replaced. Default: false. */
  readonly overwrite?: boolean;
}

const EXTEND_OPTIONS: OptionNames<ExtendOptions> = {
  ...EMBED_INTO_OPTIONS,
  column: true,
  texts: true,
  name: true,
  overwrite: true,
};

/** A cache to extend. */
export interface Extended {
  readonly folder: Folder;
  readonly dataset: Dataset;
  readonly metadata: VectorMetadata | null;
  readonly vectors: VectorColumn;
}

/** Resolves to the path of the extended cache. */
export async function extendFolder(source: Extended, options: ExtendOptions): Promise<string> {
  checkOptions(options, EXTEND_OPTIONS);
  const name = checkName(options.name ?? source.folder.name);
  return options.column === undefined
    ? addTexts(source, name, options)
    : addColumn(source, name, options.column, options);
}

/** All columns are copied as they lie, the new one grows beside them. */
async function addColumn(
  { folder, dataset, metadata }: Extended,
  name: string,
  column: string,
  options: ExtendOptions,
): Promise<string> {
  if (!isFreeName(column))
    throw badOption("column", column, "a name that metadata.json has no other use for");
  if (dataset.columns.includes(column) && options.overwrite !== true) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `"${folder.name}" has a column "${column}" already`, {
      path: folder.path,
      hint: `Its columns are ${dataset.columns.join(", ")}.`,
      fix: "Choose another name, or replace it: extend({ …, overwrite: true })",
    });
  }
  const texts = options.texts ?? textsOf(folder, dataset);
  if (texts.length !== dataset.rows) {
    throw new QuiverError(
      "ERR_QUIVER_BAD_VALUE",
      `${texts.length} texts for the ${dataset.rows} rows of "${folder.name}"`,
      { path: folder.path, hint: "A new column has a row for each row of the others." },
    );
  }
  await checkSound(dataset, options);
  const root = dirname(resolve(folder.path));
  const kept = dataset.columns.filter((other) => other !== column);
  const beside = { before: [], after: [], kept: { dataset, columns: kept } };
  const plan = embeddingPlan(texts, root, options);
  const source = `${dataset.fingerprint ?? folder.path} ${kept.join(" ")}`;
  const features = [...kept, column];
  return new VectorFolder(name, join(root, name), column, plan, beside, source, (facts) =>
    extendedMetadata(metadata?.all ?? {}, column, facts, features, dataset.rows, new Date()),
  ).make();
}

/** A new cache of all texts; it takes the vectors of the old ones from this one. */
async function addTexts(source: Extended, name: string, options: ExtendOptions): Promise<string> {
  const { folder, dataset, metadata, vectors } = source;
  const { texts: added = [], column: _, overwrite: __, name: ___, ...embedding } = options;
  const own = [TEXT_ID, TEXT, EMBEDDINGS, ...(vectors.isPadded ? [MASKS] : [])];
  const others = dataset.columns.filter((column) => !own.includes(column));
  if (others.length > 0 || vectors.name !== EMBEDDINGS) {
    throw new QuiverError(
      "ERR_QUIVER_UNSUPPORTED",
      `"${folder.name}" has columns that new texts have no rows of`,
      {
        path: folder.path,
        hint: `They are ${others.join(", ")}.`,
        fix: "Create a cache of all texts, and add the columns to it with extend({ column, … }).",
      },
    );
  }
  const known = metadata?.columns.get(vectors.name);
  checkModel(folder, known, options);
  if (added.length === 0) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "there is nothing to extend with", {
      hint: "A cache grows by a column of vectors, or by texts.",
      fix: "Give a column's name, or texts: extend({ texts, vectorizer })",
    });
  }
  await checkSound(dataset, options);
  return createFolder({
    dtype: vectors.dtype as StoredDType,
    ...(known?.quantization ? { quantization: known.quantization } : {}),
    ...(vectors.isPadded ? { padTo: vectors.chunks as number } : {}),
    ...embedding,
    name,
    root: dirname(resolve(folder.path)),
    texts: [...textsOf(folder, dataset), ...added],
  });
}

/** What is copied gets digests of its own, which would hide damage for good. */
async function checkSound(dataset: Dataset, { signal }: ExtendOptions): Promise<void> {
  await dataset.verify(signal === undefined ? {} : { signal });
}

function checkModel(folder: Folder, known: ColumnMetadata | undefined, { vectorizer }: ExtendOptions): void {
  if (known === undefined || known.model === null || known.model === vectorizer?.model) return;
  throw new QuiverError(
    "ERR_QUIVER_BAD_OPTION",
    `"${folder.name}" was made with the model ${JSON.stringify(known.model)}, not ${JSON.stringify(vectorizer?.model)}`,
    {
      hint: "Vectors of different models can't be compared.",
      fix: "Add texts with the same model, or a column: extend({ column, vectorizer })",
    },
  );
}

function textsOf(folder: Folder, dataset: Dataset): string[] {
  const texts = dataset.columns.includes(TEXT) ? dataset.column(TEXT) : undefined;
  if (texts?.dtype === "string" && texts.nulls === 0) return texts.texts().map((text) => text ?? "");
  throw new QuiverError("ERR_QUIVER_UNSUPPORTED", `"${folder.name}" doesn't keep its texts`, {
    path: folder.path,
    hint: `It has no column "${TEXT}" of strings without nulls.`,
    fix: "Give the texts of its rows: extend({ texts, … })",
  });
}
