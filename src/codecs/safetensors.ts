/** Named tensors as a safetensors file: `safetensors.torch.load_file`, `safetensors.numpy.load_file`. */

import { type SafetensorsHeader, safetensorsLayout, safetensorsParse } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import type { Elements } from "../tensor/elements.ts";
import { elementCount, rowMajorStrides } from "../tensor/layout.ts";
import { bytesOf, Tensor } from "../tensor/tensor.ts";
import type { Codec, DecodeContext, EncodedValue, EncodeOptions, PartedBytes } from "./codec.ts";
import { located, refuseCompression, throwIfAborted } from "./context.ts";
import { loneSurrogate } from "./values.ts";
import {
  elementsIn,
  elementsInParts,
  isTensors,
  knownDType,
  type StoredElements,
  weightOf,
} from "./views.ts";

/** Tensors by name. */
export type StateDict = Readonly<Record<string, Tensor>>;

/** What programs look for before they load a file with PyTorch; harmless to all others. */
const WRITTEN_FOR: Readonly<Record<string, string>> = { format: "pt" };

/** Bytes of the header's length. */
const LENGTH = 8;

const LONGEST_HEADER = 100_000_000;

/** Beside the values and not in them, because every name in a file may be a tensor's. */
const metadataOf = new WeakMap<object, Readonly<Record<string, string>>>();

/**
 * A plain object of tensors; every dtype but complex128. Tensors are written row by row, those with the largest
 * elements first, so that each is aligned to its elements and can be mapped; foreign files need not be like that,
 * and what is not aligned is copied. Reading one tensor of a mapped file touches no other.
 */
export const safetensors: Codec<StateDict> = {
  name: "safetensors",
  extension: "safetensors",
  sharing: "shared",
  mappable: true,
  accepts: (value) => {
    const tensors = isTensors(value) ? Object.values(value) : [];
    return tensors.length > 0 && tensors.every(({ dtype }) => dtype !== "complex128");
  },
  encode,
  decode: (bytes, context) => located(context, () => decode(bytes, context)),
  decodeParts: (bytes, context) => located(context, () => decodeParts(bytes, context)),
  weight: (value) => Object.values(value).reduce((sum, tensor) => sum + weightOf(tensor), 0),
};

/** Whether the first nine bytes can be those of a safetensors file: a header's length, and its first brace. */
export function startsLikeSafetensors(bytes: Uint8Array): boolean {
  if (bytes.byteLength < LENGTH + 1 || bytes[LENGTH] !== 0x7b) return false;
  const length = headerLength(bytes);
  return length >= 2n && length <= LONGEST_HEADER;
}

/** The length of the header, which a file begins with. */
function headerLength(bytes: Uint8Array): bigint {
  return new DataView(bytes.buffer, bytes.byteOffset, LENGTH).getBigUint64(0, true);
}

/** Where the header ends, in a file that is whole. */
function headerEnd(bytes: PartedBytes): number {
  if (bytes.byteLength < LENGTH) return bytes.byteLength;
  return Math.min(LENGTH + Number(headerLength(bytes.part(0, LENGTH))), bytes.byteLength);
}

/** The texts beside the tensors of a file (`__metadata__`); undefined for values that were not read from one. */
export function safetensorsMetadata(value: StateDict): Readonly<Record<string, string>> | undefined {
  return metadataOf.get(value);
}

/** The same tensors, to be written with these texts. Without it, what was read is written again, or `{ format: "pt" }`. */
export function withSafetensorsMetadata(
  value: StateDict,
  metadata: Readonly<Record<string, string>>,
): StateDict {
  const copy = Object.freeze({ ...value });
  metadataOf.set(copy, Object.freeze({ ...metadata }));
  return copy;
}

async function encode(value: StateDict, options: EncodeOptions): Promise<EncodedValue> {
  refuseCompression("safetensors", options);
  if (!isTensors(value)) {
    throw new QuiverError("ERR_QUIVER_BAD_VALUE", "safetensors holds a plain object of tensors", {
      fix: 'Name the tensor: { weight: tensor }; for nested values use the codec "pt".',
    });
  }
  const metadata = metadataOf.get(value) ?? WRITTEN_FOR;
  const named = Object.entries(value);
  const texts = Object.entries(metadata);
  checkTexts([...named.map(([name]) => name), ...texts.flat()]);
  for (const [, tensor] of named) {
    throwIfAborted(options.signal);
    if (tensor.isView) await tensor.ready();
  }
  const tensors = named.map(([name, { dtype, shape }]) => ({ name, dtype, shape: [...shape], start: 0 }));
  const { header, order } = safetensorsLayout(tensors, texts);
  const parts = order.map((position) => bytesOf((named[position] as [string, Tensor])[1].data));
  const byteLength = parts.reduce((sum, part) => sum + part.byteLength, header.byteLength);
  return { parts: [header, ...parts], byteLength };
}

function decode(bytes: Uint8Array, context: DecodeContext): StateDict {
  const header = safetensorsParse(bytes, bytes.byteLength);
  return stateOf(header, context, (stored) => elementsIn(bytes, stored, context));
}

function decodeParts(bytes: PartedBytes, context: DecodeContext): StateDict {
  const header = safetensorsParse(bytes.part(0, headerEnd(bytes)), bytes.byteLength);
  return stateOf(header, context, (stored) => elementsInParts(bytes, stored, context));
}

function stateOf(
  { metadata, tensors, dataOffset }: SafetensorsHeader,
  context: DecodeContext,
  elementsOf: (stored: StoredElements) => Elements,
): StateDict {
  context.verify?.(0, dataOffset);
  const value = Object.fromEntries(
    tensors.map(({ name, dtype: dtypeName, shape, start }) => {
      const dtype = knownDType(dtypeName);
      const elements = elementsOf({ dtype, count: elementCount(shape), at: start, start });
      return [name, new Tensor(elements, shape, { dtype, strides: rowMajorStrides(shape), offset: 0 })];
    }),
  );
  metadataOf.set(value, Object.freeze(Object.fromEntries(metadata)));
  return Object.freeze(value);
}

function checkTexts(texts: readonly string[]): void {
  const wrong = texts.find((text) => loneSurrogate(text) >= 0);
  if (wrong === undefined) return;
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `the text ${JSON.stringify(wrong)} is not well-formed`);
}
