import { afterEach, describe, expect, it } from 'vitest';
import type { Caller } from '../../../../gateway/access/caller.js';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { resumeCall, type Watch } from '../../../../gateway/waiting/follow-call.js';
import type { RunEvent } from '../../../../pipelines/run/index.js';
import { isBehind, START } from '../../../../stores/events/index.js';
import { owe } from '../../../support/owing.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

let gateway: TestGateway | undefined;
afterEach(() => gateway?.close());

/**
 * A run whose events are stored, and which does not end.
 * @param between characters that are read before the next event
 */
async function runWith(events: readonly object[], between = 0) {
  const stored = events.map((event, i) => ({ id: `${i + 1}-0`, event: event as RunEvent, json: '' }));
  const follow: GatewayDeps['events']['follow'] = async function* (_run, after = START, signal, turn) {
    for (const each of stored) {
      if (!isBehind(each.id, after)) continue;
      yield each;
      await turn?.(between);
    }
    if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
  };
  gateway = await testGateway({}, { events: { follow } });
  const { app, temporal, deps } = gateway;
  await app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload: { name: 'Ada' } });
  const run = temporal.only();
  const told: string[] = [];
  const slots = { held: 0 };
  const take = () => {
    slots.held += 1;
    return () => {
      slots.held -= 1;
    };
  };
  const resume = async (after: string, more: Partial<Watch> = {}) =>
    resumeCall(
      { ...deps, streams: { take }, ends: { of: () => new Promise(() => {}) } } as never,
      { caller: { tenant: 'default' } as Caller },
      { run: run.options.workflowId, after },
      {
        cancelled: new AbortController().signal,
        closing: new AbortController().signal,
        started: () => undefined,
        event: (_event, at) => void told.push(at),
        onWait: 'end',
        ...more,
      },
    );
  return { temporal, run, told, slots, resume, deps };
}
const waits = (nonce: string) => ({ type: 'stage.waiting', path: nonce, nonce, subject: nonce, until: '' });

describe('a call that its client goes on with after an answer', () => {
  it('ends at once with what the run waits for now, and has told what came before', async () => {
    const events = [waits('first'), { type: 'stage.decided' }, { type: 'stage.finished' }];
    const { temporal, run, told, resume } = await runWith(events);
    temporal.stages = [{ stage: 'second', kind: 'approve', status: 'running' }] as never;
    temporal.waitAt(['second']);
    expect(await resume('1-0')).toMatchObject({
      run: run.options.workflowId,
      after: '3-0',
      waits: [{ path: 'second' }],
    });
    expect(told).toEqual(['2-0', '3-0']);
  });

  it('holds a slot while it is told what came before, which may be much', async () => {
    const events = [waits('first'), { type: 'stage.decided' }, { type: 'stage.finished' }];
    const { temporal, slots, resume } = await runWith(events);
    temporal.stages = [{ stage: 'second', kind: 'approve', status: 'running' }] as never;
    temporal.waitAt(['second']);
    const held: number[] = [];
    expect(await resume('1-0', { event: () => void held.push(slots.held) })).toMatchObject({ after: '3-0' });
    expect(held).toEqual([1, 1]);
    expect(slots.held).toBe(0);
  });

  it('ends at once when the gateway shuts down while it waits for its turn to read on', async () => {
    const events = [waits('first'), { type: 'stage.decided' }, { type: 'stage.finished' }, { type: 'stage.finished' }];
    const { temporal, told, resume } = await runWith(events, 1e9);
    temporal.stages = [{ stage: 'second', kind: 'approve', status: 'running' }] as never;
    temporal.waitAt(['second']);
    const closing = new AbortController();
    const resumed = resume('1-0', { closing: closing.signal });
    await expect.poll(() => told).toEqual(['2-0', '3-0']);
    closing.abort();
    await expect(resumed).rejects.toMatchObject({ code: 'GATEWAY_UNAVAILABLE' });
  });

  it('asks again what the run waits for where no worker has answered in time', async () => {
    const { temporal, resume } = await runWith([waits('first')]);
    temporal.stages = undefined;
    temporal.waitAt(['second']);
    expect(await resume('1-0')).toMatchObject({ after: '1-0', waits: [{ path: 'second' }] });
  });

  it('does not pass by a wait that began after it was asked what the run waits for', async () => {
    const { temporal, told, resume } = await runWith([waits('first'), { type: 'stage.decided' }, waits('unseen')]);
    temporal.stages = [{ stage: 'second', kind: 'approve', status: 'running' }] as never;
    temporal.waitAt(['second']);
    expect(await resume('1-0')).toMatchObject({ after: '2-0' });
    expect(told).toEqual(['2-0']);
  });

  it('asks nothing again that has just been decided', async () => {
    const { told, resume } = await runWith([waits('first'), waits('second')]);
    expect(await resume('1-0')).toMatchObject({ after: '2-0', waits: [{ nonce: 'second' }] });
    told.length = 0;
    const left = new AbortController();
    const going = resume('1-0', { decided: new Set(['first', 'second']), cancelled: left.signal });
    await expect.poll(() => told).toEqual(['2-0']);
    left.abort();
    await expect(going).rejects.toMatchObject({ code: 'REQUEST_ABORTED' });
  });

  it('is told the end of its run, whatever is owed, where its decision has ended it', async () => {
    const { run, resume, deps } = await runWith([]);
    run.end({ output: { name: 'Ada' }, stages: [] });
    owe(deps, 'default', 15);
    await expect(resume('1-0')).rejects.toMatchObject({ code: 'RATE_LIMITED' });
    expect(await resume('1-0', { decided: new Set(['first']) })).toMatchObject({ document: { status: 'succeeded' } });
  });
});
