import { once } from 'node:events';
import { type ClientRequest, get, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import type { Problem } from '../../../../pipelines/run/document.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import type { RunDocument } from '../../../../runs/document.js';
import type { FollowedEvent } from '../../../../stores/events/run-event-reader.js';
import { allEvents, someEvents } from '../../../support/sse.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway;
afterEach(() => gateway.close());

function event(n: number, text = `${n}`): FollowedEvent {
  const delta = { type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 1, text } satisfies RunEvent;
  return { id: `${n}-0`, event: delta, json: JSON.stringify(delta) };
}

type Follow = (run: string, after: string | undefined, signal: AbortSignal) => AsyncGenerator<FollowedEvent>;

/** A gateway on a port, with a run that goes on; `follow` stands in for Redis. */
async function serve(follow: Follow): Promise<{ base: string; run: string }> {
  gateway = await testGateway({}, { events: { follow } });
  await gateway.app.listen({ host: '127.0.0.1', port: 0 });
  const base = `http://127.0.0.1:${(gateway.app.server.address() as AddressInfo).port}`;
  const start = await fetch(`${base}/v1/pipelines/greet/runs`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: '{"name": "Ada"}',
  });
  const { id } = (await start.json()) as RunDocument;
  return { base, run: `${base}/v1/runs/${id}` };
}

const until = (signal: AbortSignal) => (signal.aborted ? Promise.resolve([]) : once(signal, 'abort'));
const events = (run: string, headers: Record<string, string> = {}) => fetch(`${run}/events`, { headers });
const endWith = (output: object = {}) => gateway.temporal.only().end({ output: output as never, stages: [] });

describe('the events of a run', () => {
  test('end with the run, which has the last id', async () => {
    const { run } = await serve(async function* (_, __, signal) {
      yield event(1);
      await until(signal);
      yield event(2);
    });
    const response = await events(run);
    expect(response.headers.get('content-type')).toBe('text/event-stream');
    expect(response.headers.get('x-request-id')).toMatch(/^[0-9a-f-]{36}$/);
    endWith({ name: 'Ada' });
    const all = await allEvents(response);
    expect(all.map(({ id, event }) => [id, event])).toEqual([
      ['1-0', 'stage.delta'],
      ['2-0', 'stage.delta'],
      ['end', 'run'],
    ]);
    expect(JSON.parse(all[2]?.data ?? '')).toMatchObject({ status: 'succeeded', output: { name: 'Ada' } });
  });

  test('are followed from behind Last-Event-ID; behind the last there is nothing, 204', async () => {
    const positions: (string | undefined)[] = [];
    const { run } = await serve(async function* (_, after) {
      positions.push(after);
      yield* [];
    });
    endWith();
    await allEvents(await events(run, { 'last-event-id': '17-3' }));
    await allEvents(await events(run, { 'last-event-id': '' }));
    expect(positions).toEqual(['17-3', undefined]);
    const over = await events(run, { 'last-event-id': 'end' });
    expect([over.status, await over.text()]).toEqual([204, '']);
    expect(positions).toHaveLength(2);
  });

  test.each(['17', 'end ', '1-2-3', '-', '17-x', '99999999999999999999-0'])(
    'Last-Event-ID "%s" is refused',
    async (id) => {
      const { run } = await serve(async function* () {});
      const response = await events(run, { 'last-event-id': `${id}?` });
      expect([response.status, ((await response.json()) as Problem).code]).toEqual([400, 'INVALID_HEADER']);
    },
  );

  test('of another tenant’s run, and of none, are RUN_NOT_FOUND', async () => {
    const { base, run } = await serve(async function* () {});
    endWith();
    for (const response of [
      await events(run, { 'millrace-tenant': 'other' }),
      await events(run, { 'millrace-tenant': 'other', 'last-event-id': 'end' }),
      await events(`${base}/v1/runs/greet-unknown`),
    ]) {
      expect([response.status, ((await response.json()) as Problem).code]).toEqual([404, 'RUN_NOT_FOUND']);
    }
  });

  test('end with an error when Temporal cannot say how the run goes on', async () => {
    const { run } = await serve(async function* (_, __, signal) {
      yield event(1);
      await until(signal);
    });
    const { client } = gateway.temporal;
    const { getHandle } = client.workflow;
    client.workflow.getHandle = ((id: string) => ({
      ...getHandle(id),
      result: () => Promise.reject(new Error('Temporal is away')),
    })) as never;
    const all = await allEvents(await events(run));
    expect(all.map(({ id, event }) => [id, event])).toEqual([
      ['1-0', 'stage.delta'],
      [undefined, 'error'],
    ]);
    expect(JSON.parse(all[1]?.data ?? '')).toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE', status: 503 });
  });
});

