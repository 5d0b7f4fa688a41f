import { z } from 'zod';
import type { CodeContext } from '../../pipelines/stages/kind.js';
import type { EffectRequest } from './receiver.js';

/** Input of every pipeline of the suite: the run's number, and the address of the receiver of its side effects. */
export const shape = { run: z.number(), receiver: z.string() };
type Given = z.output<z.ZodObject<typeof shape>>;

/** The side effect of a stage, which takes some time. A failed one is retried by the stage's policy. */
export async function effect(
  { run, receiver }: Given,
  stage: string,
  ms: number,
  { signal, idempotencyKey: key }: Pick<CodeContext, 'signal' | 'idempotencyKey'>,
): Promise<void> {
  const request: EffectRequest = { run, stage, key, ms };
  const answer = await fetch(receiver, { method: 'POST', body: JSON.stringify(request), signal });
  if (!answer.ok) throw new Error(`the receiver answered ${answer.status}`);
  await answer.arrayBuffer();
}
