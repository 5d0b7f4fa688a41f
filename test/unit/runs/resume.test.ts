import { ApplicationFailure, CancelledFailure } from '@temporalio/common';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../gateway/index.js';
import { MillraceError } from '../../../pipelines/errors.js';
import type { Problem } from '../../../pipelines/run/document.js';
import type { StageRecord } from '../../../pipelines/run/index.js';
import type { RunDocument } from '../../../runs/document.js';
import type { Before, RecordSummary, ResumableRecords } from '../../../stores/records/index.js';
import { grpcError } from '../../support/fake-temporal.js';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

/** Records that a test makes up. */
class Records implements ResumableRecords {
  readonly held: [run: string, before: Before, runMs: number][] = [];
  /** Runs whose records are gone. */
  gone: readonly string[] = [];
  readonly heldEarlier: [run: string, runMs: number][] = [];
  succeeded = new Map<string, number>();
  turns = new Map<string, ReadonlyMap<string, number>>();
  gaps = 0;
  absent?: true;
  forgotten?: true;
  erased?: true;
  /** It is erased after the summary. */
  erasedLate = false;
  /** How long ago the run began, as it was said with each question. */
  readonly ages: number[] = [];
  readonly keptMs = 86_400_000;
  away = false;

  async summary(_run: string, ageMs: number): Promise<RecordSummary> {
    this.ages.push(ageMs);
    if (this.away) throw new MillraceError('STORE_UNAVAILABLE', 'the record of the run cannot be reached');
    return this;
  }

  async holdEarlier(...held: [run: string, runMs: number]): Promise<readonly string[]> {
    this.heldEarlier.push(held);
    return this.gone;
  }

  async hold(run: string, before: Before, runMs: number, ageMs: number): Promise<boolean> {
    this.ages.push(ageMs);
    if (!this.erasedLate) this.held.push([run, before, runMs]);
    return !this.erasedLate;
  }
}

const row = (stage: string, status: StageRecord['status'], more: Partial<StageRecord> = {}): StageRecord => ({
  stage,
  kind: 'code',
  connector: 'code',
  model: 'echo',
  device: 'worker',
  status,
  ...more,
});

let gateway: TestGateway;
let records: Records;
let id: string;
beforeEach(async () => {
  records = new Records();
  gateway = await testGateway({}, { records });
  const payload = { name: 'Ada' };
  id = (await gateway.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload })).json<RunDocument>().id;
});
afterEach(() => gateway.close());

const resume = (payload: object = {}, headers: Record<string, string> = {}, { app } = gateway) =>
  app.inject({ method: 'POST', url: `/v1/runs/${id}/resume`, headers, payload });
const answer = (response: { statusCode: number; json<T>(): T }) => [response.statusCode, response.json<Problem>().code];
const fails = (stages: readonly StageRecord[] = []) =>
  gateway.temporal.only().end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details: [{ stages }] }));

