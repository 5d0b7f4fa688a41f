import type { DynamicTable, Load } from '../simulator/index.js';
import { isStated, numberAt } from './number-at.js';
import { OncePerLoad } from './once-per-load.js';
import { type Calling, callsAt, runsOf } from './own-runs.js';
import { ascending, keyOfSizes, type Sizes } from './sizes-of-calls.js';
import { type Pieces, piecesAt } from './stream-pieces.js';

const known = new OncePerLoad<Sizes>();

/**
 * The distribution of the largest size in a batch of so many calls of a stage, if a replica always takes the next ones in order of arrival: what it does
 * once a queue is longer than its batches. A batch takes as long as its largest call, so these batches say which load a replica can sustain.
 *
 * @param read how the stage reads a stream piece by piece; absent: a call reads all of it
 */
export function largestOfBatches(
  load: Load,
  { column, typical }: DynamicTable,
  stage: Calling,
  read: Pieces | undefined,
  batch: number,
): Sizes {
  const { pipeline, fanOut } = stage;
  const calls = fanOut?.mean ?? stage.calls ?? 1;
  const key = [...keyOfSizes(load, { column, typical }, stage, read), batch, calls];
  return known.get(load, key, () => {
    const runs = runsOf(load, pipeline);
    if (runs.length === 0 || (read === undefined && !isStated(load, column)))
      return ascending(Float64Array.of(typical));
    const sizeOf = numberAt(load, column, typical);
    const piecesOf = read ? piecesAt(load, read) : () => 1;
    // Calls of one run come together, and have its size.
    const callsOf = callsAt(load, stage) ?? (() => Math.max(1, Math.round(calls)));
    const largest: number[] = [];
    const batches: number[] = [];
    const add = (each: number, times: number) => {
      largest.push(each);
      batches.push(times);
    };
    let most = 0;
    let taken = 0;
    for (const run of runs) {
      const pieces = piecesOf(run);
      const size = sizeOf(run) / pieces;
      for (let left = callsOf(run) * pieces; left >= 1; ) {
        // Batches of one run's calls alone are counted: a run may have thousands of calls.
        const alone = taken === 0 ? Math.floor(left / batch) : 0;
        if (alone > 0) add(size, alone);
        left -= alone * batch;
        if (left < 1) break;
        const own = Math.min(left, batch - taken);
        left -= own;
        taken += own;
        most = Math.max(most, size);
        if (taken < batch) continue;
        add(most, 1);
        most = 0;
        taken = 0;
      }
    }
    // Fewer calls than a batch has.
    if (largest.length === 0) add(most > 0 ? most : typical, 1);
    return ascending(Float64Array.from(largest), Float64Array.from(batches));
  });
}
