import { expect, test } from 'vitest';
import type { CachedBy, StageRecord } from '../../../../pipelines/run/index.js';
import { greet, testGateway } from '../../../support/test-gateway.js';

const by: CachedBy = { tier: 'guard', similarity: 0.98, entry: `${'0'.repeat(64)}:${'1'.repeat(32)}` };
const row = (cachedBy?: CachedBy): StageRecord => ({
  stage: 'answer',
  kind: 'code',
  connector: 'code',
  model: 'echo',
  device: '',
  status: 'done',
  cache: cachedBy ? 'hit' : 'miss',
  ...(cachedBy && { cachedBy }),
});

async function reported(stages: StageRecord[], payload: object, cache?: { reportWrong(): Promise<boolean> }) {
  const gateway = await testGateway(
    {},
    { pipelines: [greet as never], placementOf: () => ({}), ...(cache && { cache }) },
  );
  gateway.temporal.onStart = (run) => run.end({ output: { name: 'x' }, stages: stages as never });
  const started = await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'x' } });
  const { id } = started.json<{ id: string }>();
  const response = await gateway.app.inject({ method: 'POST', url: `/v1/runs/${id}/cache/wrong`, payload });
  await gateway.close();
  return response;
}

test('a wrong hit is reported with the caller’s tenant, and shown in the run before', async () => {
  const seen: unknown[] = [];
  const cache = { reportWrong: async (...args: unknown[]) => seen.push(args) > 0 };
  const response = await reported([row(by)], {}, cache);
  expect(response.statusCode).toBe(200);
  expect(response.json()).toEqual({ evicted: [{ stage: 'answer', tier: 'guard' }] });
  expect(seen).toEqual([['default', by]]);
});

test('a run without a hit, a stage without one, a gateway without the cache', async () => {
  const cache = { reportWrong: async () => true };
  expect((await reported([row()], {}, cache)).json()).toEqual({ evicted: [] });
  expect((await reported([row()], { stage: 'answer' }, cache)).json()).toMatchObject({ code: 'INVALID_INPUT' });
  expect((await reported([row(by)], { stage: 1 }, cache)).json()).toMatchObject({ code: 'INVALID_INPUT' });
  expect((await reported([row(by)], {})).json()).toMatchObject({ code: 'STORE_UNAVAILABLE' });
});
