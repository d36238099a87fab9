/** `quiver set`: a value from the command line, a file or standard input. */

import type { Command } from "commander";
import { loadFile } from "../../codecs/files.ts";
import { codecs } from "../../codecs/registry.ts";
import { QuiverError } from "../../shared/errors.ts";
import { formatSize } from "../../shared/units.ts";
import type { Cli, CommonOptions } from "../cli.ts";
import { EXIT } from "../exit.ts";
import type { CliIo } from "../io.ts";
import { parseInteger, parseObject } from "../parse.ts";
import { withCache } from "../session.ts";

interface SetOptions extends CommonOptions {
  readonly file?: string;
  readonly codec?: string;
  readonly ttl?: string;
  readonly tag?: readonly string[];
  readonly meta?: Readonly<Record<string, unknown>>;
  readonly priority?: number;
  readonly pin?: boolean;
}

export function setCommand(cli: Cli): Command {
  return cli
    .command("set", "store a value; the cache is made where it is absent")
    .argument("<namespace>")
    .argument("<key>")
    .argument("[value]", "text, or JSON with --codec json; - or nothing reads standard input")
    .option("-f, --file <file>", "take the value from a file; .npy, .npz, .json and .txt are understood")
    .addOption(
      cli.choice(
        "--codec <name>",
        "format to store it in",
        codecs.map(({ name }) => name),
      ),
    )
    .option("--ttl <duration>", "how long it stays, such as 30m or 7d")
    .option("--tag <tag...>", "tags to invalidate it by")
    .option("--meta <json>", "metadata, a JSON object", parseObject)
    .option("--priority <number>", "lower priorities are evicted first", parseInteger)
    .option("--pin", "never evict it")
    .action(
      cli.action(async (name: string, key: string, text: string | undefined, options: SetOptions) => {
        const value = await readValue(cli.io, text, options);
        const { codec, ttl, tag: tags, meta: metadata, priority, pin: pinned } = options;
        const given = Object.fromEntries(
          Object.entries({ codec, ttl, tags, metadata, priority, pinned }).filter(
            ([, part]) => part !== undefined,
          ),
        );
        const info = await withCache(options, "create", (cache) =>
          cache.namespace(name).set(key, value, given),
        );
        if (options.json) await cli.printJson(info);
        else cli.io.note(cli.line(`stored ${key}: ${formatSize(info.size)} as ${info.codec}`));
        return EXIT.ok;
      }),
    );
}

async function readValue(io: CliIo, text: string | undefined, options: SetOptions): Promise<unknown> {
  if (options.file !== undefined) {
    if (text !== undefined) {
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", "a value and --file were given", {
        fix: "Give one of them.",
      });
    }
    return loadFile(options.file);
  }
  const given = text === undefined || text === "-" ? await readAll(io.input) : text;
  if (options.codec === "json") return parseJson(String(given));
  if (options.codec === "bin") return Buffer.from(given);
  return typeof given === "string" || options.codec === "text" ? String(given) : given;
}

async function readAll(input: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of input) chunks.push(chunk);
  return Buffer.concat(chunks);
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "the value is not JSON", {
      cause,
      fix: "Quote it for the shell.",
    });
  }
}
