/** Texts from a file or standard input: a line each, or a field of a JSON object a line. */

import { createReadStream } from "node:fs";
import { QuiverError } from "../../shared/errors.ts";
import type { CliIo } from "../io.ts";

/** Most bytes of a line. */
const LONGEST_LINE = 256 * 1024 * 1024;

/**
 * Reads texts from a file, or from standard input for "-". Files that end in `.jsonl` or `.ndjson`, and everything
 * when `field` is given, are JSON lines. The last line may lack its end; empty lines are texts, but not of JSON lines.
 */
export async function readTexts(io: CliIo, file: string, field: string | undefined): Promise<string[]> {
  const isJson = field !== undefined || /\.(jsonl|ndjson)$/i.test(file);
  const bytes = file === "-" ? io.input : createReadStream(file);
  const texts: string[] = [];
  let number = 0;
  try {
    for await (const line of linesOf(bytes)) {
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

/** Lines without their ends, of bytes in UTF-8. */
async function* linesOf(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<string, void, undefined> {
  const decoder = new TextDecoder();
  let rest = "";
  for await (const chunk of bytes) {
    const [first = "", ...lines] = decoder.decode(chunk, { stream: true }).split("\n");
    // Only what came is searched, so that a long line takes no longer than many short ones.
    lines.unshift(rest + first);
    rest = lines.pop() ?? "";
    if (rest.length > LONGEST_LINE)
      throw new QuiverError("ERR_QUIVER_TOO_LARGE", "a line is too long to be a text");
    for (const line of lines) yield line.replace(/\r$/, "");
  }
  rest += decoder.decode();
  if (rest !== "") yield rest.replace(/\r$/, "");
}
