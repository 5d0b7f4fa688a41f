import { z } from 'zod';
import type { CodeContext } from '../../pipelines/stages/kind.js';
import type { Asked } from './receiver.js';

/** What every pipeline of the suite is given: the run's number, and where the receiver of its side effects is. */
export const shape = { run: z.number(), receiver: z.string() };
type Given = z.output<z.ZodObject<typeof shape>>;

/** The side effect of a stage, which takes its time. One that fails is tried again as the stage's policy says. */
export async function effect(
  { run, receiver }: Given,
  stage: string,
  ms: number,
  { signal, idempotencyKey: key }: Pick<CodeContext, 'signal' | 'idempotencyKey'>,
): Promise<void> {
  const asked: Asked = { run, stage, key, ms };
  const answer = await fetch(receiver, { method: 'POST', body: JSON.stringify(asked), signal });
  if (!answer.ok) throw new Error(`the receiver answered ${answer.status}`);
  await answer.arrayBuffer();
}
