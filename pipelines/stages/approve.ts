import { z } from 'zod';
import { type Duration, durationMs } from '../duration.js';
import type { StageKind, StageUse } from './kind.js';
import { TRAITS } from './traits.js';

const input = z.object({
  /** What the person decides on. */
  subject: z.string(),
});
const output = z.object({
  approved: z.boolean(),
  /** Who decided: the name that came with the signal, `person`, or `timeout`. */
  by: z.string(),
  /** Whom the gateway has authenticated: `key:<id>` or `user:<name>`. Absent where nobody had to show anything. */
  actor: z.string().optional(),
});

/**
 * Waits for a person. The run shows what it waits for under `waiting`, and a decision carries the nonce of it;
 * after `timeout` the run goes on with `otherwise`. The wait is durable and holds no worker. The pipeline's deadline goes
 * on meanwhile: state one that is longer.
 */
export const approve = (options: {
  timeout: Duration;
  /** The decision when nobody decides. Default `false`. */
  otherwise?: boolean;
}): StageUse<z.output<typeof input>, z.output<typeof output>> => ({
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
  // Its own `timeout` bounds the wait, and the pipeline's deadline.
  policy: { timeout: { attempt: '365d', total: '365d' } },
};
