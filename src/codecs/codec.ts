/** The contract of value formats: value <-> bytes that somebody else can read. */

/** An encoded value: its bytes in pieces, in order, so that large data need not be joined in memory. */
export interface EncodedValue {
  /** Owned by the caller of `encode`; must not change until the write is acknowledged or has copied them. */
  readonly parts: readonly Uint8Array[];
  readonly byteLength: number;
  /** Present when the value is one tensor. */
  readonly shape?: readonly number[];
  readonly dtype?: string;
}

/** How bytes are compressed; `level` is the method's own, its default when left out. */
export type Compression =
  | "none"
  | "deflate"
  | "zstd"
  | { readonly kind: "none" | "deflate" | "zstd"; readonly level?: number };

/** What a codec is told when it encodes. */
export interface EncodeOptions {
  /** undefined = the codec's own default. A codec that can't do it refuses with ERR_QUIVER_BAD_OPTION. */
  readonly compression?: Compression;
  readonly signal?: AbortSignal;
}

/** Bytes of which a part can be had at less expense than all of them, as of a mapped file. */
export interface PartedBytes {
  readonly byteLength: number;
  /** All of them; the same array each time. */
  readonly all: Uint8Array;
  /** The bytes `[start, end)`, as a view. */
  part(start: number, end: number): Uint8Array;
}

/** What is known about bytes being decoded. */
export interface DecodeContext {
  /** For messages. */
  readonly key?: string;
  readonly path?: string;
  /** The bytes are a view into a mapped file: tensors should be views on them. */
  readonly mapped: boolean;
  /** Bytes of `[start, end)` must be checked through one of these before they are believed; both absent: already checked. */
  readonly verify?: (start: number, end: number) => void;
  readonly ready?: (start: number, end: number) => Promise<void>;
  /** `verify` costs next to nothing however long the range is: nobody has to be sent to `ready` first. */
  readonly instant?: boolean;
}

/** A format of values: its names, and the way to bytes and back. */
export interface Codec<T = unknown> {
  /** Stable name, recorded with every entry: "npy", "json", … */
  readonly name: string;
  /** File extension without dot; not always the name (`bin` writes .dat). */
  readonly extension: string;
  /** Whether this codec can encode the value; choosing by value asks the codecs in order. */
  accepts(value: unknown): boolean;
  /** Throws QuiverError ERR_QUIVER_BAD_VALUE for values it can't hold. */
  encode(value: T, options: EncodeOptions): EncodedValue | Promise<EncodedValue>;
  /** Synchronous; may return views on `bytes`. Throws ERR_QUIVER_CORRUPT for bytes that aren't this format. */
  decode(bytes: Uint8Array, context: DecodeContext): T;
  /** The same, looking at no more than it needs, where parts of the bytes can be had at less expense than all. Must equal `decode`. */
  decodeParts?(bytes: PartedBytes, context: DecodeContext): T;
  /** `decode` looks at all bytes at once, so that they are checked off the main thread before it is called. */
  readonly whole?: boolean;
  /** Where decoding can take long (inflating): the same off the main thread. Must equal `decode`. */
  decodeAsync?(bytes: Uint8Array, context: DecodeContext): Promise<T>;
  /**
   * Whether decoded values may be handed to several callers: "shared" (immutable by nature or documented views),
   * "frozen" (deep-frozen on first decode, with no view on `bytes` in them), "cloned" (decoded anew for each, as they
   * can't be frozen) or "private" (the same, whatever a namespace says in `objects`).
   */
  readonly sharing: "shared" | "frozen" | "cloned" | "private";
  /** Values are tensors that check their bytes when they are used, so that a file of them can be mapped and not read. Default: false. */
  readonly mappable?: boolean;
  /** Estimated bytes of heap a decoded value holds beyond `bytes` it views; for the memory tier's bound. */
  weight?(value: T): number;
}