describe('a run that has failed', () => {
  test('goes on as a new run with its input, plan, decisions, conversations and idempotency keys, linked both ways', async () => {
    const { options } = gateway.temporal.only();
    Object.assign(options.args[1], { sessionsOf: 'greet/key:ada', keyTag: 'k' });
    const decision = { approved: true, by: 'ada', about: 'f00' };
    fails([row('echo', 'done'), row('ask', 'done', { kind: 'approve', decisions: [{ path: 'ask', ...decision }] })]);
    records.succeeded.set('echo', 1);
    const response = await resume();
    expect(response.statusCode).toBe(202);
    expect(response.headers.location).toBe(`/v1/runs/${id}-r1`);
    expect(response.json<RunDocument>()).toMatchObject({ id: `${id}-r1`, status: 'running', resumedFrom: id });
    const next = gateway.temporal.runs.get(`${id}-r1`);
    expect(await gateway.deps.registry.metrics()).toMatch(
      /^millrace_runs_started_total\{pipeline="greet",priority="default"\} 2$/m,
    );
    expect(next?.options.args).toMatchObject([
      { name: 'Ada' },
      { plan: options.args[1].plan, sessionsOf: 'greet/key:ada', keyTag: 'k', decisions: { ask: decision } },
    ]);
    const [held] = records.held;
    expect(held?.slice(0, 2)).toEqual([id, { ended: [], repeat: false }]);
    expect(held?.[2], 'longer than the run may take').toBeGreaterThan(options.args[1].plan.deadlineMs);
    const first = await gateway.app.inject({ url: `/v1/runs/${id}` });
    expect(first.json<RunDocument>()).toMatchObject({ status: 'failed', resumedAs: `${id}-r1` });
  });

  test('goes on by the plan that it has, also where its pipeline is another by now, or gone', async () => {
    const { plan } = gateway.temporal.only().options.args[1];
    fails();
    const later = await testGateway({}, { pipelines: [], records, temporal: gateway.temporal.client });
    expect((await resume({}, {}, later)).statusCode).toBe(202);
    expect(gateway.temporal.runs.get(`${id}-r1`)?.options.args[1].plan).toEqual(plan);
    await later.close();
  });

  test('is resumed once: asked again, also when its record is gone by then, that run is the answer', async () => {
    fails();
    const all = await Promise.all([resume(), resume(), resume()]);
    expect(all.map((each) => [each.statusCode, each.json<RunDocument>().id])).toEqual(Array(3).fill([202, `${id}-r1`]));
    expect([...gateway.temporal.runs.keys()]).toEqual([id, `${id}-r1`]);
    records.gaps = 1;
    expect((await resume()).json<RunDocument>().id).toBe(`${id}-r1`);
  });

  test('again keeps the records of all runs before it, and is refused if one is gone: what the last has not come to is there', async () => {
    const first = id;
    const decision = { approved: true, by: 'ada', about: 'f00' };
    fails([row('ask', 'done', { kind: 'approve', decisions: [{ path: 'ask', ...decision }] })]);
    id = (await resume()).json<RunDocument>().id;
    const again = gateway.temporal.runs.get(id);
    again?.end(ApplicationFailure.create({ type: 'CODE_FAILED', message: 'no', details: [{ stages: [] }] }));
    records.gone = [first];
    const refused = await resume();
    expect(answer(refused)).toEqual([409, 'RECORD_INCOMPLETE']);
    expect(refused.json<Problem>().detail).toContain(`any step of ${first}: its record is gone`);
    expect(gateway.temporal.runs.size).toBe(2);
    records.gone = [];
    expect((await resume()).json<RunDocument>()).toMatchObject({ id: `${first}-r2`, resumedFrom: `${first}-r1` });
    const deadlineMs = again?.options.args[1].plan.deadlineMs;
    expect(records.heldEarlier.at(-1)).toEqual([`${first}-r1`, records.held.at(-1)?.[2]]);
    expect(records.held.at(-1)?.[2]).toBeGreaterThan(deadlineMs ?? Number.POSITIVE_INFINITY);
    const decisions = gateway.temporal.runs.get(`${first}-r2`)?.options.args[1].decisions;
    expect(decisions, 'of the first run, which the second has not come to').toEqual({ ask: decision });
  });

  test('whose record lacks what has ended is refused, and says what would happen again', async () => {
    fails([row('echo', 'done', { count: { done: 3, started: 4 } }), row('think', 'done', { kind: 'agent' })]);
    records.succeeded.set('echo', 2);
    const refused = await resume();
    expect(answer(refused)).toEqual([409, 'RECORD_INCOMPLETE']);
    expect(refused.json<Problem>().detail).toContain('echo (2 of 3 kept), think (0 of 1 kept)');
    expect(refused.json<Problem>().errors?.[0]?.field).toBe('repeat');
    expect(gateway.temporal.runs.size).toBe(1);
    expect((await resume({ repeat: true })).statusCode).toBe(202);
    expect(records.held.map(([run, { repeat }]) => [run, repeat])).toEqual([[id, true]]);
  });

  test('that is refused for its record takes no slot: another request may have started the run, with repeats', async () => {
    fails([row('echo', 'done')]);
    let asked = 0;
    const admission = {
      admit: async () => {
        asked += 1;
        return () => undefined;
      },
    };
    const limited = await testGateway({}, { records, admission, temporal: gateway.temporal.client });
    expect(answer(await resume({}, {}, limited))).toEqual([409, 'RECORD_INCOMPLETE']);
    expect(asked).toBe(0);
    await limited.close();
  });

  test('that cannot be started gives back no slot that it has not taken: the run may be under way by another request', async () => {
    fails();
    const left: unknown[] = [];
    const admission = {
      admit: async () => {
        gateway.temporal.outage = grpcError(14, 'unavailable');
        return (why?: 'refused') => void left.push(why);
      },
    };
    const limited = await testGateway({}, { records, admission, temporal: gateway.temporal.client });
    expect(answer(await resume({}, {}, limited))).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
    expect(left).toEqual(['refused']);
    gateway.temporal.outage = undefined;
    await limited.close();
  });

  test('that has no slot keeps no record longer', async () => {
    fails();
    const full = new MillraceError('TOO_MANY_RUNS', 'no', { retryAfterMs: 1_000 });
    const admission = { admit: () => Promise.reject(full) };
    const limited = await testGateway({}, { records, admission, temporal: gateway.temporal.client });
    expect(answer(await resume({}, {}, limited))).toEqual([429, 'TOO_MANY_RUNS']);
    expect(records.held).toEqual([]);
    await limited.close();
  });

  test('is refused where the run that resumed it has been erased: what that had done is not known', async () => {
    fails([row('echo', 'done')]);
    records.succeeded.set('echo', 1);
    records.forgotten = true;
    const refused = await resume();
    expect(answer(refused)).toEqual([409, 'RECORD_INCOMPLETE']);
    expect(refused.json<Problem>().detail).toContain(`any step of ${id}-r1: its record is gone`);
    expect(gateway.temporal.runs.size).toBe(1);
    expect((await resume({ repeat: true })).statusCode).toBe(202);
  });

  test('is refused once it has been erased, while Temporal still shows it, also if somebody permits repeats', async () => {
    fails();
    records.absent = true;
    records.erased = true;
    for (const payload of [{}, { repeat: true }]) expect(answer(await resume(payload))).toEqual([409, 'NOT_RESUMABLE']);
    // By an erasure that comes between the look at its record and the mark in it.
    delete records.erased;
    records.erasedLate = true;
    expect(answer(await resume({ repeat: true }))).toEqual([409, 'NOT_RESUMABLE']);
    expect(gateway.temporal.runs.size).toBe(1);
  });

  test('asks whether it has been erased since it began: the record of another run with its id is none of its own', async () => {
    fails();
    const { memo } = gateway.temporal.only().options;
    memo.createdAt = new Date(Date.now() - 50_000).toISOString();
    expect((await resume()).statusCode).toBe(202);
    expect(records.ages).toHaveLength(2);
    for (const ageMs of records.ages) {
      expect(ageMs).toBeGreaterThanOrEqual(50_000);
      expect(ageMs).toBeLessThan(80_000);
    }
  });

  test('whose decisions have no room beside its input is resumed without the oldest, if somebody permits repeats', async () => {
    const { options } = gateway.temporal.only();
    options.args[0] = { name: 'x'.repeat(1_850_000) };
    const decided = (path: string, reason: string) => ({ path, approved: true, by: 'ada', about: 'f00', reason });
    const decisions = [decided('ask', 'y'.repeat(200_000)), decided('again', 'no')];
    fails([row('ask', 'done', { kind: 'approve', decisions })]);
    const refused = await resume();
    expect(answer(refused)).toEqual([409, 'RECORD_INCOMPLETE']);
    expect(refused.json<Problem>().detail).toContain('1 decisions, which have no room');
    expect(gateway.temporal.runs.size).toBe(1);
    expect((await resume({ repeat: true })).statusCode).toBe(202);
    const kept = gateway.temporal.runs.get(`${id}-r1`)?.options.args[1].decisions;
    expect(Object.keys(kept ?? {})).toEqual(['again']);
  });

  test('is refused where calls could not be kept, or nobody can say what it has done', async () => {
    fails();
    records.gaps = 2;
    expect((await resume()).json<Problem>().detail).toContain('2 calls that could not be kept');
    const cancelled = await testGateway({}, { records });
    const payload = { name: 'Ada' };
    const { json } = await cancelled.app.inject({ method: 'POST', url: '/v1/pipelines/greet/runs', payload });
    cancelled.temporal.only().end(new CancelledFailure('cancelled'));
    id = json<RunDocument>().id;
    records.gaps = 0;
    expect(answer(await resume({}, {}, cancelled))).toEqual([409, 'RECORD_INCOMPLETE']);
    cancelled.temporal.stages = [];
    expect((await resume({}, {}, cancelled)).statusCode).toBe(202);
    await cancelled.close();
  });

  test('in which an agent has called tools is refused where the record lacks these calls', async () => {
    const calls = [
      { turn: 1, name: 'look_up', end: 'failed', code: 'TOOL_FAILED' },
      { turn: 2, name: 'charge', end: 'done' },
    ];
    fails([row('think', 'failed', { kind: 'agent', calls })]);
    const kept = (...names: readonly string[]) => {
      records.succeeded.set('think', names.length);
      records.turns.set('think', new Map(names.map((name) => [name, 1])));
    };
    for (const names of [[], ['1', '2'], ['2', '2/charge', '2/guard_calls']]) {
      kept(...names);
      expect(answer(await resume()), `${names} kept`).toEqual([409, 'RECORD_INCOMPLETE']);
    }
    expect((await resume()).json<Problem>().detail).toContain('think (2 of 3 calls kept)');
    // Those of two turns of its model, and of the tool.
    kept('1', '2', '2/charge');
    expect((await resume()).statusCode).toBe(202);
  });

  test('in which an agent has begun is refused where no record of it is kept, or none any longer', async () => {
    const { options } = gateway.temporal.only();
    const { plan } = options.args[1];
    options.args[1] = { ...options.args[1], plan: { ...plan, record: 'off' } };
    fails([row('think', 'failed', { kind: 'agent' })]);
    expect((await resume()).json<Problem>().detail).toContain('think (its calls are not kept)');
    options.args[1] = { ...options.args[1], plan };
    records.absent = true;
    gateway.temporal.only().closed = new Date(Date.now() - 2 * records.keptMs);
    expect(answer(await resume())).toEqual([409, 'RECORD_INCOMPLETE']);
    // An agent whose model was away has left nothing.
    gateway.temporal.only().closed = new Date();
    expect((await resume()).statusCode).toBe(202);
  });

  test('waits for the state store, and starts nothing without it', async () => {
    fails();
    records.away = true;
    expect(answer(await resume())).toEqual([503, 'STORE_UNAVAILABLE']);
    gateway.temporal.outage = grpcError(14, 'unavailable');
    expect(answer(await resume())).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
    gateway.temporal.outage = undefined;
    expect(gateway.temporal.runs.size).toBe(1);
  });
});

