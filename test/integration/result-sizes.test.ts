import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Pipeline } from '../../pipelines/index.js';
import { decideAt } from '../support/deciding.js';
import { connect, failureOf, resultOf, start } from '../support/runs.js';
import { WorkerProcess } from '../support/worker-process.js';

/** What no history can hold ends with a code that names the stage and the field, in a segment as on a queue. */

const QUEUE = 'result-sizes';
const sizes = (await import('../fixtures/sizes.mjs' as string)) as Record<
  | 'oddQueued'
  | 'oddInline'
  | 'largeQueued'
  | 'largeInline'
  | 'largeInput'
  | 'largeOutput'
  | 'largeChild'
  | 'largeItems'
  | 'largeSegments'
  | 'largeRuns'
  | 'longAnswers',
  Pipeline
>;
let client: Client;
let worker: WorkerProcess;
beforeAll(async () => {
  const settings = { MILLRACE_PIPELINES: 'test/fixtures/sizes.mjs' };
  [client, worker] = await Promise.all([connect(), WorkerProcess.start(QUEUE, settings)]);
});
afterAll(async () => {
  await worker?.kill('SIGTERM');
  await client?.connection.close();
});

const failed = async (of: keyof typeof sizes, what: string, bytes = 0) => {
  const failure = await failureOf(await start(client, sizes[of], { what, bytes }, QUEUE));
  const { code, stage, message, fields } = failure as typeof failure & { readonly fields?: { field: string }[] };
  return { code, stage, message, field: fields?.[0]?.field };
};

describe.each(['oddQueued', 'oddInline'] as const)('%s: a value that JSON does not have', (of) => {
  it.each([
    ['bigint', 'BigInt', 'deep.value'],
    ['cycle', 'contains itself', 'deep.value.self'],
    ['function', 'function', 'deep.value'],
    ['nan', 'NaN', 'deep.value'],
    ['date', 'Date', 'deep.value'],
    ['map', 'Map', 'deep.value'],
    ['hole', 'undefined', 'deep.value.1'],
  ])('%s', async (what, why, field) => {
    const failure = await failed(of, what);
    expect(failure).toMatchObject({ code: 'INVALID_OUTPUT', stage: 'odd', field });
    expect(failure.message).toContain(why);
  });
});

describe('a value that is too large', () => {
  it.each(['largeQueued', 'largeInline'] as const)('%s: of a stage', async (of) => {
    const failure = await failed(of, '', 3_000_000);
    expect(failure).toMatchObject({ code: 'RESULT_TOO_LARGE', stage: 'odd', field: 'text' });
    expect(failure.message).toContain('3000002 of them');
  });

  it('as the input of a stage, made of two results that fit', async () => {
    expect(await failed('largeInput', '', 1_000_000)).toMatchObject({
      code: 'RESULT_TOO_LARGE',
      stage: 'size',
      field: expect.stringMatching(/^input\.[ab]$/),
    });
  });

  it('as the output of the pipeline', async () => {
    expect(await failed('largeOutput', '', 1_000_000)).toMatchObject({
      code: 'RESULT_TOO_LARGE',
      field: expect.stringMatching(/^output\.(first|second)$/),
    });
  });

  it('as the output of a child run', async () => {
    expect(await failed('largeChild', '', 1_000_000)).toMatchObject({ code: 'RESULT_TOO_LARGE', stage: 'inner' });
  });

  it.each([
    ['calls begin', 'largeItems'],
    ['segments end', 'largeSegments'],
    ['child runs begin', 'largeRuns'],
  ] as const)('is none where %s at once that fit, and are together more than a message to Temporal', async (_, of) => {
    const handle = await start(client, sizes[of], { what: '', bytes: 1_200_000 }, QUEUE);
    expect((await resultOf(handle)).output).toEqual({ sizes: Array.from({ length: 6 }, () => 1_200_001) });
  });

  it('is none where fifty people have answered at length: the stage table leaves out what older ones filled in', async () => {
    const handle = await start(client, sizes.longAnswers, { what: '', bytes: 0 }, QUEUE);
    for (let i = 0; i < 50; i++)
      await decideAt(handle, `items[${i}]/ask`, { approved: true, content: { text: '字'.repeat(15_900) } });
    const { output, stages } = await resultOf(handle);
    expect(output).toEqual({ approved: Array(50).fill(true) });
    expect(stages[0]).toMatchObject({ stage: 'ask', shortened: true });
    expect(stages[0]?.decisions).toHaveLength(50);
  }, 120_000);
});
