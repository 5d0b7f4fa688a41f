import { z } from 'zod';
import type { OfKind } from '../definition/refused.js';
import { type Duration, durationMs } from '../duration.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({
  /** What the decision is about. */
  subject: z.string(),
});
const output = z.object({
  approved: z.boolean(),
  /** Who decided: the name given with the signal, `person`, or `timeout`. */
  by: z.string(),
  /** Identity authenticated by the gateway: `key:<id>` or `user:<name>`. Absent without authentication. */
  actor: z.string().optional(),
  /** Why, as the person has put it. */
  reason: z.string().optional(),
});

/**
 * Waits for a person's decision. The run lists the wait under `waiting`; a decision carries its nonce. After `timeout`
 * the run continues with `otherwise`. The wait is durable and holds no worker. The pipeline's deadline keeps running
 * meanwhile and must be longer.
 */
export const approve = (options: {
  timeout: Duration;
  /** Decision after `timeout`. Default `false`. */
  otherwise?: boolean;
}): StageUse<z.output<typeof input>, z.output<typeof output>> & OfKind<'approve'> => ({
  kind: 'approve',
  model: 'person',
  with: { timeoutMs: durationMs(options.timeout, 'approve.timeout'), otherwise: options.otherwise ?? false },
  input,
  output,
});

export const approveKind: StageKind = {
  input,
  output,
  ...TRAITS.approve,
  // The wait is bounded by its own `timeout` and by the pipeline's deadline.
  policy: { timeout: { attempt: '365d', total: '365d' } },
};
