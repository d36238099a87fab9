/**
 * FFTW wisdom: the plans that FFTW found to be fastest, as the text that its export functions write. It is stored
 * as bytes and served byte for byte; what is here reads it, to check, describe and merge it.
 *
 * Wisdom belongs to one build of FFTW on one kind of processor: import fails, and planning starts from nothing,
 * where library version, precision or build words differ. A good key names host processor, FFTW version, precision
 * and number of threads.
 */

import { badArgument } from "../shared/arguments.ts";
import { QuiverError } from "../shared/errors.ts";
import { compareKeys } from "../shared/keys.ts";

/** The floating-point type that wisdom is for. */
export type WisdomPrecision = "double" | "single" | "long double" | "quad";

/** One remembered plan. All words are unsigned 32-bit numbers. */
export interface WisdomPlan {
  /** The solver's name in FFTW's sources, such as `fftw_codelet_n2fv_64_avx`. */
  readonly solver: string;
  /** Which of the registrations of that name. */
  readonly registration: number;
  /** Planner flags: lower bound, upper bound, and how impatient a time limit had made the planner. */
  readonly flags: readonly [lower: number, upper: number, impatience: number];
  /** Hash of the problem that the plan solves: four words. */
  readonly problem: readonly number[];
}

/** What a piece of wisdom says about itself. */
export interface Wisdom {
  /** Of the library, such as `3.3.10`. */
  readonly version: string;
  readonly precision: WisdomPrecision;
  /** Four words that identify the set of solvers in the library that wrote it. */
  readonly buildWords: readonly number[];
  /** In the order of the text, which differs from one export to the next. */
  readonly plans: readonly WisdomPlan[];
}

/** The preamble's second word for each precision. */
const PREAMBLES: ReadonlyMap<string, WisdomPrecision> = new Map([
  ["fftw_wisdom", "double"],
  ["fftwf_wisdom", "single"],
  ["fftwl_wisdom", "long double"],
  ["fftwq_wisdom", "quad"],
]);

// FFTW's scanner skips what C's isspace skips, also none of it, wherever its own format has a blank or a bracket.
const BLANK = "[ \\t\\n\\v\\f\\r]*";
const words = (count: number): string => `${BLANK}#x([0-9a-fA-F]+)`.repeat(count);
const HEAD = new RegExp(`${BLANK}\\(fftw-([^\\s()]+?)${BLANK}(fftw[flq]?_wisdom)${words(4)}`, "y");
const PLAN = new RegExp(`${BLANK}\\(([^\\s()]+)[ \\t\\n\\v\\f\\r]+([+-]?\\d+)${words(7)}${BLANK}\\)`, "y");
const END = new RegExp(`${BLANK}\\)`, "y");

/** Widths of the flag words in FFTW's planner, in bits; it aborts the process when a word is wider. */
const FLAG_BITS = [20, 20, 9] as const;

/**
 * Reads wisdom. Accepts what FFTW accepts: white space before it, CRLF, no last newline, anything after its closing
 * bracket. Throws ERR_QUIVER_CORRUPT for the rest: other text before it, truncated or empty input, and flags that
 * would make FFTW abort. Whether a library knows the solvers, only that library can tell.
 */
export function describeWisdom(bytes: Uint8Array): Wisdom {
  if (!(bytes instanceof Uint8Array)) throw badArgument("wisdom", bytes, "a Uint8Array");
  // One character a byte, so that positions are byte offsets whatever follows the closing bracket.
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
  let position = 0;
  const match = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = position;
    const found = pattern.exec(text);
    if (found !== null) position = pattern.lastIndex;
    return found;
  };

  const head = match(HEAD);
  const precision = PREAMBLES.get(head?.[2] ?? "");
  if (head === null || precision === undefined) {
    throw notWisdom("it does not start with FFTW's version line", position);
  }
  const plans: WisdomPlan[] = [];
  while (match(END) === null) {
    const start = position;
    const plan = match(PLAN);
    if (plan === null) throw notWisdom("there is neither a plan nor the closing bracket", start);
    const [lower, upper, impatience, ...problem] = plan.slice(3).map(wordOf) as [number, number, number];
    const flags = [lower, upper, impatience] as const;
    if (flags.some((flag, index) => flag >= 2 ** (FLAG_BITS[index] as number))) {
      throw notWisdom("a plan has flags that no planner has", start);
    }
    plans.push({ solver: plan[1] as string, registration: Number(plan[2]), flags, problem });
  }
  return { version: head[1] as string, precision, buildWords: head.slice(3).map(wordOf), plans };
}

/** Whether `describeWisdom` can read it. */
export function isWisdom(bytes: Uint8Array): boolean {
  try {
    describeWisdom(bytes);
    return true;
  } catch {
    return false;
  }
}

/**
 * The plans of all of them as one piece of wisdom, in an order that depends on the plans alone. Where several have
 * a plan for the same problem and flags, the last one counts, as when FFTW imports one after the other. Throws
 * ERR_QUIVER_BAD_VALUE for an empty list and for wisdom of different libraries, ERR_QUIVER_CORRUPT for what is none.
 */
export function mergeWisdom(list: readonly Uint8Array[]): Uint8Array {
  if (!Array.isArray(list)) throw badArgument("what is merged", list, "a list of wisdom");
  const all = list.map(describeWisdom);
  const [first] = all;
  if (first === undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "there is no wisdom to merge", {
      fix: "Give at least one piece of wisdom.",
    });
  }
  const head = headOf(first);
  const other = all.find((wisdom) => headOf(wisdom) !== head);
  if (other !== undefined) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "wisdom of different libraries can't be merged", {
      hint: "FFTW refuses wisdom whose version, precision or build words are not its own.",
      fix: "Merge only what one build of the library has written; export the rest again with that build.",
      expected: head,
      found: headOf(other),
    });
  }
  const merged = new Map<string, string>();
  for (const { problem, flags, solver, registration } of all.flatMap(({ plans }) => plans)) {
    const where = [...flags.map((flag) => `#x${flag.toString(16)}`), ...problem.map(hashWord)].join(" ");
    merged.set([...problem, ...flags].map(hashWord).join(), `  (${solver} ${registration} ${where})\n`);
  }
  const lines = [...merged].sort(([left], [right]) => compareKeys(left, right)).map(([, line]) => line);
  return Buffer.from(`(${head}\n${lines.join("")})\n`, "latin1");
}

function headOf({ version, precision, buildWords }: Wisdom): string {
  const [preamble] = [...PREAMBLES].find(([, name]) => name === precision) as [string, WisdomPrecision];
  return `fftw-${version} ${preamble} ${buildWords.map(hashWord).join(" ")}`;
}

/** The lowest 32 bits, which is what FFTW keeps of a longer number. */
function wordOf(hex: string): number {
  return Number.parseInt(hex.slice(-8), 16);
}

function hashWord(word: number): string {
  return `#x${word.toString(16).padStart(8, "0")}`;
}

function notWisdom(reason: string, offset: number): QuiverError {
  return new QuiverError(
    "ERR_QUIVER_CORRUPT",
    `these bytes are not FFTW wisdom: ${reason} (byte ${offset})`,
    {
      hint: "FFTW would refuse to import them and plan from nothing.",
      fix: "Export the wisdom again from the library that uses it.",
    },
  );
}
