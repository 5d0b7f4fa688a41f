import { randomUUID } from 'node:crypto';
import { type Client, WorkflowFailedError, type WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { RedisChannelLog, readChannel } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { CallLog, connect, fixtures, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

/* An `each` over a stream whose body has queued stages: the workflow runs its items while the stream is made. */

let client: Client;
const [redis, subscriber] = [testRedis(), testRedis()];
const channels = new RedisChannelLog(redis, subscriber);
beforeAll(async () => {
  client = await connect();
  await Promise.all([connected(redis, 30_000), connected(subscriber, 30_000)]);
});
afterAll(async () => {
  await client.connection.close();
  redis.disconnect();
  subscriber.disconnect();
});

/** What the each passes on, as it comes. */
function follow(run: WorkflowHandle) {
  const values: unknown[] = [];
  const ended = (async () => {
    const name = { run: run.workflowId, path: 'made', of: 'entries' };
    for await (const { value } of readChannel(channels, name, { signal: AbortSignal.timeout(200_000) }))
      values.push((value as { value: unknown }).value);
  })();
  ended.catch(() => undefined);
  return { values, ended };
}

const begin = (input: { log: CallLog; n: number; ms: number }, queue: string) =>
  start(client, fixtures.relayEachQueued, { ...input, log: input.log.file }, queue);

const resultsOf = (n: number) => Array.from({ length: n }, (_, i) => `result ${i}`);

/** The arguments of a run's activities, by type. */
async function argumentsOf(run: WorkflowHandle): Promise<ReadonlyMap<string, string>> {
  const found = new Map<string, string>();
  for (const { activityTaskScheduledEventAttributes: scheduled } of (await run.fetchHistory()).events ?? []) {
    const type = scheduled?.activityType?.name;
    if (!type) continue;
    const texts = (scheduled.input?.payloads ?? []).map(({ data }) => Buffer.from(data ?? []).toString('utf8'));
    found.set(type, `${found.get(type) ?? ''}${texts.join(' ')}\n`);
  }
  return found;
}

describe('an each with queued stages over a stream', () => {
  it('makes something of the entries, and passes it on, while they are made; its history has no entry', async () => {
    const n = 6;
    // Where the test's machine stands still, all is made before the first one is read.
    const { run, output } = await caught('items beside the producer', async () => {
      const log = new CallLog();
      const run = await begin({ log, n, ms: 300 }, testSettings().MILLRACE_TASK_QUEUE);
      const { output } = await resultOf(run);
      const lines = log.lines();
      const beside =
        lines.indexOf('makes entry 0') < lines.indexOf(`says ${n - 1}`) &&
        lines.indexOf('reads result 0') < lines.indexOf(`says ${n - 1}`);
      return beside ? { run, output } : undefined;
    });
    expect(output).toEqual({ made: resultsOf(n), text: resultsOf(n).join(', ') });
    const given = await argumentsOf(run);
    const types = ['made: entries', 'made: more entries', 'make', 'said', 'text'];
    expect([...given.keys()]).toEqual(expect.arrayContaining(types));
    expect(given.get('make')).toContain('made/item');
    for (const [type, text] of given) expect(text, type).not.toMatch(/entry \d/);
  });

  it('repeats no item that has ended when its worker is killed, and loses none', async () => {
    const n = 12;
    const { queue, log, run, followed, before } = await caught('items that are being made', async () => {
      const queue = `each-queued-${randomUUID()}`;
      const log = new CallLog();
      const victim = await WorkerProcess.start(queue);
      const run = await begin({ log, n, ms: 250 }, queue);
      const followed = follow(run);
      await until('some are passed on', () => followed.values.length > 2 && log.count('reads result 0') > 0);
      await victim.kill();
      const before = { lines: log.lines(), values: [...followed.values] };
      return log.count(`says ${n - 1}`) === 0 ? { queue, log, run, followed, before } : undefined;
    });
    const other = await WorkerProcess.start(queue);
    const { output } = await resultOf(run);
    await followed.ended;
    await other.kill('SIGTERM');
    expect(output).toEqual({ made: resultsOf(n), text: resultsOf(n).join(', ') });
    expect(followed.values).toEqual(resultsOf(n));
    // What had been passed on is a result in the history: none of it is made again.
    const madeIn = (lines: readonly string[], value: unknown) => {
      const made = String(value).replace('result', 'makes entry');
      return lines.filter((line) => line === made).length;
    };
    // More than once before the kill where the worker stood still.
    for (const value of before.values) expect(madeIn(log.lines(), value)).toBe(madeIn(before.lines, value));
    const made = log.lines().filter((line) => line.startsWith('makes'));
    // Two at once were being made, and the result of others may have been on its way.
    expect(made.length).toBeLessThanOrEqual(n + 4);
  });

  it('does not deadlock where a worker has one slot', async () => {
    const queue = `each-one-slot-${randomUUID()}`;
    const worker = await WorkerProcess.start(queue, { MILLRACE_MAX_ACTIVITIES: '1' });
    const runs = await Promise.all([1, 2].map(() => begin({ log: new CallLog(), n: 4, ms: 20 }, queue)));
    for (const run of runs) expect((await resultOf(run)).output).toMatchObject({ made: resultsOf(4) });
    await worker.kill('SIGTERM');
  });

  it('ends with its run when that is cancelled while it waits for an entry', async () => {
    const log = new CallLog();
    const run = await begin({ log, n: 3, ms: 20_000 }, testSettings().MILLRACE_TASK_QUEUE);
    await until('it waits', async () => (await argumentsOf(run)).has('made: more entries'));
    await run.cancel();
    await expect(run.result()).rejects.toBeInstanceOf(WorkflowFailedError);
    expect(log.lines()).toEqual([]);
  });
});
