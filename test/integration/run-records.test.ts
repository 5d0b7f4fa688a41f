import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Redis } from 'ioredis';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Attempt } from '../../activities/stage/stage-runner.js';
import { MillraceError } from '../../pipelines/errors.js';
import { agent, code, type Pipeline, pipeline, tool } from '../../pipelines/index.js';
import type { JsonObject } from '../../pipelines/json.js';
import { resumptionOf, type StageCall, type StageOutcome } from '../../pipelines/run/index.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { asThrown, RedisRecords, recordKey, type Spill, spillTo } from '../../stores/records/index.js';
import { connected } from '../../stores/redis/index.js';
import { runInProcess } from '../../workers/hosts/in-process-host.js';
import { freePort } from '../support/free-port.js';
import { CodeRunner, contextOf } from '../support/in-process.js';
import { address } from '../support/runs.js';
import { scripted } from '../support/scripted-model.js';
import { testRedis } from '../support/test-worker.js';

let admin: Redis;
let redis: Redis;
beforeAll(async () => {
  admin = new Redis(address('REDIS_URL'));
  redis = testRedis(address('REDIS_URL'));
  await connected(redis, 30_000);
});
afterAll(() => {
  admin.disconnect();
  redis.disconnect();
});

const KEPT_MS = 60_000;
const DEADLINE_MS = 3_600_000;

/** A store of large values, in memory. */
function spilling() {
  const kept = new Map<string, Buffer>();
  const spill: Spill = {
    async put(tenant, parts) {
      const uri = `artifact://${tenant}/${kept.size}`;
      kept.set(uri, Buffer.concat(parts));
      return uri;
    },
    async get(_, uri) {
      const bytes = kept.get(uri);
      if (bytes === undefined) throw new MillraceError('ARTIFACT_NOT_FOUND', uri);
      return bytes;
    },
  };
  return { spill, kept };
}

function recordsOf(more: Partial<ConstructorParameters<typeof RedisRecords>[0]> = {}) {
  const gaps: unknown[] = [];
  const records = new RedisRecords({ redis, keptMs: KEPT_MS, onGap: (error) => gaps.push(error), ...more });
  return { records, gaps };
}

const newRun = () => `test-${randomUUID()}`;

const call = (more: Partial<StageCall> = {}): StageCall => ({
  pipeline: 'test',
  version: '0123456789ab',
  tenant: 'default',
  stage: 'answer',
  kind: 'chat',
  model: 'large',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
  runMs: DEADLINE_MS,
  ...more,
});

const outcome = (output: JsonObject): StageOutcome => ({
  output,
  endpoint: 'http://model',
  device: 'gpu0',
  attempt: 1,
  cache: 'off',
  queueMs: 0,
  runMs: 5,
  usage: { outputTokens: 3 },
});

const ended = (
  run: string,
  of: StageCall,
  input: JsonObject,
  result: JsonObject | [code: string, message: string],
) => ({
  run,
  call: of,
  input,
  attempt: 1,
  startedAt: 1,
  endedAt: 2,
  result: Array.isArray(result)
    ? { failure: { code: String(result[0]), message: String(result[1]) } }
    : { outcome: outcome(result) },
});

const entriesOf = async (run: string) =>
  Object.entries(await admin.hgetall(recordKey(run)))
    .filter(([field]) => !/^[@!=]/.test(field))
    .map(([, text]) => JSON.parse(text) as JsonObject);

