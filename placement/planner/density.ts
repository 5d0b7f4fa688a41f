/** What a time may be off by, in milliseconds: at the end of a week of arrivals a number has a precision of 1e-7. */
export const ROUNDING = 1e-6;

/**
 * By run: the most arrivals of its pipeline in any window of this length that contains its own, but `most` where there are more.
 * `of` are the runs of the pipeline, in order.
 */
export function densest(timesMs: Float64Array, of: Int32Array, windowMs: number, most: number): Int32Array {
  const count = of.length;
  // Copied, since each time is read several times for each of many windows.
  const at = new Float64Array(count);
  for (let i = 0; i < count; i += 1) at[i] = timesMs[of[i] as number] as number;
  const from = new Int32Array(count);
  for (let s = 0, e = 0; s < count; s += 1) {
    const until = (at[s] as number) + windowMs;
    while (e < count && e - s < most && (at[e] as number) <= until) e += 1;
    from[s] = e - s;
  }
  const best = new Int32Array(count);
  // The largest count of the windows that begin at most `windowMs` before a run: a queue of falling maxima.
  const queue = new Int32Array(count);
  let head = 0;
  let tail = 0;
  for (let i = 0; i < count; i += 1) {
    const own = from[i] as number;
    while (tail > head && (from[queue[tail - 1] as number] as number) <= own) tail -= 1;
    queue[tail++] = i;
    const since = (at[i] as number) - windowMs;
    while ((at[queue[head] as number] as number) < since) head += 1;
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
 * length, but at least `most` where there are more. Stages that share a pool share its batches.
 */
export function together(
  timesMs: Float64Array,
  { runs, mates, callsEach }: StageDemand,
  windowMs: number,
  most: number,
): Int32Array {
  const members = densest(timesMs, mates, windowMs + ROUNDING, Math.ceil(most / callsEach));
  let at = 0;
  return runs.map((run) => {
    while (mates[at] !== run) at += 1;
    return (members[at] as number) * callsEach;
  });
}

/** Whether as many of these arrivals, in order, are in some window of this length. */
export function areWithin(timesMs: Float64Array, members: number, windowMs: number): boolean {
  for (let first = 0, last = members - 1; last < timesMs.length; first += 1, last += 1) {
    if ((timesMs[last] as number) <= (timesMs[first] as number) + windowMs + ROUNDING) return true;
  }
  return false;
}

/** How many pairs of these arrivals, in order, are no further apart than this, each with itself included. */
export function pairsWithin(timesMs: Float64Array, windowMs: number): number {
  let pairs = 0;
  for (let from = 0, to = 0; to < timesMs.length; to += 1) {
    while ((timesMs[to] as number) > (timesMs[from] as number) + windowMs + ROUNDING) from += 1;
    pairs += to - from + 1;
  }
  return pairs;
}
