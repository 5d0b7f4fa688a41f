import { randomUUID } from 'node:crypto';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type { Client, WorkflowHandle } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { z } from 'zod';
import type { SpokenChunk } from '../../activities/streams/index.js';
import { ScriptedModels, storyOf } from '../../bench/narration/models.js';
import type { Artifact } from '../../pipelines/artifact.js';
import { chat, pipeline, synthesize } from '../../pipelines/index.js';
import { deviceQueue } from '../../placement/queues.js';
import { type ReadEntry, RedisChannelLog, readChannel } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { CallLog, connect, fixtures, LOST_SOON, resultOf, start, until } from '../support/runs.js';
import { testSettings } from '../support/settings.js';
import { testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

const narrator = (execution: 'queued' | 'inline') =>
  pipeline(
    `narrator-${execution}`,
    { input: z.object({ question: z.string() }), deadline: '3m' },
    ({ input, stage }) => {
      const told = chat({ model: 'assistant', system: 'You tell short stories of five sentences.', maxTokens: 160 });
      const answer = stage('answer', told, { prompt: input.question }, { execution });
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences }, { execution });
      return { reply: answer.text, speech: spoken.audio };
    },
  );
const QUEUED = narrator('queued');
const INLINE = narrator('inline');
const QUESTION = { question: 'Tell me about a fox who finds a lantern in the wood.' };

let client: Client;
const redis = testRedis();
const subscriber = testRedis();
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

/** The entries of a channel as they come. */
function follow(run: string, path: string, of: string) {
  const entries: ReadEntry[] = [];
  const ended = (async () => {
    const options = { signal: AbortSignal.timeout(200_000) };
    for await (const entry of readChannel(channels, { run, path, of }, options)) entries.push(entry);
  })();
  ended.catch(() => undefined);
  return { entries, ended };
}

const chunksOf = (entries: readonly ReadEntry[]) => entries.map(({ value }) => value as unknown as SpokenChunk);

/** What must hold of every finished run, whatever happened to it. */
async function check(run: WorkflowHandle, followed: Record<'sentences' | 'chunks', ReturnType<typeof follow>>) {
  const { output, stages } = await resultOf(run);
  await Promise.all([followed.sentences.ended, followed.chunks.ended]);
  const reply = String(output.reply);
  const sentences = followed.sentences.entries.map(({ value }) => String(value));
  const chunks = chunksOf(followed.chunks.entries);
  expect(sentences.join('')).toBe(reply.trimEnd());
  expect(sentences.length).toBeGreaterThan(1);
  expect(chunks.map(({ text }) => text).join('')).toBe(sentences.join(''));
  const speech = output.speech as unknown as Artifact;
  const heard = chunks.reduce((sum, { audio }) => sum + audio.bytes - 44, 0);
  expect(speech.bytes - 44).toBe(heard);
  return { reply, sentences, chunks, stages };
}

const followAll = (run: WorkflowHandle) => ({
  sentences: follow(run.workflowId, 'answer', 'sentences'),
  chunks: follow(run.workflowId, 'speak', 'chunks'),
});

/** Times of a run's activities in its history, by type. */
async function times(handle: WorkflowHandle) {
  const events = (await handle.fetchHistory()).events ?? [];
  const at = (event: (typeof events)[number] | undefined) =>
    Number(event?.eventTime?.seconds) * 1_000 + Number(event?.eventTime?.nanos) / 1e6;
  return Object.fromEntries(
    events.flatMap((event) => {
      const type = event.activityTaskScheduledEventAttributes?.activityType?.name;
      if (!type) return [];
      const of = String(event.eventId);
      const started = events.find((each) => String(each.activityTaskStartedEventAttributes?.scheduledEventId) === of);
      const ended = events.find((each) => String(each.activityTaskCompletedEventAttributes?.scheduledEventId) === of);
      return [[type, { started: at(started), ended: at(ended) }]];
    }),
  ) as Record<string, { started: number; ended: number }>;
}

