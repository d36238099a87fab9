/** `quiver get`: a stored value, byte for byte as its file or row holds it. */

import { createWriteStream } from "node:fs";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import type { Command } from "commander";
import { isQuiverError } from "../../shared/errors.ts";
import { writeError } from "../../shared/file-system.ts";
import { Tensor } from "../../tensor/tensor.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { describeValue, headLine } from "../describe-value.ts";
import { EXIT } from "../exit.ts";
import { existingNamespace, missing, withCache } from "../session.ts";

interface GetOptions extends CommonOptions {
  readonly output?: string;
}

const readable: ReadonlySet<string> = new Set(["json", "text"]);

export function getCommand(cli: Cli): Command {
  return cli
    .command(
      "get",
      "print a value as it is stored, or save it to a file; on a terminal, the head of binary ones",
    )
    .argument("<namespace>")
    .argument("<key>")
    .option("-o, --output <file>", "write the stored bytes to a file")
    .action(
      cli.action((name: string, key: string, options: GetOptions) =>
        withCache(options, "read", async (cache) => {
          const namespace = await existingNamespace(cache, name);
          const info = await namespace.info(key);
          if (info === undefined) throw missing(name, key);
          const bytes = () => namespace.createReadStream(key);
          if (options.output !== undefined) {
            await saveTo(options.output, bytes());
          } else if (options.json) {
            await cli.printJson(await plainValue(await namespace.get(key)));
          } else if (cli.io.isTerminal && !readable.has(info.codec)) {
            for (const head of await describeValue(await namespace.get(key))) {
              await cli.io.write(`${headLine(head)}\n`);
            }
          } else {
            for await (const chunk of bytes()) await cli.io.write(chunk);
            if (cli.io.isTerminal) await cli.io.write("\n");
          }
          return EXIT.ok;
        }),
      ),
    );
}

async function saveTo(path: string, bytes: Readable): Promise<void> {
  try {
    await pipeline(bytes, createWriteStream(path));
  } catch (error) {
    throw isQuiverError(error) ? error : writeError(error, path);
  }
}

/** A value in terms of JSON: tensors with all their elements, bytes as base64. */
async function plainValue(value: unknown): Promise<unknown> {
  if (value instanceof Tensor) {
    await value.ready();
    return { dtype: value.dtype, shape: value.shape, data: value.toArray() };
  }
  if (value instanceof Uint8Array) return { base64: Buffer.from(value).toString("base64") };
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  const parts = await Promise.all(
    Object.entries(value).map(async ([name, part]) => [name, await plainValue(part)] as const),
  );
  return Object.fromEntries(parts);
}
