import { z } from 'zod';
import type { JsonObject } from '../json.js';
import { type ForeignOptions, foreignWith } from './foreign.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

export type WorkflowOptions<I, O> = ForeignOptions<I, O>;

/**
 * A workflow that another worker of the same Temporal namespace serves, in any SDK, as a child of the run. Nothing
 * changes in that worker. It is asked to cancel when the run ends before it.
 *
 * ```ts
 * const score = workflow({
 *   queue: 'risk',
 *   type: 'ScoreCustomer',
 *   input: z.object({ customer: z.string(), amount: z.number() }),
 *   output: z.object({ score: z.number() }),
 *   args: ['customer', 'amount'],
 * });
 * ```
 */
export const workflow = <I, O>(options: WorkflowOptions<I, O>): StageUse<I, O> => ({
  kind: 'workflow',
  model: options?.type,
  with: foreignWith('workflow', options) as unknown as JsonObject,
  input: options.input,
  output: options.output,
});

export const workflowKind: StageKind = {
  input: z.looseObject({}),
  output: z.json(),
  ...TRAITS.workflow,
  // A workflow retries its own steps: repeating it repeats all of them. It may wait longer than a call of a server.
  policy: { retry: { attempts: 1, backoff: { jitter: 0 } }, timeout: { attempt: '5m' } },
};
