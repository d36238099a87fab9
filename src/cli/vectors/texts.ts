/** Texts from a file or standard input: a line each, or a field of a JSON object a line. */

import { isUtf8 } from "node:buffer";
import { createReadStream } from "node:fs";
import { QuiverError } from "../../shared/errors.ts";
import type { CliIo } from "../io.ts";

/** Most bytes of a line. */
const LONGEST_LINE = 256 * 1024 * 1024;

const NEWLINE = 0x0a;

/** Where texts are. */
export interface TextSource {
  /** Path of a file; "-" for standard input. */
  readonly file: string;
  /** The field of JSON lines that holds the text. */
  readonly field?: string;
  /** Takes U+FFFD for bytes that are no UTF-8, which are an error otherwise. */
  readonly lossy?: boolean;
}

/**
 * Reads texts from a file, or from standard input for "-". Files that end in `.jsonl` or `.ndjson`, and everything
 * when `field` is given, are JSON lines. The last line may lack its end; empty lines are texts, but not of JSON lines.
 */
export async function readTexts(io: CliIo, { file, field, lossy }: TextSource): Promise<string[]> {
  const isJson = field !== undefined || /\.(jsonl|ndjson)$/i.test(file);
  const bytes = file === "-" ? io.input : createReadStream(file);
  const texts: string[] = [];
  let number = 0;
  try {
    for await (const line of linesOf(bytes, lossy ? undefined : file)) {
      number++;
      if (!isJson) texts.push(line);
      else if (line.trim() !== "") texts.push(textIn(line, field ?? "text", `${file}:${number}`));
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ENOENT") throw error;
    throw new QuiverError("ERR_QUIVER_NOT_FOUND", `there is no file ${file}`, {
      path: file,
      hint: "Texts are read from a file, or from standard input for -.",
      fix: "Correct the path.",
    });
  }
  return texts;
}

function textIn(line: string, field: string, place: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", `${place} is not JSON`, { cause });
  }
  const text = (value as Readonly<Record<string, unknown>> | null)?.[field];
  if (typeof text === "string") return text;
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `${place} has no text in "${field}"`, {
    hint: "Each line is an object with the text in this field.",
    fix: "Name the right field with --field.",
  });
}

/** Lines without their ends. Bytes that are no UTF-8 are refused as those of `file`, or without one replaced. */
async function* linesOf(
  bytes: AsyncIterable<Uint8Array>,
  file: string | undefined,
): AsyncGenerator<string, void, undefined> {
  let number = 0;
  const split = (block: Buffer): string[] => {
    if (file !== undefined && !isUtf8(block)) throw notUtf8(file, number + badLine(block));
    const lines = block.toString("utf8").split("\n");
    if (number === 0) lines[0] = (lines[0] ?? "").replace(/^\ufeff/, "");
    number += lines.length;
    return lines.map((line) => line.replace(/\r$/, ""));
  };
  // Pieces of a line whose end has not come, so that a long line takes no longer than many short ones.
  let rest: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    const end = chunk.lastIndexOf(NEWLINE);
    if (end >= 0) {
      yield* split(Buffer.concat([...rest, chunk.subarray(0, end)]));
      rest = [];
      length = 0;
    }
    rest.push(chunk.subarray(end + 1));
    length += chunk.length - end - 1;
    if (length > LONGEST_LINE)
      throw new QuiverError("ERR_QUIVER_TOO_LARGE", "a line is too long to be a text");
  }
  if (length > 0) yield* split(Buffer.concat(rest));
}

/** Which line of a block, counted from 1, is no UTF-8. */
function badLine(block: Buffer): number {
  let [number, start] = [1, 0];
  for (let end = block.indexOf(NEWLINE); end >= 0; end = block.indexOf(NEWLINE, start)) {
    if (!isUtf8(block.subarray(start, end))) return number;
    number++;
    start = end + 1;
  }
  return number;
}

function notUtf8(file: string, line: number): QuiverError {
  return new QuiverError("ERR_QUIVER_BAD_VALUE", `${file}:${line} is not UTF-8`, {
    hint: "Texts are read as UTF-8. The file may be in another encoding, or damaged.",
    fix: "Convert it, for example with iconv -f WINDOWS-1252 -t UTF-8, or take U+FFFD for such bytes with --lossy.",
  });
}
