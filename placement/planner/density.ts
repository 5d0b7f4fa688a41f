/** What a time may be off by, in milliseconds: at the end of a week of arrivals a number has a precision of 1e-7. */
export const ROUNDING = 1e-6;

/**
 * By run: the most arrivals of its pipeline in any window of this length that contains its own. `of` are the runs of the
 * pipeline, in order.
 */
export function densest(timesMs: Float64Array, of: Int32Array, windowMs: number): Int32Array {
  const count = of.length;
  const at = (i: number) => timesMs[of[i] as number] as number;
  const from = new Int32Array(count);
  for (let s = 0, e = 0; s < count; s += 1) {
    while (e < count && at(e) <= at(s) + windowMs) e += 1;
    from[s] = e - s;
  }
  const best = new Int32Array(count);
  // The largest count of the windows that begin at most `windowMs` before a run: a queue of falling maxima.
  const queue = new Int32Array(count);
  let head = 0;
  let tail = 0;
  for (let i = 0; i < count; i += 1) {
    while (tail > head && (from[queue[tail - 1] as number] as number) <= (from[i] as number)) tail -= 1;
    queue[tail++] = i;
    while (at(queue[head] as number) < at(i) - windowMs) head += 1;
    best[i] = from[queue[head] as number] as number;
  }
  return best;
}

/** The runs that need a stage. */
export interface StageDemand {
  /** Runs of its pipeline. */
  readonly runs: Int32Array;
  /** By run: it needs the stage, and how many calls of it. */
  readonly needed: Uint8Array;
  readonly calls: Uint16Array;
  /** Runs with a call that may be in a batch with one of the stage, in order: each once for each stage of the pool. */
  readonly mates: Int32Array;
  /** Most calls of a run at a stage of the pool. */
  readonly callsEach: number;
}

/**
 * By run of a stage: the most calls in a batch with one of the run if all its members that are in time arrive in a window of this
 * length. Stages that share a pool share its batches.
 */
export function together(timesMs: Float64Array, { runs, mates, callsEach }: StageDemand, windowMs: number): Int32Array {
  const members = densest(timesMs, mates, windowMs + ROUNDING);
  let at = 0;
  return runs.map((run) => {
    while (mates[at] !== run) at += 1;
    return (members[at] as number) * callsEach;
  });
}

/** The most of these arrivals, in order, in any window of this length. */
export const mostWithin = (timesMs: Float64Array, windowMs: number): number =>
  membersBefore(timesMs, windowMs).reduce((most, members) => Math.max(most, members), 0);

/** How many pairs of these arrivals, in order, are no further apart than this, each with itself included. */
export const pairsWithin = (timesMs: Float64Array, windowMs: number): number =>
  membersBefore(timesMs, windowMs).reduce((sum, members) => sum + members, 0);

/** By arrival: how many there are in the window of this length that ends with it. */
function membersBefore(timesMs: Float64Array, windowMs: number): Int32Array {
  let from = 0;
  return Int32Array.from(timesMs, (ms, to) => {
    while (ms > (timesMs[from] as number) + windowMs + ROUNDING) from += 1;
    return to - from + 1;
  });
}
