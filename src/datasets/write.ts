/** Writing a dataset folder from columns in memory. */

import { DatasetWriter } from "../native/datasets.ts";
import { checkObject, checkPath } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { badOption, checkOptions, type OptionNames } from "../shared/options.ts";
import { type ColumnInput, type ColumnSource, sourceOf } from "./input.ts";
import { parseShardSize } from "./shard-size.ts";

/** Options of `Dataset.write`. */
export interface DatasetWriteOptions {
  /** Most bytes of a file; units are powers of 1000, as Hugging Face counts. Default "500MB". */
  readonly maxShardSize?: number | string;
  /** How many files instead; at most one a row. */
  readonly numShards?: number;
  /** Whether a folder that is there is replaced; it is kept until the new one is complete. Default true. */
  readonly replace?: boolean;
  /** "full" (default) syncs everything, so that the folder outlasts a power cut; "process" doesn't. */
  readonly durability?: "full" | "process";
  readonly signal?: AbortSignal;
  /** Called after each piece that was written. */
  readonly onProgress?: (progress: { readonly rows: number; readonly total: number }) => void;
}

const OPTIONS: OptionNames<DatasetWriteOptions> = {
  maxShardSize: true,
  numShards: true,
  replace: true,
  durability: true,
  signal: true,
  onProgress: true,
};

interface ResolvedOptions {
  readonly shards: number;
  readonly replace: boolean;
  readonly sync: boolean;
}

const DEFAULT_SHARD_SIZE = 500_000_000;

/** About as many bytes are copied at once. */
const PIECE = 8 * 1024 * 1024;

const LARGEST_OFFSET = 2 ** 31 - 1;

/** Writes the folder under a temporary name and publishes it whole; resolves to its fingerprint. */
export async function writeDataset(
  path: string,
  columns: Readonly<Record<string, ColumnInput>>,
  options: DatasetWriteOptions = {},
): Promise<string> {
  checkPath(path);
  checkOptions(options, OPTIONS);
  checkObject("columns", columns, "an object with a column under each name");
  const sources = Object.entries(columns).map(([name, input]) => sourceOf(name, input));
  const rows = rowsOf(sources);
  const { shards, replace, sync } = resolve(options, sources, rows);
  const writer = DatasetWriter.of(sources.map(({ layout }) => layout));
  await writer.begin(path, { shardBytes: DEFAULT_SHARD_SIZE, shards, rows, sync });
  try {
    const step = Math.max(1, Math.floor((PIECE * rows) / Math.max(1, sumOf(sources))));
    for (let start = 0; start < rows; start += step) {
      throwIfAborted(options.signal);
      const end = Math.min(rows, start + step);
      const pieces = await Promise.all(sources.map((source) => source.read(start, end)));
      writer.add(end - start, pieces);
      await writer.flush();
      options.onProgress?.({ rows: end, total: rows });
    }
    return await writer.finish(replace, options.signal);
  } catch (error) {
    await writer.stop(true);
    throw error;
  }
}

function rowsOf(sources: readonly ColumnSource[]): number {
  const [first] = sources;
  if (first === undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "a dataset needs at least one column");
  }
  for (const { layout, rows } of sources) {
    if (rows === first.rows) continue;
    throw new QuiverError(
      "ERR_QUIVER_BAD_VALUE",
      `column ${layout.name} has ${rows} rows, ${first.layout.name} has ${first.rows}`,
    );
  }
  return first.rows;
}

function sumOf(sources: readonly ColumnSource[]): number {
  return sources.reduce((sum, source) => sum + source.bytes, 0);
}

function resolve(
  options: DatasetWriteOptions,
  sources: readonly ColumnSource[],
  rows: number,
): ResolvedOptions {
  const { maxShardSize, numShards, replace = true, durability = "full" } = options;
  if (maxShardSize !== undefined && numShards !== undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", "maxShardSize and numShards exclude each other");
  }
  const most = Math.max(1, rows);
  if (numShards !== undefined && !(Number.isInteger(numShards) && numShards >= 1 && numShards <= most)) {
    throw new QuiverError(
      "ERR_QUIVER_BAD_OPTION",
      `numShards is ${numShards}, not a number from 1 to ${most}`,
    );
  }
  const size = parseShardSize(maxShardSize ?? DEFAULT_SHARD_SIZE);
  const counted = Math.max(...sources.map((source) => source.counted));
  const needed = Math.max(Math.floor(sumOf(sources) / size), Math.floor(counted / LARGEST_OFFSET)) + 1;
  if (durability !== "full" && durability !== "process") {
    throw badOption("durability", durability, '"full" or "process"');
  }
  return { shards: numShards ?? Math.min(needed, most), replace, sync: durability === "full" };
}

function throwIfAborted(signal: AbortSignal | undefined): void {
  if (!signal?.aborted) return;
  throw new QuiverError("ERR_QUIVER_ABORTED", "writing the dataset was aborted", { cause: signal.reason });
}
