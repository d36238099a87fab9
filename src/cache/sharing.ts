/** What has to be done to a decoded value before several callers may be given it. */

import { markAsUntransferable } from "node:worker_threads";
import type { Codec } from "../codecs/codec.ts";
import { tensorsIn } from "../codecs/pt/contents.ts";
import { isPlainObject } from "../codecs/values.ts";
import { type StoredValue, sizeOf } from "../stores/store.ts";
import { Tensor } from "../tensor/tensor.ts";

/** A parsed value holds about this many bytes of heap for each byte of text. */
const HEAP_PER_ENCODED_BYTE = 3;

/**
 * What a value in a mapped file counts: next to no memory, but mappings are limited, and holding the value keeps
 * one. The default limit of 256 MB so holds at most 4,096 of them.
 */
const MAPPING_WEIGHT = 64 * 1024;

/** How several callers get at one plain value; see `NamespaceOptions.objects`. */
export type ObjectSharing = "frozen" | "shared" | "cloned";

/** What becomes of a decoded value: handed out as views, frozen, as it is, or decoded anew for each caller. */
type Handling = "views" | "frozen" | "plain" | "private";

function handlingOf(codec: Codec, objects: ObjectSharing): Handling {
  if (codec.sharing === "shared") return "views";
  if (codec.sharing === "private" || objects === "cloned") return "private";
  if (objects === "shared") return "plain";
  return codec.sharing === "frozen" ? "frozen" : "private";
}

/** Memory that values are views on: a buffer, or what makes buffers as they are needed. Empty once it was transferred away. */
export interface Memory {
  readonly byteLength: number;
}

/** A value that can be handed to any number of callers. */
export interface Shareable {
  readonly value: unknown;
  /** The memory it is a view on, made untransferable: a transfer by one caller would empty it for all. */
  readonly memory: readonly Memory[];
  /** Bytes that holding it costs; infinite where it must not be held. */
  readonly weight: number;
}

/** A value that is given to one caller only, who may not see that it isn't held. */
export function shareOnce(value: unknown, codec: Codec, objects: ObjectSharing): unknown {
  return handlingOf(codec, objects) === "frozen" ? deepFreeze(value) : value;
}

export function share(value: unknown, codec: Codec, stored: StoredValue, objects: ObjectSharing): Shareable {
  const handling = handlingOf(codec, objects);
  if (handling === "private") return { value, memory: [], weight: Number.POSITIVE_INFINITY };
  if (handling !== "views") {
    const weight = codec.weight?.(value) ?? sizeOf(stored) * HEAP_PER_ENCODED_BYTE;
    return { value: handling === "frozen" ? deepFreeze(value) : value, memory: [], weight };
  }
  const buffers = buffersOf(value, stored);
  for (const buffer of buffers) markAsUntransferable(buffer as ArrayBuffer);
  const viewed = stored.mapped ? MAPPING_WEIGHT : sizeOf(stored);
  const memory = stored.parts === undefined ? buffers : [stored.parts, ...buffers];
  return { value, memory, weight: viewed + (codec.weight?.(value) ?? 0) };
}

/** Freezes plain objects and arrays all the way down; returns its argument. */
export function deepFreeze<T>(value: T): T {
  const pending: unknown[] = [value];
  while (pending.length > 0) {
    const next = pending.pop();
    if (typeof next !== "object" || next === null || Object.isFrozen(next) || ArrayBuffer.isView(next))
      continue;
    Object.freeze(next);
    for (const member of Object.values(next)) pending.push(member);
  }
  return value;
}

/** The buffers that a value is a view on, but for those that the store makes of parts. */
function buffersOf(value: unknown, stored: StoredValue): readonly ArrayBufferLike[] {
  const own = stored.parts === undefined ? [stored.bytes.buffer] : [];
  if (value instanceof Tensor && value.isView) return own;
  const buffers = new Set<ArrayBufferLike>(own);
  for (const member of isPlainObject(value) ? Object.values(value) : []) {
    if (ArrayBuffer.isView(member)) buffers.add(member.buffer);
  }
  for (const tensor of tensorsIn(value)) {
    // The memory of a mapped tensor is that of the stored bytes, and asking for it would check all of it.
    if (!tensor.isView) buffers.add(tensor.memory.buffer);
  }
  return [...buffers];
}
