/** What programs have in common: their input, and word from and to the test that started them. */

import type { Message } from "../harness.ts";

/** What the test gave to this program. */
export function inputOf<T>(): T {
  return JSON.parse(process.argv[2] as string) as T;
}

export function tell(message: Message): void {
  process.send?.(message);
}

/** Resolves when the test asks the program to end. */
export const stopped: Promise<void> = new Promise((resolve) => {
  process.on("message", (message: Message) => {
    if (message.kind === "stop") resolve();
  });
});

/** Lets the program end by itself once its work is done. */
export function leave(): void {
  process.disconnect();
}
