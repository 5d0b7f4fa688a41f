import { afterEach, expect, test } from 'vitest';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.close());

const start = (tenant: string, headers: Record<string, string>, signal?: AbortSignal) =>
  gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    headers: { 'millrace-tenant': tenant, ...headers },
    payload: { name: 'Ada' },
    ...(signal && { signal }),
  });
const WAIT = { prefer: 'wait=1' };
/** Longer than a machine stands still: for a place that is to be held. */
const LONG_WAIT = { prefer: 'wait=60' };
const FOLLOW = { accept: 'text/event-stream' };
const taken = async (runs: number) => await expect.poll(() => gateway.temporal.runs.size).toBe(runs);

test('a tenant waits for and follows as many runs as it may; the next starts none, whatever the others do', async () => {
  gateway = await testGateway({ maxStreams: 3, maxStreamsOfTenant: 2, maxWaitMs: 60_000 });
  const open = [start('acme', LONG_WAIT), start('acme', FOLLOW)];
  await taken(2);
  for (const headers of [LONG_WAIT, FOLLOW]) {
    const refused = await start('acme', headers);
    expect([refused.statusCode, refused.json().code]).toEqual([429, 'TOO_MANY_STREAMS']);
    expect(refused.headers['retry-after']).toBe('1');
  }
  const [id = ''] = [...gateway.temporal.runs.keys()];
  const follow = (tenant: string) =>
    gateway.app.inject({ url: `/v1/runs/${id}/events`, headers: { 'millrace-tenant': tenant } });
  expect((await follow('acme')).json().code).toBe('TOO_MANY_STREAMS');
  expect(gateway.temporal.runs.size).toBe(2);
  expect((await start('acme', {})).statusCode).toBe(202);
  open.push(start('other', LONG_WAIT));
  await taken(4);
  expect((await start('another', LONG_WAIT)).json().detail).toContain(
    'the gateway already follows or waits for 3 runs',
  );
  for (const run of gateway.temporal.runs.values()) run.end({ output: { name: 'Ada' }, stages: [] });
  expect((await Promise.all(open)).map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
  // Every place is free again.
  gateway.temporal.onStart = (run) => run.end({ output: { name: 'Ada' }, stages: [] });
  for (const headers of [LONG_WAIT, FOLLOW, LONG_WAIT]) expect((await start('acme', headers)).statusCode).toBe(200);
  expect((await follow('acme')).body).toContain('event: run');
});

test('a run that cannot start, and a wait that is over, give the place back', async () => {
  gateway = await testGateway({ maxStreamsOfTenant: 1 });
  gateway.temporal.outage = new Error('away');
  for (const headers of [WAIT, FOLLOW, WAIT]) expect((await start('acme', headers)).json().code).toBe('INTERNAL');
  gateway.temporal.outage = undefined;
  expect((await start('acme', WAIT)).statusCode).toBe(202);
  gateway.temporal.onStart = (run) => run.end({ output: { name: 'Ada' }, stages: [] });
  expect((await start('acme', FOLLOW)).statusCode).toBe(200);
});

test('JSON that no run can start with is refused before anything starts, with its largest field', async () => {
  gateway = await testGateway({ maxJsonBytes: 8 * 1024 * 1024 });
  const text = 'x'.repeat(2 * 1024 * 1024);
  for (const headers of [{}, WAIT, FOLLOW]) {
    const response = await gateway.app.inject({
      method: 'POST',
      url: '/v1/pipelines/greet/runs',
      headers,
      payload: { name: text },
    });
    const { code, errors, detail } = response.json();
    expect([response.statusCode, code, errors[0].field]).toEqual([413, 'INPUT_TOO_LARGE', 'name']);
    expect(detail).toContain('a run may start with 2031616');
  }
  expect(gateway.temporal.runs.size).toBe(0);
  const fits = await gateway.app.inject({
    method: 'POST',
    url: '/v1/pipelines/greet/runs',
    payload: { name: 'x'.repeat(1_900_000) },
  });
  expect(fits.statusCode).toBe(202);
});