describe('the record of a run', () => {
  it('has what a call was given and gave, by what, and is kept from the latest end that the run may have', async () => {
    const { records } = recordsOf();
    const run = newRun();
    const answer = call({ kind: 'code', model: 'charge', codeVersion: '2', path: 'items[3]/answer' });
    await records.keep(ended(run, answer, { n: 1 }, { text: 'yes' }));
    expect(recordKey(run)).toContain(`{${run}}`);
    expect(await entriesOf(run)).toMatchObject([
      {
        path: 'items[3]/answer',
        stage: 'answer',
        kind: 'code',
        model: 'charge',
        codeVersion: '2',
        version: '0123456789ab',
        attempt: 1,
        digest: expect.stringMatching(/^[0-9a-f]{64}$/),
        input: { json: { n: 1 } },
        output: { json: { text: 'yes' } },
        served: { endpoint: 'http://model', usage: { outputTokens: 3 } },
      },
    ]);
    const ttl = await admin.pttl(recordKey(run));
    expect(ttl).toBeGreaterThan(DEADLINE_MS);
    expect(ttl).toBeLessThanOrEqual(DEADLINE_MS + KEPT_MS);
    await records.keep(ended(run, call({ runMs: 1 }), {}, {}));
    expect(await admin.pttl(recordKey(run)), 'a child run does not shorten it').toBeGreaterThan(DEADLINE_MS);
  });

  it('keeps what the run has gone on with, though the worker of an earlier attempt reports another result late', async () => {
    const { records } = recordsOf();
    const run = newRun();
    const attemptOf = (attempt: number, text: string, input = { n: 1 }) => ({
      ...ended(run, call(), input, { text }),
      attempt,
    });
    const texts = async () => (await entriesOf(run)).map(({ output }) => (output as { json: JsonObject }).json.text);
    await records.keep(attemptOf(2, 'second'));
    await records.keep(attemptOf(1, 'first, late'));
    expect(await texts()).toEqual(['second']);
    await records.keep({ ...attemptOf(1, 'made again after a reset'), startedAt: 100_000, endedAt: 100_001 });
    expect(await texts()).toEqual(['made again after a reset']);
    await records.keep({ ...attemptOf(3, 'third'), startedAt: 100_002, endedAt: 100_003 });
    expect(await texts()).toEqual(['third']);
    // What was given another input is no attempt of the same.
    await records.keep(attemptOf(1, 'of another input', { n: 2 }));
    expect(await texts()).toEqual(['of another input']);
  });

  it('has the outcome of a call for an attempt behind one that could not report it, and of no other call', async () => {
    const { records } = recordsOf();
    const run = newRun();
    const own = call({ path: 'items[1]/answer' });
    await records.keep(ended(run, own, { n: 1 }, { text: 'yes' }));
    expect(await records.earlier(run, own, { n: 1 }, 0)).toEqual(outcome({ text: 'yes' }));
    expect(await records.earlier(run, own, { n: 1 }, 3_600_000), 'of another run that had the id').toBeUndefined();
    expect(await records.earlier(run, own, { n: 2 }, 0)).toBeUndefined();
    expect(await records.earlier(run, { ...own, model: 'small' }, { n: 1 }, 0)).toBeUndefined();
    expect(await records.earlier(newRun(), own, { n: 1 }, 0)).toBeUndefined();
    const failed = call({ stage: 'failed' });
    await records.keep(ended(run, failed, {}, ['BACKEND_ERROR', 'no']));
    expect(await records.earlier(run, failed, {}, 0)).toBeUndefined();
    const away = new Redis({ port: await freePort(), lazyConnect: true, maxRetriesPerRequest: 0, retryStrategy: null });
    const silent = recordsOf({ redis: away }).records;
    const asked = silent.earlier(run, own, { n: 1 }, 0);
    await expect(asked, 'which is not the same as none').rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('keeps no input at `outputs`, and nothing at `off`', async () => {
    const { records } = recordsOf();
    const [outputs, off] = [newRun(), newRun()];
    await records.keep(ended(outputs, call({ record: 'outputs' }), { secret: 1 }, { text: 'yes' }));
    const [entry] = await entriesOf(outputs);
    expect(entry).toMatchObject({ digest: expect.any(String), output: { json: { text: 'yes' } } });
    expect(entry).not.toHaveProperty('input');
    await records.keep(ended(off, call({ record: 'off' }), {}, {}));
    expect(await admin.exists(recordKey(off))).toBe(0);
  });

  it('has large values in the artifact store, as they are where its call does not say that they are sealed', async () => {
    const { spill, kept } = spilling();
    const { records } = recordsOf({ spill });
    const run = newRun();
    const text = 'x'.repeat(20_000);
    await records.keep(ended(run, call(), { prompt: 'short' }, { text }));
    expect([...kept.values()].map(String)).toEqual([JSON.stringify({ text })]);
    expect((await entriesOf(run))[0]?.output).toEqual({ uri: 'artifact://default/0' });
    await records.hold(run, { ended: [], repeat: false }, 1);
    expect(await records.before(resumptionOf(run), call(), { prompt: 'short' })).toMatchObject({
      outcome: { output: { text }, resumed: true },
    });
  });
});

describe('large values of a record that are sealed', () => {
  let folder: string;
  let spill: Spill;
  let records: RedisRecords;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'millrace-records-'));
    spill = spillTo(await openFileStore(folder));
    ({ records } = recordsOf({ spill }));
  });
  afterAll(() => rm(folder, { recursive: true }));

  const SECRET = 'what Ada said';
  const large = { text: `${SECRET} `.repeat(2_000) };
  const own = call({ sealed: true });

  /** What is in the artifact store, bytes and metadata. */
  async function stored(): Promise<string[]> {
    const names = (await readdir(folder, { recursive: true })).filter((name) => /[0-9a-f]{64}(\.json)?$/.test(name));
    return await Promise.all(names.map((name) => readFile(path.join(folder, name), 'latin1')));
  }

  /** What a run that resumes this one gets. */
  async function taken(run: string, of = own, child = '') {
    await records.hold(run, { ended: [], repeat: false }, 1);
    return await records.before(`${resumptionOf(run)}${child}`, of, large);
  }
  const whole = { outcome: { output: large } };

  it('cannot be read by anybody once it is erased, also those of a call that was under way', async () => {
    const run = newRun();
    await records.keep(ended(run, own, large, large));
    expect(await taken(run)).toMatchObject(whole);
    const entries = await entriesOf(run);
    expect(entries).toMatchObject([{ output: { key: expect.any(String) } }]);
    const keys = entries.map(({ output }) => (output as { key: string }).key);
    const before = (await stored()).length;
    await records.erase(run);
    await records.keep({ ...ended(run, own, large, large), endedAt: 60_000 });
    const files = await stored();
    expect(files.length, 'the late call has stored its values').toBeGreaterThan(before);
    const record = await admin.hgetall(recordKey(run));
    expect(Object.keys(record)).toEqual(['@erased']);
    const left = [...files, ...Object.values(record)].join('\n');
    for (const secret of [SECRET, ...keys]) expect(left.includes(secret)).toBe(false);
  });

  it('are read in a child run, by an attempt behind another one, and of the candidate that has served the stage', async () => {
    const [run, inside, other] = [newRun(), newRun(), newRun()];
    await records.keep(ended(run, own, large, large));
    expect(await records.earlier(run, own, large, 0)).toMatchObject({ output: large });
    await records.keep(ended(`${inside}/packing`, own, large, large));
    expect(await taken(inside, own, '/packing')).toMatchObject(whole);
    await records.keep(ended(other, call({ model: 'small', sealed: true }), large, large));
    expect(await taken(other)).toMatchObject(whole);
  });

  it('are read whichever of two attempts has recorded them, at the same time or one after the other', async () => {
    const [both, late] = [newRun(), newRun()];
    const attemptOf = (run: string, attempt: number) => ({ ...ended(run, own, large, large), attempt });
    await Promise.all([1, 2].map((attempt) => records.keep(attemptOf(both, attempt))));
    expect(await taken(both)).toMatchObject(whole);
    for (const attempt of [2, 1]) await records.keep(attemptOf(late, attempt));
    expect(await taken(late)).toMatchObject(whole);
  });

  it('are read though the state store has lost the record and it was written again', async () => {
    const [lost, between] = [newRun(), newRun()];
    await records.keep(ended(lost, own, large, large));
    await admin.del(recordKey(lost));
    await records.keep({ ...ended(lost, own, large, large), attempt: 2 });
    expect(await taken(lost)).toMatchObject(whole);
    const losing: Spill = {
      ...spill,
      async put(...of) {
        const uri = await spill.put(...of);
        await admin.del(recordKey(between));
        return uri;
      },
    };
    await recordsOf({ spill: losing }).records.keep(ended(between, own, large, large));
    expect(await taken(between)).toMatchObject(whole);
  });

  it('are not taken for those of another call of the run', async () => {
    const run = newRun();
    const paid = call({ stage: 'pay', sealed: true });
    await records.keep(ended(run, own, large, large));
    await records.keep(ended(run, paid, large, { ...large, receipt: 1 }));
    const all = Object.entries(await admin.hgetall(recordKey(run))).filter(([field]) => !/^[@!=]/.test(field));
    const entries = all.map(([, text]) => JSON.parse(text) as JsonObject);
    for (const [i, [field]] of all.entries()) {
      const swapped = { ...entries[i], output: entries[1 - i]?.output };
      await admin.hset(recordKey(run), field, JSON.stringify(swapped));
    }
    for (const of of [own, paid]) await expect(taken(run, of)).rejects.toMatchObject({ code: 'RECORD_GONE' });
    await expect(records.earlier(run, own, large, 0)).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });
});

