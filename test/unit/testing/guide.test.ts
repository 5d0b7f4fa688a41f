import { expect, test } from 'vitest';
import { z } from 'zod';
import { agent, approve, chat, pipeline, tool } from '../../../pipelines/index.js';
import { failure, hang, testPipeline, toolCalls } from '../../../testing/index.js';

const summary = pipeline('summary', { input: z.object({ text: z.string() }), deadline: '5m' }, ({ input, stage }) => {
  const short = stage(
    'short',
    chat({ model: 'assistant' }),
    { prompt: input.text },
    {
      timeout: { attempt: '20s' },
      fallback: [chat({ model: 'small' })],
    },
  );
  return { text: short.text };
});

test('the model gets the text', async () => {
  const run = await testPipeline(
    summary,
    { text: 'A long story.' },
    {
      stages: { short: ({ prompt }) => ({ text: `In short: ${String(prompt)}` }) },
    },
  );
  expect(run.output.text).toBe('In short: A long story.');
});

test('an overloaded server is tried again after the time that it asks for', async () => {
  const run = await testPipeline(
    summary,
    { text: 'A long story.' },
    {
      stages: { short: [failure('BACKEND_OVERLOADED', { retryAfterMs: 30_000 }), { text: 'Short.' }] },
    },
  );
  expect(run.output.text).toBe('Short.');
  expect(run.durationMs).toBeGreaterThan(30_000);
});

test('a model that hangs is replaced by the small one', async () => {
  const run = await testPipeline(
    summary,
    { text: 'A long story.' },
    {
      models: { assistant: hang(), small: { text: 'Shorter.' } },
    },
  );
  expect(run.output.text).toBe('Shorter.');
  expect(run.stages[0]).toMatchObject({ stage: 'short', model: 'small', instead: 'STAGE_TIMEOUT' });
});

test('a request that the server refuses fails the run', async () => {
  const run = await testPipeline(
    summary,
    { text: '' },
    { models: { assistant: failure('BACKEND_REJECTED'), small: failure('BACKEND_REJECTED') } },
  );
  expect(run.error).toMatchObject({ code: 'BACKEND_REJECTED', stage: 'short' });
});

const refund = tool({
  name: 'refund',
  description: 'Pays money back',
  input: z.object({ euros: z.number() }),
  run: ({ euros }) => ({ paid: euros }),
  approval: { timeout: '1h' },
});

const desk = pipeline('desk', { input: z.object({ text: z.string() }), deadline: '2d' }, ({ input, stage }) => {
  const answer = stage('answer', agent({ model: 'assistant', tools: [refund] }), { prompt: input.text });
  const sent = stage('send', approve({ timeout: '1d' }), { subject: answer.text });
  return { text: answer.text, sent: sent.approved };
});

test('a refund is paid once a person has approved it', async () => {
  const run = await testPipeline(
    desk,
    { text: 'My money, please.' },
    {
      stages: { answer: [toolCalls(['refund', { euros: 5 }]), { text: 'Paid.' }] },
      decisions: { refund: { approved: true, after: '10m' }, send: 'nobody' },
    },
  );
  expect(run.output).toEqual({ text: 'Paid.', sent: false });
  expect(run.calls.map(({ path }) => path.replace(/:.*/, ''))).toEqual([
    'answer/turn-1',
    'answer/turn-1/refund',
    'answer/turn-2',
  ]);
});
