/** Every workload, in the order in which they are run and reported. */

import type { Workload } from "../workload.ts";
import { blobs } from "./blobs.ts";
import { churn } from "./churn.ts";
import { firstReads } from "./first.ts";
import { many } from "./many.ts";
import { memoised } from "./memoised.ts";
import { processes } from "./processes.ts";
import { records } from "./records.ts";
import { streams } from "./streams.ts";
import { tables } from "./tables.ts";

export const WORKLOADS: readonly Workload[] = [
  blobs,
  firstReads,
  tables,
  processes,
  records,
  streams,
  memoised,
  churn,
  many,
];
