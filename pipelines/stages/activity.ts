import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { type Duration, durationMs } from '../duration.js';
import type { JsonObject } from '../json.js';
import { streamedInputs } from '../stream.js';
import { type ForeignOptions, foreignWith } from './foreign.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';
import { itemsOf, type Yielded, yieldedOf } from './yielded.js';

/** Options of `activity`. */
export interface ActivityOptions<I, O> extends ForeignOptions<I, O> {
  /**
   * Heartbeat timeout, for an activity that sends heartbeats: after this time without one its worker counts as lost,
   * and the next attempt begins. Without it a lost worker is detected at the end of `timeout.attempt`, and the activity
   * does not learn of cancellation.
   */
  readonly heartbeat?: Duration;
  /**
   * `plain`: the arguments are the input, the result is the output. `millrace`: the second argument is the call (run,
   * tenant, idempotency key, time left), and the result is `{ output, usage? }`. Default `plain`. Input fields that are
   * streams (`streamOf`) need `millrace`: a Python stage reads them while they are produced.
   */
  readonly protocol?: 'plain' | 'millrace';
}

/**
 * An activity that another worker of the same Temporal namespace serves, in any SDK. Nothing changes in that worker.
 * Temporal retries it by the stage's policy; the activity prevents a retry with a non-retryable failure.
 *
 * ```ts
 * const denoise = activity({
 *   queue: 'python',
 *   type: 'denoise',
 *   input: z.object({ speech: audio() }),
 *   output: z.object({ speech: audio() }),
 *   heartbeat: '5s',
 * });
 * ```
 */
export function activity<I, O>(options: ActivityOptions<I, O>): StageUse<I, O> {
  const found = foreignWith('activity', options, ['heartbeat', 'protocol']);
  const { type, heartbeat, protocol = 'plain', args } = options;
  if (protocol !== 'plain' && protocol !== 'millrace')
    throw invalid(`${type}.protocol`, `must be "plain" or "millrace", not "${String(protocol)}"`);
  if (protocol === 'millrace' && args !== undefined)
    throw invalid(
      `${type}.args`,
      'does not apply to the protocol "millrace", whose arguments are the input and the call',
    );
  const takes = [...streamedInputs(options.input).keys()];
  if (takes.length > 0 && protocol !== 'millrace')
    throw invalid(`${type}.input.${takes[0]}`, 'is a stream, which only the protocol "millrace" can pass');
  return {
    kind: 'activity',
    model: type,
    with: {
      ...found,
      ...(heartbeat !== undefined && { heartbeatMs: durationMs(heartbeat, `${type}.heartbeat`) }),
      ...(protocol !== 'plain' && { protocol }),
      ...(takes.length > 0 && { takes }),
    } as unknown as JsonObject,
    input: options.input,
    output: options.output,
  };
}

/** Options of `activityStream`. */
export interface ActivityStreamOptions<I, T> extends Omit<ActivityOptions<I, never>, 'output' | 'args' | 'protocol'> {
  /**
   * Schema of an entry that it yields, which JSON Schema must be able to express. The list of all entries is checked
   * when the activity has ended.
   */
  readonly entry: z.ZodType<T>;
}

/**
 * A Python stage that yields: other stages can read each entry as soon as it is committed, while the function
 * continues. `millrace types` writes it for a generator function; its worker uses the protocol `millrace`.
 *
 * ```ts
 * const lines = activityStream({
 *   queue: 'python',
 *   type: 'lines',
 *   input: z.object({ text: z.string() }),
 *   entry: z.string(),
 *   heartbeat: '5s',
 * });
 * ```
 */
export function activityStream<I, T>(options: ActivityStreamOptions<I, T>): StageUse<I, Yielded<T>> {
  const { entry, ...others } = options ?? {};
  const { type = 'activityStream' } = others;
  const refused = ['output', 'args', 'protocol'].find((name) => Object.hasOwn(others, name));
  if (refused !== undefined)
    throw invalid(`${type}.${refused}`, 'does not apply to a stage that yields: give the schema of an `entry`');
  if (!(entry instanceof z.ZodType)) throw invalid(`${type}.entry`, 'must be a zod schema');
  // What it returns has no stream; that is derived.
  const output = itemsOf(entry) as unknown as z.ZodType<Yielded<T>>;
  const use = activity({ ...others, output, protocol: 'millrace' });
  return { ...use, with: { ...use.with, yields: true }, output: yieldedOf(entry) };
}

export const activityKind: StageKind = {
  input: z.looseObject({}),
  output: z.json(),
  ...TRAITS.activity,
  // Temporal adds no random share to its waits.
  policy: { retry: { backoff: { jitter: 0 } } },
};
