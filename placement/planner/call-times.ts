import { type ContinuousTable, type DynamicTable, type Load, meanAt, stepAt, type Table } from '../simulator/index.js';
import { largestOfBatches } from './full-batches.js';
import type { Calling } from './own-runs.js';
import { cachedPrompts } from './prompt-times.js';
import { floorAt, sizeFloor } from './size-floor.js';
import { meanOver, partsOf, sizesOfCalls } from './sizes-of-calls.js';
import type { Generated } from './step-work.js';
import type { Pieces } from './stream-pieces.js';
import { tokensOfCalls } from './tokens-of-calls.js';

/** Times of a stage's calls on one kind of device, in milliseconds: means over the runs of its own pipeline, each with its own sizes. */
export interface CallTimes {
  /** Mean time of a batch by its size, from 1; for sequences, the time of one when that many run. */
  readonly batchMs: readonly number[];
  /** Replica time used by one call of a batch of this size. */
  readonly workMs: readonly number[];
  /**
   * Replica time that a call uses at the least, on average, in batches of at most this size; without the steps of sequences, which share
   * them with those of other stages.
   */
  readonly leastMs: (most: number) => number;
  /**
   * Replica time that a call of a batched stage uses, on average, in batches of exactly so many that are made of the calls in order of arrival. Each takes as
   * long as its largest call: with mixed sizes that is far more than `leastMs`. Absent: calls share no batch.
   */
  readonly fullMs?: (batch: number) => number;
  /** Share of the calls that fit the cache of a replica; the others are in none of the times. */
  readonly share: number;
  /** Of sequences, for each call. */
  readonly generated?: Generated;
  /** Average tokens of a sequence, prompt and answer; 0 for other models. */
  readonly tokens: number;
  /** Average tokens in the cache of a sequence, over its steps; 0 for other models. */
  readonly context: number;
  /**
   * Of an LLM with prefix caches: what a prompt takes more than in the times above with so many replicas, which have fewer of the
   * prompts. The times above are those of the most that any number of replicas has. Absent: nothing.
   */
  readonly extraMs?: (replicas: number) => number;
}

/**
 * Times of a stage's calls by one table, up to a maximum batch size.
 *
 * @param mostTokens most tokens in the key-value cache of a replica: calls of more are served by others
 * @param pieces how the stage reads a stream; the work of a call is then that of all its pieces
 */
export const callTimes = (
  table: Table,
  load: Load,
  maxBatch: number,
  stage: Calling,
  mostTokens: number,
  pieces?: Pieces,
): CallTimes =>
  table.batching === 'dynamic'
    ? ofBatches(table, load, maxBatch, stage, pieces)
    : ofSequences(table, load, maxBatch, stage, mostTokens);

const upTo = (most: number): readonly number[] => Array.from({ length: most }, (_, i) => i + 1);

/**
 * A batch of b calls takes at least what each of them would in one of b: its longest does. So it takes at least the mean of these, and a call
 * counts for at least 1/b of its own time in a batch of b, whatever is batched with it. Which b is the best may differ by the size: the least of all counts.
 */
function ofBatches(
  table: DynamicTable,
  load: Load,
  maxBatch: number,
  stage: Calling,
  read: Pieces | undefined,
): CallTimes {
  const { call } = table;
  const { sizes, pieces } = sizesOfCalls(load, table, stage, read);
  const parts = partsOf(sizes, call.sizes);
  const batchMs = upTo(maxBatch).map((batch) => meanOver(parts, (size) => meanAt(call, batch, size)));
  return {
    batchMs,
    workMs: batchMs.map((ms, i) => (pieces * ms) / (i + 1)),
    share: 1,
    leastMs(most) {
      const floor = sizeFloor(call, most, (batch, size) => meanAt(call, batch, size) / batch);
      return pieces * meanOver(parts, (size) => floorAt(floor, size));
    },
    fullMs(batch) {
      const largest = partsOf(largestOfBatches(load, table, stage, read, batch), call.sizes);
      return (pieces * meanOver(largest, (size) => meanAt(call, batch, size))) / batch;
    },
    tokens: 0,
    context: 0,
  };
}

/**
 * A replica processes prompts one after the other, so each counts for its own mean time; the steps are those of all stages of a pool (`leastStepsMs`). Calls
 * that do not fit the cache are served on other kinds or by no one, so that here only the `share` of the others counts.
 */
function ofSequences(
  table: ContinuousTable,
  load: Load,
  maxBatch: number,
  stage: Calling,
  mostTokens: number,
): CallTimes {
  const { prefill } = table;
  const of = tokensOfCalls(load, table, stage, mostTokens);
  const { tokens, steps, cached, longest, share } = of;
  const prompts = cachedPrompts(table, load, of);
  const whole = () => meanOver(partsOf(of.prompts, prefill.sizes), (size) => meanAt(prefill, 1, size));
  const promptMs = table.part === 'decode' ? 0 : (prompts?.leastMs ?? whole());
  const context = steps > 0 ? cached / steps : 0;
  const step = (batch: number) => stepAt(table.steps, batch, context);
  const batches = upTo(maxBatch);
  return {
    // The other sequences' prompts are processed while it generates.
    batchMs: batches.map((batch) => promptMs * batch + steps * step(batch)),
    workMs: batches.map((batch) => promptMs + (steps * step(batch)) / batch),
    share,
    leastMs: () => share * promptMs,
    generated: { steps: share * steps, cached: share * cached, longest },
    tokens,
    context,
    ...(prompts && { extraMs: (replicas: number) => share * prompts.extraMs(replicas) }),
  };
}
