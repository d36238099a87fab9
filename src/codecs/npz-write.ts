/** Writing npz archives: members in pieces, so that stored arrays are never joined in memory. */

import { asQuiverError, Deflater } from "../native/tensor.ts";
import { QuiverError } from "../shared/errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { ArchiveWriter } from "./archive.ts";
import { encodeArray } from "./array.ts";
import type { EncodedValue, EncodeOptions } from "./codec.ts";
import { throwIfAborted } from "./context.ts";
import { crcOfLarge, slices } from "./slices.ts";
import { loneSurrogate } from "./values.ts";

/** By default arrays from here on are stored, so that they map, and smaller ones deflated. */
const STORE_FROM = 64 * 1024;

/** What `numpy.savez_compressed` uses. */
const DEFAULT_LEVEL = 6;

/** Encodes the tensors as members `<name>.npy`, in order. Throws ERR_QUIVER_BAD_OPTION for compression other than none and deflate. */
export async function encodeArchive(
  tensors: readonly (readonly [name: string, tensor: Tensor])[],
  options: EncodeOptions,
): Promise<EncodedValue> {
  const levelFor = deflateLevels(options);
  const archive = new ArchiveWriter();
  for (const [name, tensor] of tensors) {
    checkName(name);
    if (tensor.isView) await tensor.ready();
    const [header, data] = encodeArray(tensor);
    const level = levelFor(data.byteLength);
    const { pieces, crc } =
      level === undefined
        ? { pieces: [header, data], crc: await crcOfLarge(header, data) }
        : await deflate([header, data], level, options.signal);
    const size = header.byteLength + data.byteLength;
    archive.add({ name: `${name}.npy`, pieces, crc, size, deflated: level !== undefined });
    throwIfAborted(options.signal);
  }
  return archive.finish();
}

/** The level for an array of that many bytes; undefined = stored. */
function deflateLevels({ compression }: EncodeOptions): (byteLength: number) => number | undefined {
  const { kind, level }: { kind: string | undefined; level?: number } =
    typeof compression === "object" ? compression : { kind: compression };
  const wanted = level ?? DEFAULT_LEVEL;
  if (!Number.isInteger(wanted) || wanted < 0 || wanted > 9) {
    throw new QuiverError("ERR_QUIVER_BAD_OPTION", `deflate has no level ${wanted}`, { fix: "Use 0 to 9." });
  }
  switch (kind) {
    case "none":
      return () => undefined;
    case "deflate":
      return () => wanted;
    case undefined:
      return (byteLength) => (byteLength < STORE_FROM ? wanted : undefined);
    default:
      throw new QuiverError("ERR_QUIVER_BAD_OPTION", `npz cannot be compressed with ${kind}`, {
        hint: "NumPy reads stored and deflated members",
        fix: 'Use compression "none" or "deflate".',
      });
  }
}

async function deflate(
  pieces: readonly Uint8Array[],
  level: number,
  signal: AbortSignal | undefined,
): Promise<{ pieces: Uint8Array[]; crc: number }> {
  const out: Uint8Array[] = [];
  try {
    const deflater = new Deflater(level);
    for (const piece of pieces) {
      for (const slice of slices(piece)) {
        throwIfAborted(signal);
        out.push(await deflater.write(slice));
      }
    }
    out.push(await deflater.finish());
    return { pieces: out.filter((piece) => piece.byteLength > 0), crc: deflater.crc };
  } catch (error) {
    throw asQuiverError(error);
  }
}

function checkName(name: string): void {
  if (loneSurrogate(name) < 0) return;
  throw new QuiverError("ERR_QUIVER_BAD_VALUE", `the member name ${JSON.stringify(name)} is not well-formed`);
}
