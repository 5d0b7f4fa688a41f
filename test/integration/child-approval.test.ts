import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import { approve, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { Problem } from '../../pipelines/run/document.js';
import type { Wait } from '../../pipelines/run/index.js';
import { until } from '../support/runs.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';

/** What a child run waits for is decided at the run that a caller has started. */

/** A loaded machine takes its time. */
const LIMIT_MS = 60_000;

const one = z.object({ n: z.number() });
const asks = pipeline('asks', { input: one }, ({ input, stage }) => {
  const review = stage('review', approve({ timeout: '5m' }), { subject: 'Is it right?' });
  return { n: input.n, approved: review.approved, by: review.by };
});
const hands = pipeline('hands', { input: one }, ({ input, run }) => ({
  deeper: run('deeper', asks, { n: input.n }, { as: 'child' }),
}));
const outer = pipeline('outer', { input: one }, ({ input, run }) => ({
  near: run('near', asks, { n: input.n }, { as: 'child' }),
  far: run('far', hands, { n: input.n }, { as: 'child' }),
}));

let served: ServedPipelines;
beforeAll(async () => {
  served = await servePipelines([outer] as unknown as Pipeline<never>[]);
});
afterAll(() => served?.close());

test('a decision reaches the child run that waits, by its path', async () => {
  const started = await served.post('outer', '{"n": 1}', { 'content-type': 'application/json' });
  const { id } = (await started.json()) as { id: string };
  const decide = async (what: string, body: object): Promise<Problem> =>
    (await (
      await fetch(`${served.url}/v1/runs/${id}/${what}`, {
        method: 'POST',
        body: JSON.stringify(body),
        headers: { 'content-type': 'application/json' },
      })
    ).json()) as Problem;
  const waitingAt = async (path: string): Promise<Wait | undefined> =>
    (await served.get(id)).waiting?.find((wait) => wait.path === path);
  const nonces = new Map<string, string>();
  for (const path of ['near/review', 'far/deeper/review']) {
    await until(`${path} waits`, async () => (await waitingAt(path)) !== undefined, LIMIT_MS);
    nonces.set(path, (await waitingAt(path))?.nonce ?? '');
  }
  expect(await decide('approve', {})).toMatchObject({ code: 'INVALID_INPUT', errors: [{ field: 'nonce' }] });
  const [near, deeper] = ['near/review', 'far/deeper/review'].map((path) => nonces.get(path));
  expect(await decide('reject', { nonce: deeper, stage: 'near/review' })).toMatchObject({ code: 'NOT_WAITING' });
  expect(await decide('reject', { nonce: deeper, by: 'ada' })).toMatchObject({ id, status: 'running' });
  expect(await decide('approve', { nonce: near, stage: 'near/review', by: 'bob' })).toMatchObject({ id });
  await until('the run has ended', async () => (await served.get(id)).status === 'succeeded', LIMIT_MS);
  expect((await served.get(id)).output).toEqual({
    near: { n: 1, approved: true, by: 'bob' },
    far: { deeper: { n: 1, approved: false, by: 'ada' } },
  });
});
