/** Judges the histories of other programs: what it finds that can't have happened. */

import { readHistory, type Step, violationsIn } from "../history.ts";
import { inputOf, leave, tell } from "./program.ts";

const { histories } = inputOf<{ readonly histories: readonly string[] }>();
const steps: Step[] = [];
for (const path of histories) for (const step of readHistory(path)) steps.push(step);
const violations = violationsIn(steps);
tell({ kind: "judged", steps: steps.length, count: violations.length, first: violations.slice(0, 10) });
leave();