describe('a client', () => {
  test('that leaves is followed no more', async () => {
    const left = new Promise<void>((resolve) => {
      void serve(async function* (_, __, signal) {
        yield event(1);
        await until(signal);
        resolve();
      }).then(({ run }) => someEvents(`${run}/events`, undefined, 1));
    });
    await left;
  });

  test('that has left before its answer begins is not followed', async () => {
    let followed = 0;
    const { run } = await serve(async function* () {
      followed++;
      yield* [];
    });
    const { client } = gateway.temporal;
    const { getHandle } = client.workflow;
    const left = new Promise((resolve) => {
      gateway.app.server.once('request', (_, response) => response.once('close', resolve));
    });
    const found = new Promise<void>((resolve) => {
      client.workflow.getHandle = ((id: string) => ({
        ...getHandle(id),
        async describe() {
          const seen = await getHandle(id).describe();
          request.destroy();
          await left;
          resolve();
          return seen;
        },
      })) as never;
    });
    const request: ClientRequest = get(`${run}/events`).on('error', () => undefined);
    await found;
    await sleep(50);
    expect(followed).toBe(0);
  });

  test('that reads slowly holds back the events, and gets them all in order', async () => {
    const total = 400;
    let taken = 0;
    const { run } = await serve(async function* () {
      for (let n = 1; n <= total; n++) {
        taken = n;
        yield event(n, 'x'.repeat(50_000));
      }
    });
    endWith();
    const request: ClientRequest = get(`${run}/events`);
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    response.pause();
    let before = -1;
    while (before !== taken) {
      before = taken;
      await sleep(200);
    }
    // 20 MB in all; the sockets of both sides take some.
    expect(taken).toBeLessThan(total / 2);
    let text = '';
    for await (const chunk of response) text += chunk;
    expect([...text.matchAll(/^id: (.+)$/gm)].map(([, id]) => id)).toEqual([
      ...Array.from({ length: total }, (_, i) => `${i + 1}-0`),
      'end',
    ]);
  });

  test('that follows a run does not hold up the gateway’s end', async () => {
    const { run } = await serve(async function* (_, __, signal) {
      yield event(1);
      await until(signal);
    });
    const response = await events(run);
    const all = allEvents(response);
    const before = performance.now();
    await gateway.app.close();
    expect(performance.now() - before).toBeLessThan(10_000);
    expect((await all).map(({ id }) => id)).not.toContain('end');
  });
});

describe('a run that ends with its client', () => {
  const start = (base: string) =>
    fetch(`${base}/v1/pipelines/greet/runs`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', accept: 'text/event-stream', 'millrace-on-leave': 'cancel' },
      body: '{"name": "Bob"}',
    });
  const goesOn: Follow = async function* (_, __, signal) {
    yield event(1);
    await until(signal);
  };

  test('is cancelled when its client leaves', async () => {
    const { base } = await serve(goesOn);
    const response = await start(base);
    const reader = response.body?.getReader();
    await reader?.read();
    await reader?.cancel();
    await expect.poll(() => gateway.temporal.sentTo).toEqual([response.headers.get('millrace-run')]);
  });

  test('goes on when the gateway shuts down: its client comes back, to another one', async () => {
    const { base } = await serve(goesOn);
    const all = allEvents(await start(base));
    await gateway.app.close();
    expect((await all).map(({ id }) => id)).toEqual(['1-0']);
    expect(gateway.temporal.sent).toEqual([]);
  });

  test('goes on when Temporal could not say how it does: its client asks again', async () => {
    const { base } = await serve(goesOn);
    const { client } = gateway.temporal;
    const { getHandle } = client.workflow;
    client.workflow.getHandle = ((id: string) => ({
      ...getHandle(id),
      result: () => Promise.reject(new Error('Temporal is away')),
    })) as never;
    expect((await allEvents(await start(base))).map(({ event }) => event)).toEqual(['stage.delta', 'error']);
    await gateway.app.close();
    expect(gateway.temporal.sent).toEqual([]);
  });
});