describe('a call that cannot be kept', () => {
  it('is a gap that is told and that the record says, once something can be kept again', async () => {
    let room = false;
    const { records, gaps } = recordsOf({ room: () => room });
    const run = newRun();
    await records.keep(ended(run, call(), {}, { text: 'lost' }));
    await records.keep(ended(run, call({ stage: 'b' }), {}, { text: 'lost' }));
    expect(gaps).toMatchObject([{ code: 'STATE_STORE_FULL' }, { code: 'STATE_STORE_FULL' }]);
    expect(await records.summary(run), 'also where nothing is kept afterwards').toEqual({
      gaps: 2,
      succeeded: new Map(),
    });
    room = true;
    await records.keep(ended(run, call({ stage: 'c' }), {}, { text: 'kept' }));
    expect(await records.summary(run)).toEqual({ gaps: 2, succeeded: new Map([['c', 1]]) });
    await records.keep(ended(run, call({ stage: 'd' }), {}, { text: 'kept' }));
    expect((await records.summary(run)).gaps, 'counted once').toBe(2);
  });

  it('is counted once the state store answers again, though nothing more of its run is recorded', async () => {
    let away = true;
    const flaky = new Proxy(redis, {
      get(target, name) {
        if (away && /^script\d+$/.test(String(name))) return () => Promise.reject(new Error('connection lost'));
        const value: unknown = Reflect.get(target, name);
        return typeof value === 'function' ? value.bind(target) : value;
      },
    });
    const { records, gaps } = recordsOf({ redis: flaky });
    const [lost, other] = [newRun(), newRun()];
    await records.keep(ended(lost, call(), {}, { text: 'lost' }));
    expect(gaps).toHaveLength(1);
    expect(await recordsOf().records.summary(lost)).toEqual({ gaps: 0, succeeded: new Map(), absent: true });
    away = false;
    await records.keep(ended(other, call(), {}, { text: 'kept' }));
    await expect.poll(async () => (await records.summary(lost)).gaps).toBe(1);
    expect(await admin.pttl(recordKey(lost))).toBeGreaterThan(DEADLINE_MS);
  });

  it('is a gap where the artifact store does not take it', async () => {
    const broken: Spill = {
      put: () => Promise.reject(new Error('the disk is full')),
      get: () => Promise.reject(new Error()),
    };
    for (const spill of [broken, undefined]) {
      const { records, gaps } = recordsOf(spill ? { spill } : {});
      const run = newRun();
      await records.keep(ended(run, call(), {}, { text: 'x'.repeat(20_000) }));
      expect(gaps).toHaveLength(1);
      await records.keep(ended(run, call({ stage: 'b' }), {}, {}));
      expect((await records.summary(run)).gaps).toBe(1);
    }
  });

  it('neither fails nor holds up its run where the state store is away; a resumed run waits for it', async () => {
    const away = testRedis(`redis://127.0.0.1:${await freePort()}`);
    try {
      const { records, gaps } = recordsOf({ redis: away });
      await records.keep(ended(newRun(), call(), {}, {}));
      expect(gaps).toHaveLength(1);
      const retried = { code: 'STORE_UNAVAILABLE' };
      await expect(records.before(`${newRun()}-r1`, call(), {})).rejects.toMatchObject(retried);
      await expect(records.before(newRun(), call(), {}), 'which another does not').resolves.toBeUndefined();
    } finally {
      away.disconnect();
    }
  });
});

