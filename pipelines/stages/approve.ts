import { z } from 'zod';
import { invalid } from '../definition/invalid.js';
import type { OfKind } from '../definition/refused.js';
import { type Duration, durationMs } from '../duration.js';
import { formSchemaOf } from './form.js';
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
  /** The person's reason. */
  reason: z.string().optional(),
});

type Input = z.output<typeof input>;
type Output = z.output<typeof output>;

interface ApproveOptions {
  readonly timeout: Duration;
  /** Decision after `timeout`. Default `false`. */
  readonly otherwise?: boolean;
}

/**
 * Waits for a person's decision. The run lists the wait under `waiting`; a decision carries its nonce. After `timeout`
 * the run continues with `otherwise`. The wait is durable and occupies no worker. The pipeline's deadline keeps running
 * and must be longer.
 *
 * With `form` an approval has the form's fields as `content`; without an answer the run continues without an approval.
 */
export function approve<Form extends z.ZodObject>(options: {
  readonly timeout: Duration;
  /** What the person fills in: texts, numbers, booleans, `z.enum()` and lists of one. */
  readonly form: Form;
}): StageUse<Input, Output & { content?: z.output<Form> | undefined }> & OfKind<'approve'>;
export function approve(options: ApproveOptions): StageUse<Input, Output> & OfKind<'approve'>;
export function approve({
  timeout,
  otherwise = false,
  form,
}: ApproveOptions & { readonly form?: z.ZodObject }): StageUse<Input, Output> & OfKind<'approve'> {
  if (form !== undefined && !(form instanceof z.ZodObject)) throw invalid('approve.form', 'must be a z.object({ … })');
  if (form !== undefined && otherwise)
    throw invalid('approve.otherwise', 'must be false with a form: nobody fills it in');
  const schema = form && formSchemaOf(form, 'approve.form');
  return {
    kind: 'approve',
    model: 'person',
    with: { timeoutMs: durationMs(timeout, 'approve.timeout'), otherwise, ...(schema && { form: schema }) },
    input,
    output: form ? output.extend({ content: form.optional() }) : output,
  };
}

export const approveKind: StageKind = {
  input,
  output: output.extend({ content: z.record(z.string(), z.json()).optional() }),
  ...TRAITS.approve,
  // The wait is bounded by its own `timeout` and by the pipeline's deadline.
  policy: { timeout: { attempt: '365d', total: '365d' } },
};