test('a run that goes on, and one that has succeeded, are refused', async () => {
  expect(answer(await resume())).toEqual([409, 'RUN_NOT_ENDED']);
  gateway.temporal.only().end({ output: {}, stages: [] });
  expect(answer(await resume())).toEqual([409, 'NOT_RESUMABLE']);
  expect(answer(await resume({ again: true }))).toEqual([422, 'INVALID_INPUT']);
});

test('a run whose result has been sent is not said to go on', async () => {
  let isSent = true;
  const sentResults = { add: async () => undefined, erase: async () => undefined, has: async () => isSent };
  const sending = await testGateway({}, { records, sentResults, temporal: gateway.temporal.client });
  const refused = await resume({}, {}, sending);
  expect(answer(refused)).toEqual([503, 'ORCHESTRATOR_UNAVAILABLE']);
  expect(refused.headers['retry-after']).toBeDefined();
  isSent = false;
  expect(answer(await resume({}, {}, sending))).toEqual([409, 'RUN_NOT_ENDED']);
  await sending.close();
});

test('a gateway without records resumes nothing', async () => {
  fails();
  const { records: _, ...parts } = gateway.deps;
  const without = await testGateway({}, { ...parts, registry: new Registry() });
  expect(answer(await resume({}, {}, without))).toEqual([409, 'NOT_RESUMABLE']);
  await without.close();
});

test('a caller resumes what it may run, and knows of nothing else', async () => {
  fails();
  const may = async (more: object, headers: Record<string, string> = {}) => {
    const { secret, key } = issueKey({ name: 'key', tenant: 'default', permissions: ['run', 'read'], ...more });
    const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
    const guarded = await testGateway({}, { authenticator, records, temporal: gateway.temporal.client });
    const response = await resume({}, { authorization: `Bearer ${secret}`, ...headers }, guarded);
    await guarded.close();
    return answer(response);
  };
  expect(await may({ permissions: ['read', 'approve'] })).toEqual([403, 'FORBIDDEN']);
  expect(await may({ pipelines: ['listen'] })).toEqual([404, 'RUN_NOT_FOUND']);
  expect(await may({ tenant: 'other' })).toEqual([404, 'RUN_NOT_FOUND']);
  expect(gateway.temporal.runs.size).toBe(1);
  expect((await may({ pipelines: ['greet'] }))[0]).toBe(202);
});
