/** The one error class, its codes, and what each code usually means and asks for. */

/** For each code why it happens and what to do about it, a sentence each. */
const ADVICE = {
  ERR_QUIVER_BAD_OPTION: {
    hint: "An option has a value that it cannot take.",
    fix: "Correct the option that the message names.",
  },
  ERR_QUIVER_BAD_KEY: {
    hint: "Keys are non-empty well-formed strings without NUL, up to 16,384 bytes as UTF-8.",
    fix: "Use another key; a digest of a long or binary key is a good one.",
  },
  ERR_QUIVER_BAD_VALUE: {
    hint: "The value is not one that the codec or the call can take.",
    fix: "Convert it first, or name a codec that holds it.",
  },
  ERR_QUIVER_BAD_NAMESPACE: {
    hint: "A namespace is a folder name: letters, digits, '.', '_' and '-', starting with a letter or digit, up to 128 characters.",
    fix: "Choose another name for the namespace.",
  },
  ERR_QUIVER_OUT_OF_RANGE: {
    hint: "An index or a range lies outside of the data.",
    fix: "Compare the range with the shape or the length of the value.",
  },
  ERR_QUIVER_UNSUPPORTED: {
    hint: "This store, codec or platform cannot do what was asked.",
    fix: "Look at the store's capabilities with cache.describe(), or use another store or codec.",
  },
  ERR_QUIVER_CORRUPT: {
    hint: "The bytes are not what their format says they must be.",
    fix: "Write or compute it again; of a cache `quiver verify --repair` deletes what is damaged.",
  },
  ERR_QUIVER_CHECKSUM_MISMATCH: {
    hint: "The bytes on the disk are no longer those that were written.",
    fix: "Delete the entry and compute it again; if this happens repeatedly, check the disk.",
  },
  ERR_QUIVER_NOT_READY: {
    hint: "The range is too large to be verified on the main thread.",
    fix: "Call `await tensor.ready(range)` first.",
  },
  ERR_QUIVER_NOT_FOUND: {
    hint: "There is nothing under this name.",
    fix: "List what there is with `quiver ls`.",
  },
  ERR_QUIVER_CLOSED: {
    hint: "The cache, or a handle that it gave out, was closed before this call.",
    fix: "Open the cache again, or close it later.",
  },
  ERR_QUIVER_READ_ONLY: {
    hint: 'The cache was opened with mode "read-only", or its files may not be written.',
    fix: 'Open it with mode "read-write" in a place where this user may write.',
  },
  ERR_QUIVER_READ_ONLY_LIVE: {
    hint: "The cache may be changing, and a reader that cannot register itself would see pages being reused.",
    fix: "Give this user write access to .quiver/catalog/lock.mdb, or open a copy of the cache.",
  },
  ERR_QUIVER_DISK_FULL: {
    hint: "The file system has no room left, or a quota is used up.",
    fix: "Free some space, or open the cache with a smaller maxSize.",
  },
  ERR_QUIVER_PERMISSION: {
    hint: "The operating system refused access.",
    fix: "Check owner and mode of the path.",
  },
  ERR_QUIVER_TOO_LARGE: {
    hint: "One value is larger than the limit of the place where it would be stored.",
    fix: "Raise maxSize, or route large values to another store.",
  },
  ERR_QUIVER_TOO_MANY_MAPPINGS: {
    hint: "Too many different large values are in use at the same time.",
    fix: "Drop references to tensors that are no longer needed, or copy what is needed of them.",
  },
  ERR_QUIVER_LOCK_TIMEOUT: {
    hint: "Another process holds the lock and did not give it back in time; it may be stopped or hung.",
    fix: "Look at the process that the message names, then try again.",
  },
  ERR_QUIVER_BUSY: {
    hint: "The operation needs the cache for itself while other processes have it open.",
    fix: "Close the cache in the other processes, then try again.",
  },
  ERR_QUIVER_SETTINGS_DIFFER: {
    hint: "The settings are recorded in the cache, and this call asks for others.",
    fix: "Leave the setting out, or open with { reconfigure: true } to change it for everybody.",
  },
  ERR_QUIVER_FORMAT_VERSION: {
    hint: "The cache was written by a version whose format this one does not know.",
    fix: "Update quiver-cache, or use another directory.",
  },
  ERR_QUIVER_FOREIGN_LIBC: {
    hint: "A process with another C library, architecture or page size has the catalog open.",
    fix: "Use one kind of container image for one cache, or give each its own directory.",
  },
  ERR_QUIVER_NESTED_ROOT: {
    hint: "A cache cannot lie inside another cache.",
    fix: "Choose a directory outside of the other cache.",
  },
  ERR_QUIVER_DUPLICATE_COPY: {
    hint: "Another copy of quiver-cache in this process has the cache open already.",
    fix: "Install one version only (`npm ls quiver-cache` shows them all).",
  },
  ERR_QUIVER_ABORTED: {
    hint: "The operation's signal was aborted.",
    fix: "Nothing needs to be done if that was intended.",
  },
  ERR_QUIVER_VECTORIZER: {
    hint: "The vectorizer failed, or gave something else than finite vectors of one length, one for each text.",
    fix: "Look at the cause and at the vectorizer's model and options, then call again: finished batches are kept.",
  },
  ERR_QUIVER_TIMEOUT: {
    hint: "The operation took longer than it was given.",
    fix: "Give it more time, or find out what is slow.",
  },
  ERR_QUIVER_UNREACHABLE: {
    hint: "The server behind the store does not answer.",
    fix: "Check that it runs and can be reached; the store finds it again by itself.",
  },
  ERR_QUIVER_ROOT_VANISHED: {
    hint: "The directory of the cache was removed or replaced while it was open.",
    fix: "Open the cache again.",
  },
  ERR_QUIVER_IO: {
    hint: "The operating system reported an error.",
    fix: "The message and the cause tell which call failed and why.",
  },
  ERR_QUIVER_INTERNAL: {
    hint: "This is a fault in quiver-cache itself.",
    fix: "Please report it with the message and the stack.",
  },
  ERR_QUIVER_CODEC_UNKNOWN: {
    hint: "The entry was written with a codec that is not known here.",
    fix: "Pass the codec as an object where the namespace is opened.",
  },
} as const;

