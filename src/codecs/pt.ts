/** Nested values with tensors as `torch.save` writes them: state dicts and checkpoints. */

import {
  type PtContainer,
  type PtGraph,
  type PtStorage,
  ptIsLegacy,
  ptOpen,
  ptParse,
  ptParseLegacy,
  type ZipMember,
} from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import { Tensor } from "../tensor/tensor.ts";
import { ArchiveWriter, type MemberBytes, readMember, readMemberAsync, verifyFrame } from "./archive.ts";
import type { Codec, DecodeContext, EncodedValue, EncodeOptions } from "./codec.ts";
import { located, locatedAsync, refuseCompression, throwIfAborted } from "./context.ts";
import { tensorsIn } from "./pt/contents.ts";
import { decodeGraph } from "./pt/graph.ts";
import { pickle } from "./pt/pickle.ts";
import { PythonObject, Tuple } from "./pt/python.ts";
import { layOut } from "./pt/storages.ts";
import { tensorReader } from "./pt/tensors.ts";
import { crcOfLarge } from "./slices.ts";
import { weightOf } from "./views.ts";

/** Folder of the members; `torch.save` uses it where it does not know the file's name. */
const ROOT = "archive";

/** A parsed value holds about this many bytes of heap beside its tensors. */
const FIXED_WEIGHT = 1_000;

/**
 * null, booleans, numbers, bigints, text, bytes, arrays, plain objects, Map, Set, `Tuple`, `PythonObject` and tensors,
 * nested as they like. Whole numbers are written as int, others as float; what was read is written again as what it
 * was: floats, `OrderedDict`, parameters, shared storages. Dicts with other keys than text come as Map.
 *
 * Nothing in a file is run. Files that ask for more than `torch.load(weights_only=True)` allows are refused with
 * ERR_QUIVER_UNSUPPORTED, which names what they ask for. Tensors arrive in memory, whatever device they were on.
 */
export const pt: Codec = {
  name: "pt",
  extension: "pt",
  sharing: "shared",
  mappable: true,
  accepts: (value) => value instanceof Tuple || value instanceof PythonObject || tensorsIn(value).size > 0,
  encode,
  decode: (bytes, context) =>
    located(context, () => {
      if (ptIsLegacy(bytes)) return decodeLegacy(bytes, context);
      const container = open(bytes, context);
      const parsed = parse(readMember(bytes, container.pickle, context, false));
      const find = finder(container);
      const blocks = parsed.storages.map((storage) => readMember(bytes, find(storage), context, false));
      return assemble(parsed, blocks, container.bigEndian);
    }),
  decodeAsync: (bytes, context) =>
    locatedAsync(context, async () => {
      if (ptIsLegacy(bytes)) {
        await context.ready?.(0, bytes.byteLength);
        return decodeLegacy(bytes, context);
      }
      const container = open(bytes, context);
      const parsed = parse(await readMemberAsync(bytes, container.pickle, context, false));
      const find = finder(container);
      const blocks: MemberBytes[] = [];
      for (const storage of parsed.storages) {
        blocks.push(await readMemberAsync(bytes, find(storage), context, false));
      }
      return assemble(parsed, blocks, container.bigEndian);
    }),
  weight: (value) => [...tensorsIn(value)].reduce((sum, tensor) => sum + weightOf(tensor), FIXED_WEIGHT),
};

/**
 * Whether the first bytes are those of a file of `torch.save`: an archive whose first member is a folder's
 * `data.pkl`, or what was written before there were archives. 128 bytes are enough for folders of usual names.
 */
export function startsLikePt(bytes: Uint8Array): boolean {
  if (ptIsLegacy(bytes)) return true;
  if (bytes.byteLength < 30 || bytes[0] !== 0x50 || bytes[1] !== 0x4b || bytes[2] !== 3) return false;
  const nameLength = new DataView(bytes.buffer, bytes.byteOffset).getUint16(26, true);
  const name = Buffer.from(bytes.subarray(30, 30 + nameLength)).toString("latin1");
  return name.endsWith("/data.pkl");
}

async function encode(value: unknown, options: EncodeOptions): Promise<EncodedValue> {
  refuseCompression("pt", options);
  const tensors = tensorsIn(value);
  for (const tensor of tensors) {
    throwIfAborted(options.signal);
    if (tensor.isView) await tensor.ready();
  }
  const layout = layOut(tensors);
  const archive = new ArchiveWriter();
  const add = async (name: string, bytes: Uint8Array): Promise<void> => {
    throwIfAborted(options.signal);
    const { crc, size } = { crc: await crcOfLarge(bytes), size: bytes.byteLength };
    archive.add({ name: `${ROOT}/${name}`, pieces: [bytes], crc, size, deflated: false });
  };
  await add("data.pkl", pickle(value, layout));
  await add(".format_version", Buffer.from("1"));
  await add(".storage_alignment", Buffer.from("64"));
  await add("byteorder", Buffer.from("little"));
  for (const [key, bytes] of layout.storages.entries()) await add(`data/${key}`, bytes);
  await add("version", Buffer.from("3\n"));
  const encoded = archive.finish();
  return value instanceof Tensor ? { ...encoded, shape: value.shape, dtype: value.dtype } : encoded;
}

/** The parts of an archive; everything that was read to find them has been checked. */
function open(bytes: Uint8Array, context: DecodeContext): PtContainer {
  const container = ptOpen(bytes);
  const { pickle: program, notes, storages } = container;
  verifyFrame(bytes, [program, ...notes, ...storages], context);
  for (const { offset, compressedSize } of notes) context.verify?.(offset, offset + compressedSize);
  return container;
}

function parse({ bytes, start, context }: MemberBytes): PtGraph {
  context.verify?.(start, start + bytes.byteLength);
  return ptParse(bytes);
}

/** Finds the member of a storage, which must be exactly as long as the pickle says. */
function finder({ storages }: PtContainer): (storage: PtStorage) => ZipMember {
  const members = new Map(storages.map((member) => [member.name, member]));
  return ({ key, byteLength }) => {
    const member = members.get(key);
    if (member?.size === byteLength) return member;
    const what = member === undefined ? "is missing" : `has ${member.size} bytes`;
    throw new QuiverError("ERR_QUIVER_CORRUPT", `storage ${JSON.stringify(key)} ${what}`, {
      expected: byteLength,
      found: member?.size,
    });
  };
}

function assemble(parsed: PtGraph, blocks: readonly MemberBytes[], bigEndian: boolean): unknown {
  return decodeGraph(parsed.nodes, tensorReader(parsed.storages, blocks, bigEndian));
}

function decodeLegacy(bytes: Uint8Array, context: DecodeContext): unknown {
  const parsed = ptParseLegacy(bytes);
  context.verify?.(0, bytes.byteLength);
  const blocks = parsed.storages.map(({ start = 0, byteLength }) => ({
    bytes: bytes.subarray(start, start + byteLength),
    start,
    context,
  }));
  return assemble(parsed, blocks, parsed.bigEndian);
}
