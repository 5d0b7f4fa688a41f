import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { Registry } from 'prom-client';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deliveryId } from '../../../pipelines/run/index.js';
import { RunEnds } from '../../../runs/ends.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';

const MEMO = {
  tenant: 'acme',
  pipeline: 'greet',
  version: '1',
  createdAt: new Date(0).toISOString(),
  fingerprint: 'f',
};

let temporal: FakeTemporal;
let registry: Registry;
/** Long polls and describes under way, the most that there were, and how many there have been. */
const polls = { now: 0, most: 0, all: 0 };
const descriptions = { all: 0 };

beforeEach(() => {
  temporal = new FakeTemporal();
  registry = new Registry();
  Object.assign(polls, { now: 0, most: 0, all: 0 });
  descriptions.all = 0;
  const { workflow } = temporal.client;
  const getHandle = workflow.getHandle.bind(workflow);
  workflow.getHandle = ((id: string) => {
    const handle = getHandle(id);
    return {
      ...handle,
      describe: () => {
        descriptions.all++;
        return handle.describe();
      },
      result: async () => {
        polls.all++;
        polls.most = Math.max(polls.most, ++polls.now);
        return await handle.result().finally(() => polls.now--);
      },
    };
  }) as never;
});
const over: AbortController[] = [];
afterEach(() => {
  for (const each of over.splice(0)) each.abort();
});

const ends = (longPolls: number, more: object = {}) =>
  new RunEnds({
    temporal: temporal.client,
    uiUrl: () => '',
    logger: pino({ level: 'silent' }),
    registry,
    limits: { longPolls } as never,
    ...more,
  });

async function started(id: string, tenant = 'acme') {
  const args = [{ name: 'Ada' }, {}] as never;
  await temporal.client.workflow.start('greet', {
    workflowId: id,
    taskQueue: 'q',
    memo: { ...MEMO, tenant },
    args,
  } as never);
  return { id, tenant };
}

function waiting() {
  const controller = new AbortController();
  over.push(controller);
  return controller;
}

const gauge = async (name: string) => (await registry.getSingleMetric(name)?.get())?.values[0]?.value;

test('1,500 who wait for one run cost one long poll, and its end is read once by all who need more than the outcome', async () => {
  const learnt = ends(128);
  const run = await started('greet-1');
  const all = Array.from({ length: 1_500 }, () => learnt.of(run, waiting().signal));
  await sleep(10);
  expect(polls).toEqual({ now: 1, most: 1, all: 1 });
  temporal.runs.get('greet-1')?.end({ output: { name: 'Ada' }, stages: [] });
  const outcomes = await Promise.all(all);
  expect(outcomes[0]?.outcome).toMatchObject({ status: 'succeeded', output: { name: 'Ada' } });
  expect([polls.all, descriptions.all]).toEqual([1, 0]);
  const documents = await Promise.all(outcomes.map((end) => end?.document()));
  expect(new Set(documents).size).toBe(1);
  expect(documents[0]).toMatchObject({ id: 'greet-1', status: 'succeeded', output: { name: 'Ada' } });
  // The second is the reading of the run that has ended.
  expect([polls.all, descriptions.all]).toEqual([2, 1]);
  expect(await gauge('millrace_awaited_runs')).toBe(0);
});

test('long polls are bounded, and a tenant has three quarters of them; the end of every run is learnt', async () => {
  const learnt = ends(4);
  const ids = Array.from({ length: 30 }, (_, i) => `greet-a${i}`);
  const runs = await Promise.all(ids.map((id) => started(id)));
  const all = runs.map((run) => learnt.of(run, waiting().signal));
  await sleep(20);
  expect(polls.now).toBe(3);
  const other = await started('greet-b', 'other');
  const bystander = learnt.of(other, waiting().signal);
  await sleep(20);
  expect([polls.now, await gauge('millrace_temporal_long_polls')]).toEqual([4, 4]);
  temporal.runs.get('greet-b')?.end({ output: {}, stages: [] });
  expect((await bystander)?.outcome.status).toBe('succeeded');
  await expect.poll(() => descriptions.all).toBeGreaterThan(20);
  for (const id of ids) temporal.runs.get(id)?.end({ output: {}, stages: [] });
  const outcomes = (await Promise.all(all)).map((end) => end?.outcome.status);
  expect(new Set(outcomes)).toEqual(new Set(['succeeded']));
  expect(await gauge('millrace_temporal_long_polls')).toBe(0);
}, 120_000);

test('who leaves takes the long poll along, but not from the others', async () => {
  const learnt = ends(1);
  const run = await started('greet-1');
  const [first, second] = [waiting(), waiting()];
  const waits = [learnt.of(run, first.signal), learnt.of(run, second.signal)];
  await sleep(10);
  first.abort();
  expect(await waits[0]).toBeUndefined();
  expect(polls.now).toBe(1);
  second.abort();
  expect(await waits[1]).toBeUndefined();
  await sleep(10);
  expect(polls.now).toBe(0);
  expect([await gauge('millrace_awaited_runs'), await gauge('millrace_temporal_long_polls')]).toEqual([0, 0]);
});

test('a long poll that is cancelled on its way is made again', async () => {
  const learnt = ends(8);
  const run = await started('greet-1');
  temporal.outage = grpcError(1, 'cancelled');
  const wait = learnt.of(run, waiting().signal);
  await sleep(50);
  temporal.outage = undefined;
  temporal.only().end({ output: {}, stages: [] });
  expect((await wait)?.outcome.status).toBe('succeeded');
});

test('many runs of a tenant that their deliveries have not started hold up no run of another tenant', async () => {
  const learnt = ends(8, { webhooks: {} });
  const accepted = async (id: string, tenant: string) => {
    await started(deliveryId(id), tenant);
    return { id, tenant };
  };
  // Eight at a time ten times a second, these are looked at within five seconds.
  for (let n = 0; n < 400; n++) void learnt.of(await accepted(`greet-a${n}`, 'acme'), waiting().signal);
  await sleep(1_500);
  const other = await accepted('greet-b', 'other');
  const end = learnt.of(other, waiting().signal);
  await sleep(200);
  // Its delivery has not started it: there is nothing to poll.
  expect(polls.now).toBe(0);
  await started(other.id, other.tenant);
  temporal.runs.get(other.id)?.end({ output: {}, stages: [] });
  const began = performance.now();
  expect((await end)?.outcome.status).toBe('succeeded');
  expect(performance.now() - began).toBeLessThan(2_500);
});

test('where Temporal takes no more long polls the run is looked at; where it is away, all who wait are told', async () => {
  const learnt = ends(8);
  const run = await started('greet-1');
  temporal.outage = grpcError(8, 'namespace concurrent poller limit exceeded');
  const wait = learnt.of(run, waiting().signal);
  await sleep(50);
  temporal.outage = undefined;
  temporal.only().end({ output: {}, stages: [] });
  expect((await wait)?.outcome.status).toBe('succeeded');
  temporal.outage = grpcError(14, 'unavailable');
  const lost = [learnt.of(run, waiting().signal), learnt.of(run, waiting().signal)];
  for (const each of lost) await expect(each).rejects.toThrow('unavailable');
  expect(await gauge('millrace_awaited_runs')).toBe(0);
}, 120_000);