describe('what a resumed run takes from the record', () => {
  let records: RedisRecords;
  beforeAll(() => {
    ({ records } = recordsOf());
  });
  const paid = call({ stage: 'pay', kind: 'code', model: 'pay' });

  async function taken(
    kept: readonly (readonly [StageCall, JsonObject, JsonObject | [string, string]])[],
    { over = [], repeat = false, child = '' }: { over?: string[]; repeat?: boolean; child?: string } = {},
  ) {
    const run = newRun();
    for (const [of, input, result] of kept) await records.keep(ended(`${run}${child}`, of, input, result));
    await records.hold(run, { ended: over, repeat }, 1);
    return (of: StageCall, input: JsonObject) => records.before(`${resumptionOf(run)}${child}`, of, input);
  }

  it('nothing but what has ended with the same input; another is refused where it would change something', async () => {
    const recordOf = await taken([
      [paid, { n: 1 }, { receipt: 1 }],
      [call(), { n: 1 }, { text: 'yes' }],
    ]);
    expect(await recordOf(paid, { n: 1 })).toMatchObject({ outcome: { output: { receipt: 1 } } });
    await expect(recordOf(paid, { n: 2 })).rejects.toMatchObject({ code: 'RESUME_DIVERGED' });
    expect(await recordOf(call(), { n: 2 }), 'a model may be asked again').toBeUndefined();
    expect(await recordOf({ ...paid, path: 'items[1]/pay' }, { n: 1 }), 'another item').toBeUndefined();
    expect(await recordOf(call({ stage: 'later' }), {})).toBeUndefined();
  });

  it('a failure only where the run went on behind it, and then no attempt changes it', async () => {
    const failed: [string, string] = ['BACKEND_OVERLOADED', 'too much to do'];
    const fallback = call({ model: 'small' });
    const alone = await taken([[call(), { n: 1 }, failed]]);
    expect(await alone(call(), { n: 1 })).toBeUndefined();
    const helped = await taken([
      [call(), { n: 1 }, failed],
      [fallback, { n: 1 }, { text: 'yes' }],
    ]);
    expect(await helped(call(), { n: 1 })).toEqual({ failure: { code: failed[0], message: failed[1] } });
    expect(await helped(fallback, { n: 1 })).toMatchObject({ outcome: { output: { text: 'yes' } } });
    const leftOut = await taken([[call(), { n: 1 }, failed]], { over: ['answer'] });
    expect(await leftOut(call(), { n: 1 })).toMatchObject({ failure: {} });
    expect(asThrown({ code: failed[0], message: failed[1] })).toMatchObject({
      code: failed[0],
      details: { final: true },
    });
  });

  it('what the candidate gave that served the stage, where there is time for another one now', async () => {
    const recordOf = await taken([[call({ model: 'small' }), { n: 1 }, { text: 'yes' }]]);
    expect(await recordOf(call(), { n: 1 })).toMatchObject({ outcome: { output: { text: 'yes' } } });
  });

  it('no call of a stage that had ended without it, unless somebody has said that it may happen again', async () => {
    const diverged = { code: 'RESUME_DIVERGED' };
    await expect((await taken([], { over: ['answer'] }))(call(), {})).rejects.toMatchObject(diverged);
    expect(await (await taken([], { over: ['answer'], repeat: true }))(call(), {})).toBeUndefined();
    const inside = await taken([], { over: ['packing'], child: '/packing' });
    await expect(inside(call(), {}), 'of a child run').rejects.toMatchObject(diverged);
    expect(await (await taken([], { child: '/packing' }))(call(), {})).toBeUndefined();
    for (const child of ['/items[2]/packing', '/sub/items[0]/more[1]/packing/deeper', '/packing~1/turn-1/tool']) {
      const deep = await taken([], { over: ['packing'], child });
      await expect(deep(call(), {}), child).rejects.toMatchObject(diverged);
    }
  });

  it('what the run before the previous one has done, whose record is kept for longer than that of the run that reads it', async () => {
    const run = newRun();
    const [first, second] = [resumptionOf(run), resumptionOf(resumptionOf(run))];
    await records.keep(ended(run, paid, { n: 1 }, { receipt: 1 }));
    for (const each of [run, first]) await records.hold(each, { ended: [], repeat: false }, 1);
    expect(await records.before(second, paid, { n: 1 })).toMatchObject({ outcome: { output: { receipt: 1 } } });
    await admin.pexpire(recordKey(run), 10_000);
    expect(await records.holdEarlier(first, DEADLINE_MS)).toEqual([]);
    expect(await admin.pttl(recordKey(run))).toBeGreaterThan(KEPT_MS + DEADLINE_MS);
    await records.erase(run);
    expect(await records.holdEarlier(first, DEADLINE_MS)).toEqual([run]);
    await expect(records.before(second, paid, { n: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });

  it('nothing unsaid of a run that has been erased: the record of the run before says that it is forgotten', async () => {
    const [run, other] = [newRun(), newRun()];
    await records.keep(ended(run, paid, { n: 1 }, { receipt: 1 }));
    await records.hold(run, { ended: [], repeat: false }, 1);
    const known = { gaps: 0, succeeded: new Map([['pay', 1]]) };
    expect(await records.summary(run)).toEqual(known);
    for (const each of [run, other]) await records.erase(resumptionOf(each));
    expect(await records.summary(run)).toEqual({ ...known, forgotten: true });
    expect(await records.summary(other), 'a run without a record has none then either').toMatchObject({ absent: true });
  });

  it('nothing where a large value is gone', async () => {
    const { spill, kept } = spilling();
    const { records: spilt } = recordsOf({ spill });
    const run = newRun();
    await spilt.keep(ended(run, call(), {}, { text: 'x'.repeat(20_000) }));
    await spilt.hold(run, { ended: [], repeat: false }, 1);
    kept.clear();
    await expect(spilt.before(resumptionOf(run), call(), {})).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });

  it('nothing where the record is gone, or another than the one that was looked at', async () => {
    const run = newRun();
    await records.keep(ended(run, call(), {}, {}));
    await expect(records.before(resumptionOf(run), call(), {})).rejects.toMatchObject({ code: 'RECORD_GONE' });
  });
});

it('an agent that had ended is not asked again, and its tools do nothing twice, failures included', async () => {
  const { records } = recordsOf();
  const one = z.object({ n: z.number() });
  const refund = tool({ name: 'refund', description: 'pays', input: one, run: ({ n }) => ({ n }) });
  let flaky = 0;
  const look = tool({
    name: 'look',
    description: 'looks',
    input: one,
    run() {
      flaky += 1;
      if (flaky === 1) throw new MillraceError('BACKEND_REJECTED', 'the index is away');
      return { n: 7 };
    },
  });
  let modelCalls = 0;
  const model = scripted('resumed-agent', ({ messages }) => {
    modelCalls += 1;
    if (messages.length > 1) return { text: JSON.stringify(messages.slice(1).map(({ content }) => content)) };
    return {
      calls: [
        ['refund', { n: 5 }],
        ['look', { n: 1 }],
      ],
    };
  });
  let broken = true;
  const sent = code(
    'sent',
    { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
    ({ text }) => {
      if (broken) throw new MillraceError('CODE_FAILED', 'the line is cut');
      return { text };
    },
  );
  const helper = pipeline('helper', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const answer = stage('answer', agent({ model, tools: [refund, look] }), { prompt: input.q });
    return { text: stage('send', sent, { text: answer.text }, { retry: { attempts: 1 } }).text };
  }) as unknown as Pipeline;
  const inner = new CodeRunner(helper);
  /** As `StageRunner`: the record before the call, and after it. */
  const runner = {
    async run(input: JsonObject, of: StageCall, attempt: Attempt) {
      const found = await records.before(attempt.run, of, input);
      const keep = (result: Parameters<typeof records.keep>[0]['result']) =>
        records.keep({ run: attempt.run, call: of, input, attempt: 1, startedAt: 1, endedAt: 2, result });
      if (found && 'failure' in found) throw asThrown(found.failure);
      try {
        const given = found?.outcome ?? (await inner.run(input, of, attempt));
        await keep({ outcome: given });
        return given;
      } catch (error) {
        if (error instanceof MillraceError) await keep({ failure: { code: error.code, message: error.message } });
        throw error;
      }
    },
  };
  const run = newRun();
  const options = (id: string) => ({ runner, run: id });
  await expect(runInProcess({ q: 'help' }, contextOf(helper), options(run))).rejects.toMatchObject({
    code: 'CODE_FAILED',
  });
  const [events, questions] = [inner.events.length, modelCalls];
  expect(questions).toBe(2);
  broken = false;
  await records.hold(run, { ended: ['answer'], repeat: false }, 1);
  const { output } = await runInProcess({ q: 'help' }, contextOf(helper), options(resumptionOf(run)));
  expect(output.text).toContain('the index is away');
  expect(modelCalls, 'the model').toBe(questions);
  expect(inner.events.slice(events)).toEqual(['send starts', 'send ends']);
  // Also where the agent itself had not ended: the model was told how the tool failed, and went on.
  await records.hold(run, { ended: [], repeat: false }, 1);
  await runInProcess({ q: 'help' }, contextOf(helper), options(resumptionOf(run)));
  expect([modelCalls, flaky], 'the model, the tool').toEqual([questions, 1]);
});
