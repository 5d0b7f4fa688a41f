/**
 * A moment of this process, by two clocks: the one of `performance.now()` stands still while the machine is suspended, and the wall clock can be
 * set back.
 */
export interface Moment {
  readonly steadyMs: number;
  readonly wallMs: number;
}

/** What the wall clock may be ahead without having been set or the machine having been suspended, in milliseconds: it counts whole ones. */
const ROUNDED_MS = 100;

/** This moment, or the one so many milliseconds ago. */
export const momentAgo = (ms = 0): Moment => ({ steadyMs: performance.now() - ms, wallMs: Date.now() - ms });

/**
 * How long ago it was, in milliseconds, by the clock that has gone on for longer. A wall clock that is set forward makes it too long. Too short would
 * be worse: what began before an erasure would be taken for a part of a later run.
 */
export function ageOf({ steadyMs, wallMs }: Moment): number {
  const steady = performance.now() - steadyMs;
  const wall = Date.now() - wallMs;
  return wall - steady > ROUNDED_MS ? wall : steady;
}
