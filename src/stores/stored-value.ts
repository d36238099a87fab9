/** Values as stores hand them out. */

import type { PartedBytes } from "../codecs/codec.ts";
import { NOWHERE, type StoredValue } from "./store.ts";

type InParts = Omit<StoredValue, "bytes"> & { readonly parts: PartedBytes };

/**
 * A large value, whose `bytes` are had as a whole only when somebody asks. A class, because to make an object with a
 * getter takes as long as to open the file.
 */
export class ValueInParts implements StoredValue {
  readonly parts: PartedBytes;
  readonly codec: string;
  readonly createdAt: number;
  readonly expiresAt: number | null;
  readonly mapped: boolean;
  readonly verify: StoredValue["verify"];
  readonly ready: StoredValue["ready"];
  readonly slot: number;
  readonly stamp: number;

  constructor({ parts, codec, createdAt, expiresAt, mapped, verify, ready, slot, stamp }: InParts) {
    this.parts = parts;
    this.codec = codec;
    this.createdAt = createdAt;
    this.expiresAt = expiresAt;
    this.mapped = mapped;
    this.verify = verify;
    this.ready = ready;
    this.slot = slot;
    this.stamp = stamp;
  }

  get bytes(): Uint8Array {
    return this.parts.all;
  }
}

/** The same value for somebody who has no means to look whether it is still the one stored. */
export function unplaced(value: StoredValue): StoredValue {
  const { parts, codec, createdAt, expiresAt, mapped, verify, ready } = value;
  return parts === undefined
    ? { ...value, slot: NOWHERE, stamp: 0 }
    : new ValueInParts({
        parts,
        codec,
        createdAt,
        expiresAt,
        mapped,
        verify,
        ready,
        slot: NOWHERE,
        stamp: 0,
      });
}
