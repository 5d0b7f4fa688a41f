import { failure, testPipeline } from 'millrace/testing';
import { expect, test } from 'vitest';
import { ask } from './pipelines.js';

test('the model gets the question', async () => {
  const run = await testPipeline(
    ask,
    { question: 'Why?' },
    { stages: { answer: ({ prompt }) => ({ text: `${prompt} Because.` }) } },
  );
  expect(run.output).toEqual({ answer: 'Why? Because.' });
});

test('a server that is overloaded is tried again', async () => {
  const answer = [failure('BACKEND_OVERLOADED'), { text: 'Because.' }];
  const run = await testPipeline(ask, { question: 'Why?' }, { stages: { answer } });
  expect(run.output).toEqual({ answer: 'Because.' });
});
