/** Exit statuses that scripts can tell apart. */

export const EXIT = {
  /** Done, and what was asked for is there. */
  ok: 0,
  /** Done, but the key is not there, or the check found problems. */
  notFound: 1,
  /** The command itself was wrong; nothing was done. */
  usage: 2,
  /** The cache could not do it; the message says why. */
  failed: 3,
} as const;

export type ExitStatus = (typeof EXIT)[keyof typeof EXIT];
