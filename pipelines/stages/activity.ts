import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import { type Duration, durationMs } from '../duration.js';
import type { JsonObject } from '../json.js';
import { type ForeignOptions, foreignWith } from './foreign.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

export interface ActivityOptions<I, O> extends ForeignOptions<I, O> {
  /**
   * The activity sends heartbeats; after this time without one its worker counts as lost, and the next attempt begins.
   * Without it a lost worker is noticed at the end of `timeout.attempt`, and a cancelled run does not reach it.
   */
  readonly heartbeat?: Duration;
  /**
   * `plain`: the arguments are the input, the result is the output. `millrace`: the second argument is the call (run,
   * tenant, idempotency key, time left), and the result is `{ output, usage? }`. Default `plain`.
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
  return {
    kind: 'activity',
    model: type,
    with: {
      ...found,
      ...(heartbeat !== undefined && { heartbeatMs: durationMs(heartbeat, `${type}.heartbeat`) }),
      ...(protocol !== 'plain' && { protocol }),
    } as unknown as JsonObject,
    input: options.input,
    output: options.output,
  };
}

export const activityKind: StageKind = {
  input: z.looseObject({}),
  output: z.json(),
  ...TRAITS.activity,
  // Temporal adds no random share to its waits.
  policy: { retry: { backoff: { jitter: 0 } } },
};
