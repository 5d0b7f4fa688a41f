import { expect } from 'vitest';
import { z } from 'zod';
import { chat, code, pipeline } from '../../../pipelines/index.js';

export const question = z.object({ text: z.string() });
const shout = code('shout', { input: question, output: question }, ({ text }) => ({ text: text.toUpperCase() }));

export const asked = pipeline('asked', { input: question, deadline: '10m' }, ({ input, stage }) => {
  const answer = stage(
    'answer',
    chat({ model: 'assistant' }),
    { prompt: input.text },
    {
      retry: { attempts: 3 },
      timeout: { attempt: '60s', total: '5m' },
    },
  );
  const loud = stage('loud', shout, { text: answer.text });
  return { text: loud.text };
});

/** Real time is far below the times of the clock. */
export async function quickly<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  expect(performance.now() - started).toBeLessThan(5_000);
  return result;
}
