import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, code, pipeline, pipelineTool, tool } from '../../../pipelines/index.js';
import { failure, testPipeline, toolCalls } from '../../../testing/index.js';

it('a result that is cut because the server has rejected the call is kept beside those that were cut before it', async () => {
  const page = tool({
    name: 'page',
    description: 'A page',
    input: z.object({ of: z.string() }),
    run: ({ of }) => `${of}: ${'x'.repeat(of === 'short' ? 1_490 : 4_990)}`,
  });
  const reads = pipeline('reads', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const use = agent({ model: 'm', tools: [page], maxTokens: 500, context: { tokens: 7_000 } });
    return { toolCalls: stage('answer', use, { prompt: input.q }).toolCalls };
  });
  const pages = ['a', 'b', 'c', 'd', 'short'].map((of) => ['page', { of }] as const);
  const stages = {
    'answer/turn-1': toolCalls(...pages),
    // Until then it had room for the short one.
    'answer/turn-2': failure('CONTEXT_TOO_LONG', { contextTokens: 4_000 }),
    'answer/turn-2-again': toolCalls(['read_result', { result: 'r5' }]),
    answer: { text: 'So.' },
  };
  const run = await testPipeline(reads, { q: 'Read.' }, { stages });
  expect(run.error).toBeUndefined();
  const again = run.calls.find(({ path }) => path === 'answer/turn-2-again');
  expect(JSON.stringify(again?.input)).toContain('short: xxx');
  expect(JSON.stringify(again?.with.tools)).toContain('read_result');
  // In the turn in which it was kept.
  expect((run.output.toolCalls as unknown[]).at(-1)).toMatchObject({
    end: 'done',
    result: expect.stringMatching(/^short: x+\n\[Characters 0 to 1497 of 1497\./),
  });
});

it('the long result of a pipeline is kept apart by a worker, which checks what it gives', async () => {
  const of = z.object({ pages: z.number() });
  const write = code('write', { input: of, output: z.object({ text: z.string() }) }, ({ pages }) => ({
    text: 'x'.repeat(1_000 * pages),
  }));
  const book = pipeline('book', { description: 'Writes', input: of, deadline: '1m' }, ({ input, stage }) => ({
    text: stage('write', write, { pages: input.pages }).text,
  }));
  const reads = pipeline('reads-book', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const use = agent({ model: 'm', tools: [pipelineTool(book)], context: { resultCharacters: 1_000 } });
    return { toolCalls: stage('answer', use, { prompt: input.q }).toolCalls };
  });
  const stages = {
    'answer/turn-1': toolCalls(['book', { pages: 9 }]),
    'answer/turn-2': toolCalls(['read_result', { result: 'r1', from: 8_900 }]),
    answer: { text: 'So.' },
  };
  const run = await testPipeline(reads, { q: 'Read.' }, { stages });
  expect(run.error).toBeUndefined();
  expect(run.output.toolCalls).toMatchObject([
    { name: 'book', end: 'done', whole: { mime: 'text/plain' } },
    { name: 'read_result', end: 'done', result: expect.stringContaining('This is the end.') },
  ]);
});