describe('a streaming edge', () => {
  it('is spoken while the answer goes on: queued stages run side by side', async () => {
    // A worker that stands still begins the attempt of a stage again, and the history has the last one's time.
    const { run, chunks } = await caught('the first attempt of each stage', async () => {
      const run = await start(client, QUEUED, QUESTION, testSettings().MILLRACE_TASK_QUEUE);
      const followed = followAll(run);
      await until('the first sentence is spoken', () => followed.chunks.entries.length > 0);
      const { chunks, stages } = await check(run, followed);
      return stages.every(({ attempt }) => attempt === 1) ? { run, chunks } : undefined;
    });
    const { answer, speak } = await times(run);
    expect(speak?.started).toBeLessThan(answer?.ended as number);
    expect(chunks.length).toBeGreaterThan(1);
    // History has results only.
    const history = JSON.stringify(await run.fetchHistory());
    expect(history.length).toBeLessThan(100_000);
  });

  it('streams inside a segment', async () => {
    const run = await start(client, INLINE, QUESTION, testSettings().MILLRACE_TASK_QUEUE);
    const followed = followAll(run);
    await check(run, followed);
    expect(await times(run)).toEqual({});
  });

  it.each([
    ['queued', QUEUED],
    ['inline', INLINE],
  ] as const)('loses no sentence and speaks none twice when the worker of %s stages is killed', async (_, pipeline) => {
    const queue = `streams-kill-${randomUUID()}`;
    const victim = await WorkerProcess.start(queue);
    const run = await start(client, pipeline, QUESTION, queue, ...LOST_SOON);
    const followed = followAll(run);
    await until('a sentence is spoken', () => followed.chunks.entries.length > 0);
    await victim.kill();
    const before = [...followed.chunks.entries];
    const other = await WorkerProcess.start(queue);
    const { chunks, sentences } = await check(run, followed);
    await other.kill('SIGTERM');
    expect(followed.chunks.entries.slice(0, before.length)).toEqual(before);
    expect(chunks.map(({ text }) => text.trim())).toEqual(sentences.map((text) => text.trim()).filter(Boolean));
  });

  it.each([
    ['queued', 'relayQueued'],
    ['inline', 'relayInline'],
  ] as const)(
    'of functions goes on behind what is committed when the worker of %s stages is killed',
    async (_, relay) => {
      const n = 12;
      // All is made where the test stands still before the kill: nothing is left to go on with then.
      const { queue, log, run, followed } = await caught('numbers that are being made', async () => {
        const queue = `streams-code-${randomUUID()}`;
        const log = new CallLog();
        const victim = await WorkerProcess.start(queue);
        const run = await start(client, fixtures[relay], { log: log.file, n, ms: 250 }, queue, ...LOST_SOON);
        const followed = [
          follow(run.workflowId, 'made', 'entries'),
          follow(run.workflowId, 'doubled', 'entries'),
        ] as const;
        await until('some are doubled', () => followed[1].entries.length > 2 && log.count('total 0') > 0);
        await victim.kill();
        return log.count(`ticks ${n - 1}`) === 0 ? { queue, log, run, followed } : undefined;
      });
      const before = followed.map(({ entries }) => [...entries]);
      const other = await WorkerProcess.start(queue);
      const { output } = await resultOf(run);
      await Promise.all(followed.map(({ ended }) => ended));
      await other.kill('SIGTERM');
      const items = Array.from({ length: n }, (__, i) => i);
      expect(output).toEqual({ items, doubled: items.map((i) => 2 * i), sum: n * (n - 1) });
      for (const [i, { entries }] of followed.entries()) expect(entries.slice(0, before[i]?.length)).toEqual(before[i]);
      const lines = log.lines();
      // Those that were made, but not yet committed, are made again: one, or a few of a worker that gets no processor.
      expect(lines.filter((line) => line.startsWith('ticks')).length).toBeLessThan(n + n / 2);
      // The readers ran beside it.
      expect(lines.indexOf('total 0')).toBeLessThan(lines.lastIndexOf(`ticks ${n - 1}`));
      expect(lines.findLast((line) => line.startsWith('doubles from'))).not.toBe('doubles from 0');
    },
  );

  it('of an each goes on behind what is committed when its worker is killed, and makes nothing again', async () => {
    const queue = `streams-each-${randomUUID()}`;
    const log = new CallLog();
    const [victim, n] = [await WorkerProcess.start(queue), 12];
    const run = await start(client, fixtures.relayEach, { log: log.file, n, ms: 250 }, queue, ...LOST_SOON);
    const followed = follow(run.workflowId, 'squared', 'entries');
    await until('some are squared', () => followed.entries.length > 2 && log.count('total 0') > 0);
    await victim.kill();
    const before = [...followed.entries];
    const other = await WorkerProcess.start(queue);
    const { output } = await resultOf(run);
    await followed.ended;
    await other.kill('SIGTERM');
    const items = Array.from({ length: n }, (__, i) => i);
    const squared = items.map((i) => i * i);
    expect(output).toEqual({ items, squared, sum: squared.reduce((sum, value) => sum + value, 0) });
    expect(followed.entries.slice(0, before.length)).toEqual(before);
    expect(followed.entries.map(({ value }) => (value as { value: number }).value)).toEqual(squared);
    const lines = log.lines();
    // Of those whose end was not yet recorded a few are made again.
    expect(lines.filter((line) => line.startsWith('squares')).length).toBeLessThan(n + n / 2);
    // The squares were made, and read, beside the numbers.
    expect(lines.indexOf('squares 0')).toBeLessThan(lines.lastIndexOf(`ticks ${n - 1}`));
    expect(lines.indexOf('total 0')).toBeLessThan(lines.lastIndexOf(`ticks ${n - 1}`));
    const history = JSON.stringify(await run.fetchHistory());
    expect(history).not.toContain('"square"');
  });

  it('of a language model does not wait for a reader that is ten times slower, and loses nothing of what waits for it', async () => {
    const queue = testSettings().MILLRACE_TASK_QUEUE;
    const both = async (run: WorkflowHandle) => {
      const { answer, hear } = await times(run);
      if (!answer || !hear) throw new Error('the history has not both');
      return { answer, hear };
    };
    const dawdle = (ms: number) => start(client, fixtures.dawdling, { ...QUESTION, ms }, queue);
    const prompt = await dawdle(0);
    const parts = (await resultOf(prompt)).output.parts as string[];
    const { ended, started } = (await both(prompt)).answer;
    const ms = Math.ceil((10 * (ended - started)) / parts.length);
    const run = await dawdle(ms);
    const followed = follow(run.workflowId, 'answer', 'tokens');
    await followed.ended;
    // What waits for the reader takes the room of the text, and of a hash for each entry.
    const bytes = await redis.hget(`millrace:channel:{${run.workflowId}}:answer:tokens`, 'bytes');
    const texts = followed.entries.map(({ value }) => Buffer.byteLength(JSON.stringify(value)));
    expect(Number(bytes)).toBe(texts.reduce((sum, text) => sum + 32 + text, 0));
    const { output } = await resultOf(run);
    expect(output.parts).toEqual(followed.entries.map(({ value }) => value));
    expect((output.parts as string[]).join('')).toBe(output.reply);
    // When the answer had ended, most of it was still waiting: also if the model took some times as long for it now.
    const { answer, hear } = await both(run);
    expect(hear.ended - answer.ended).toBeGreaterThan((ms * texts.length) / 2);
    expect(JSON.stringify(await run.fetchHistory()).length).toBeLessThan(100_000);
  });

  it('does not deadlock where each worker has one slot: a reader holds none while it waits', async () => {
    const queue = `streams-one-slot-${randomUUID()}`;
    const worker = await WorkerProcess.start(queue, { MILLRACE_MAX_ACTIVITIES: '1' });
    onTestFinished(() => worker.kill('SIGTERM'));
    const runs = await Promise.all([1, 2, 3].map(() => start(client, QUEUED, QUESTION, queue)));
    const all = await Promise.all(runs.map((run) => check(run, followAll(run))));
    for (const { chunks } of all) expect(chunks.length).toBeGreaterThan(1);
  });

  it('does not deadlock where two runs cross on devices of one slot: the LLM of one with the voice of the other', async () => {
    const SENTENCES = 6;
    const queue = `streams-crossing-${randomUUID()}`;
    const servers = [await ScriptedModels.open(), await ScriptedModels.open()] as const;
    onTestFinished(() => {
      for (const server of servers) server.close();
    });
    const pools = servers.flatMap(({ url }, i) => {
      const endpoints = [{ url, device: `d${i}`, concurrency: 1 }];
      return [
        [`llm${i}`, { connector: 'openai', kind: 'chat', model: 'storyteller', endpoints }],
        [`voice${i}`, { connector: 'openai', kind: 'synthesize', model: 'voice', endpoints }],
      ];
    });
    const models = path.join(mkdtempSync(path.join(tmpdir(), 'millrace-')), 'models.json');
    writeFileSync(models, JSON.stringify(Object.fromEntries(pools)));
    const worker = await WorkerProcess.start(queue, {
      ...{ MILLRACE_MODELS: models, MILLRACE_PIPELINES: '', MILLRACE_DEVICES: 'd0,d1' },
    });
    onTestFinished(() => worker.kill('SIGTERM'));
    const begin = async (llm: 0 | 1) => {
      const { name, plan } = pipeline(
        'crossing',
        { input: z.object({ prompt: z.string() }), deadline: '3m' },
        ({ input, stage }) => {
          const answer = stage('answer', chat({ model: `llm${llm}` }), { prompt: input.prompt });
          const spoken = stage('speak', synthesize({ model: `voice${1 - llm}` }), { text: answer.sentences });
          return { reply: answer.text, speech: spoken.audio };
        },
      );
      const on = (device: string) => ({ connector: 'openai', device, queue: deviceQueue(queue, device) });
      const placement = { answer: on(`d${llm}`), speak: on(`d${1 - llm}`) };
      const args = [{ prompt: `${SENTENCES} sentences, one every 50 ms` }, { plan, placement, tenant: 'default' }];
      return client.workflow.start(name, { taskQueue: queue, workflowId: `crossing-${randomUUID()}`, args });
    };
    for (const server of servers) server.holdAt = 0;
    const first = await begin(0);
    // The reader of the first run is on the device of the second run's LLM before that one comes.
    await until('the first run’s voice waits for its LLM', async () => {
      const pending = (await first.describe()).raw.pendingActivities ?? [];
      return pending.filter(({ lastStartedTime }) => lastStartedTime).length === 2;
    });
    const others = await Promise.all([begin(1), begin(0), begin(1)]);
    await until('both LLMs are called', () => servers.every(({ stories }) => stories > 0));
    for (const server of servers) server.holdAt = Number.POSITIVE_INFINITY;
    const whole = storyOf(SENTENCES);
    for (const run of [first, ...others]) {
      const { reply } = await check(run, followAll(run));
      expect(reply).toBe(whole.join(' '));
    }
  });
});