/** Stable names of everything that can go wrong; programs branch on these, never on messages. */
export type QuiverErrorCode = keyof typeof ADVICE;

/** What an error may say beyond its code and message. `hint` and `fix` default to the code's own. */
export interface QuiverErrorDetails {
  readonly hint?: string | undefined;
  readonly fix?: string | undefined;
  /** The key concerned. */
  readonly key?: string | undefined;
  /** The file or directory concerned. */
  readonly path?: string | undefined;
  /** What should have been there: a checksum, a length, a setting. */
  readonly expected?: unknown;
  /** What was there instead. */
  readonly found?: unknown;
  readonly cause?: unknown;
}

/** Every failure that reaches a user. The message says what happened, `hint` why, `fix` what to do. */
export class QuiverError extends Error {
  /** Stable; programs branch on it. */
  readonly code: QuiverErrorCode;
  /** Why it happens, in a sentence. */
  readonly hint: string;
  /** What to do about it, in a sentence. */
  readonly fix: string;
  /** The key concerned, where there is one. */
  readonly key: string | undefined;
  /** The file or directory concerned, where there is one. */
  readonly path: string | undefined;
  /** What should have been there, and what was: checksums, lengths, settings. */
  readonly expected: unknown;
  readonly found: unknown;

  constructor(code: QuiverErrorCode, message: string, details: QuiverErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.name = "QuiverError";
    this.code = code;
    this.hint = details.hint ?? ADVICE[code].hint;
    this.fix = details.fix ?? ADVICE[code].fix;
    this.key = details.key;
    this.path = details.path;
    this.expected = details.expected;
    this.found = details.found;
  }
}

/** Whether a text is one of the codes; for errors that arrive from the add-on. */
export function isQuiverErrorCode(code: unknown): code is QuiverErrorCode {
  return typeof code === "string" && Object.hasOwn(ADVICE, code);
}

/** Whether an error is a QuiverError, also one of another copy of this package or of another realm. */
export function isQuiverError(error: unknown, code?: QuiverErrorCode): error is QuiverError {
  if (typeof error !== "object" || error === null || !("code" in error) || !("hint" in error)) return false;
  return code === undefined ? isQuiverErrorCode(error.code) : error.code === code;
}

/** For what is asked of a cache after its end. */
export function cacheClosed(): QuiverError {
  return new QuiverError("ERR_QUIVER_CLOSED", "the cache is closed");
}
