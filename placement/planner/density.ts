import type { SimulatedStage } from '../simulator/index.js';

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

export interface StageDemand {
  readonly stage: SimulatedStage;
  readonly v: number;
  /** Runs of its pipeline. */
  readonly runs: Int32Array;
  /** By run: it needs the stage, and how many calls of it. */
  readonly needed: Uint8Array;
  readonly calls: Uint16Array;
}
