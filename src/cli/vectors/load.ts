/** `quiver vectors load`: rows of a cache, which shows that it can be loaded. */

import { type Command, InvalidArgumentError } from "commander";
import { QuiverError } from "../../shared/errors.ts";
import { VectorCache } from "../../vectors/vector-cache.ts";
import type { Cli } from "../cli.ts";
import { EXIT } from "../exit.ts";
import { type VectorsOptions, vectorCommand } from "./common.ts";

interface LoadOptions extends VectorsOptions {
  readonly rows: readonly [start: number, end: number];
  readonly column?: string;
}

/** Elements that a line shows of a vector. */
const SHOWN = 4;

export function loadCommand(cli: Cli): Command {
  return vectorCommand(cli, "load", "print rows: the text, and the vector or how it begins")
    .argument("<name>", "a cache's name, or the path of its folder")
    .option("--rows <start:end>", "which rows", parseRows, [0, 5] as const)
    .option("--column <name>", "of several columns of vectors the one to read (default: the last)")
    .action(
      cli.action(async (name: string, { root, json, rows, column }: LoadOptions) => {
        const cache = await VectorCache.load(name, { root, ...(column === undefined ? {} : { column }) });
        if (rows[0] >= cache.size) {
          throw new QuiverError("ERR_QUIVER_OUT_OF_RANGE", `row ${rows[0]} is not in [0, ${cache.size})`);
        }
        for (let row = rows[0]; row < Math.min(rows[1], cache.size); row++) {
          const [text, vector] = [cache.text(row), cache.row(row)];
          if (json) {
            await cli.io.write(`${JSON.stringify({ row, text, vector: vector.toArray() })}\n`);
          } else {
            const head = [vector.toArray()].flat(3).slice(0, SHOWN);
            const numbers = head.map((value) => Number(value).toPrecision(4)).join(", ");
            await cli.io.write(cli.line(`${row}  [${vector.shape.join(", ")}]  ${numbers} …  ${text ?? ""}`));
          }
        }
        return EXIT.ok;
      }),
    );
}

function parseRows(text: string): readonly [number, number] {
  const match = /^(\d+)(?::(\d+))?$/.exec(text);
  if (match === null) throw new InvalidArgumentError("It must be a row, or start:end.");
  const start = Number(match[1]);
  const end = match[2] === undefined ? start + 1 : Number(match[2]);
  if (end < start) throw new InvalidArgumentError("The end must not come before the start.");
  return [start, end];
}
