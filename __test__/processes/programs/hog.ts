/** Takes memory and keeps it. */

import { inputOf, leave } from "./program.ts";

const { bytes } = inputOf<{ readonly bytes: number }>();
const kept = [];
for (let taken = 0; taken < bytes; taken += 1024 * 1024) kept.push(Buffer.alloc(1024 * 1024, 1));
leave();
