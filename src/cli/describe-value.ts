/** A value's head: enough to recognise it, never all of it. */

import { inspect } from "node:util";
import { namedTensors } from "../codecs/pt/contents.ts";
import type { Scalar } from "../tensor/dtype.ts";
import { Tensor } from "../tensor/tensor.ts";

/** What a value is like. Numbers that a tensor of its kind doesn't have are absent. */
export interface ValueHead {
  readonly kind: "tensor" | "text" | "bytes" | "json";
  /** Of the tensor in an archive of several. */
  readonly name?: string;
  readonly dtype?: string;
  readonly shape?: readonly number[];
  readonly min?: number;
  readonly max?: number;
  readonly mean?: number;
  readonly sum?: number;
  /** How many elements are NaN. */
  readonly nan?: number;
  /** The first elements, characters or bytes. */
  readonly first: readonly Scalar[] | string;
  /** The value goes on after `first`. */
  readonly more: boolean;
}

const FIRST_ELEMENTS = 8;
const FIRST_CHARACTERS = 200;
const FIRST_BYTES = 16;

/** Heads of a value's parts: one, or one for each tensor that is anywhere in it. Reads every element of its tensors. */
export async function describeValue(value: unknown): Promise<ValueHead[]> {
  if (value instanceof Tensor) return [await describeTensor(value)];
  if (value instanceof Uint8Array) return [describeBytes(value)];
  if (typeof value === "string") return [describeText("text", value)];
  if (isArchive(value)) {
    const parts = Object.entries(value);
    return Promise.all(
      parts.map(async ([name, part]) => ({
        name,
        ...(part instanceof Tensor ? await describeTensor(part) : describeBytes(part)),
      })),
    );
  }
  const tensors = namedTensors(value);
  if (tensors.length === 0) return [describeText("json", textOf(value))];
  return Promise.all(tensors.map(async ([name, tensor]) => ({ name, ...(await describeTensor(tensor)) })));
}

/** JSON, or for what JSON can't hold the notation of Node. */
function textOf(value: unknown): string {
  try {
    return JSON.stringify(value);
  } catch {
    return inspect(value, { breakLength: Number.POSITIVE_INFINITY });
  }
}

/** One line: `float64 [3, 4]  min 0  max 1  mean 0.5  first 0, 0.5, 1, …`. */
export function headLine(head: ValueHead): string {
  const parts: string[] = [];
  if (head.name !== undefined) parts.push(`${head.name}:`);
  if (head.dtype !== undefined) parts.push(`${head.dtype} [${head.shape?.join(", ")}]`);
  for (const name of ["min", "max", "mean"] as const) {
    const number = head[name];
    if (number !== undefined) parts.push(`${name} ${shortNumber(number)}`);
  }
  if (head.nan) parts.push(`${head.nan} NaN`);
  const first =
    typeof head.first === "string" ? head.first : `first ${head.first.map(scalarText).join(", ")}`;
  parts.push(head.more ? `${first}, …` : first);
  return parts.join("  ");
}

async function describeTensor(tensor: Tensor): Promise<ValueHead> {
  await tensor.ready();
  const { dtype, shape, size } = tensor;
  const count = Math.min(size, FIRST_ELEMENTS);
  const first = Array.from({ length: count }, (_, index) => tensor.at(...positionOf(index, shape)));
  return { kind: "tensor", dtype, shape, ...tensor.summary(), first, more: size > count };
}

/** The indices of an element that is the `index`th in row order. */
function positionOf(index: number, shape: readonly number[]): number[] {
  const position: number[] = [];
  let rest = index;
  for (const length of shape.toReversed()) {
    position.unshift(rest % length);
    rest = Math.floor(rest / length);
  }
  return position;
}

function describeText(kind: "text" | "json", text: string): ValueHead {
  return { kind, first: text.slice(0, FIRST_CHARACTERS), more: text.length > FIRST_CHARACTERS };
}

function describeBytes(bytes: Uint8Array): ValueHead {
  const first = Buffer.from(bytes.subarray(0, FIRST_BYTES))
    .toString("hex")
    .replace(/..(?=.)/g, "$& ");
  return { kind: "bytes", first, more: bytes.length > FIRST_BYTES };
}

function isArchive(value: unknown): value is Readonly<Record<string, Tensor | Uint8Array>> {
  if (typeof value !== "object" || value === null) return false;
  const parts = Object.values(value);
  return parts.length > 0 && parts.every((part) => part instanceof Tensor || part instanceof Uint8Array);
}

function scalarText(scalar: Scalar): string {
  if (typeof scalar === "object") {
    const [re, im] = scalar;
    return `${shortNumber(re)}${im < 0 ? "-" : "+"}${shortNumber(Math.abs(im))}i`;
  }
  return typeof scalar === "number" ? shortNumber(scalar) : String(scalar);
}

function shortNumber(value: number): string {
  return Number.isInteger(value) && Math.abs(value) < 1e15
    ? String(value)
    : String(Number(value.toPrecision(6)));
}
