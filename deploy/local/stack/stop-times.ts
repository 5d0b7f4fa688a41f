import { readJson } from '../../../runtime/json-file.js';
import { type PartName, type PartSpec, STOP_ORDER } from './part-spec.js';
import { specsPath } from './stack-state.js';

/** Time beyond a grace, in milliseconds, for what follows it: SIGKILL, and the end of the process. */
export const MARGIN_MS = 10_000;
/** Grace of a part that no file describes, in milliseconds: that of a worker with the default settings. */
const UNKNOWN_MS = 20_000;
/** Least time for a supervisor to stop its parts, in milliseconds: enough for those with the default graces on a loaded machine. */
const LEAST_STOP_MS = 45_000;

/** The time between SIGTERM and SIGKILL that each part of a stack was started with, in milliseconds. */
export function gracesOf(home: string): (part: PartName) => number {
  const specs = (readJson(specsPath(home)) ?? []) as readonly PartSpec[];
  return (part) => specs.find(({ name }) => name === part)?.stopGraceMs ?? UNKNOWN_MS;
}

/** Longest time for a supervisor to stop all its parts, in milliseconds: the graces of those that it stops in turn, and a margin. */
export function stopTimeMs(home: string): number {
  const grace = gracesOf(home);
  const inTurn = STOP_ORDER.map((parts) => Math.max(...parts.map(grace)));
  return Math.max(inTurn.reduce((sum, ms) => sum + ms, 0) + MARGIN_MS, LEAST_STOP_MS);
}
