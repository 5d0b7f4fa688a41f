import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, pipeline, type SpeechPiece, synthesize, transcribe } from '../../pipelines/index.js';
import { type ReadEntry, RedisChannelLog, readChannel } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { ownRedis } from '../support/own-redis.js';
import { address, connect, resultOf, start, until } from '../support/runs.js';
import { testRedis } from '../support/test-worker.js';
import { WorkerProcess } from '../support/worker-process.js';

/* An LLM tells, a voice speaks, and a recogniser hears each piece while the voice goes on. */

const listened = (execution: 'queued' | 'inline') =>
  pipeline(
    `listened-${execution}`,
    { input: z.object({ question: z.string() }), deadline: '3m' },
    ({ input, stage, each }) => {
      const options = { execution };
      const told = chat({ model: 'assistant', system: 'You tell short stories of five sentences.', maxTokens: 160 });
      const answer = stage('answer', told, { prompt: input.question }, options);
      const spoken = stage('speak', synthesize({ model: 'tts' }), { text: answer.sentences }, options);
      const heard = each(
        'heard',
        spoken.chunks,
        (piece) => stage('hear', transcribe({ model: 'whisper' }), { audio: piece.audio }, options).text,
        { concurrency: 1 },
      );
      return { reply: answer.text, pieces: spoken.chunks, heard };
    },
  );
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

/** Words of a text in lower case: what a recogniser can hear of it. */
const wordsOf = (text: string): string[] => text.toLowerCase().match(/[a-z]+/g) ?? [];

/** What was spoken is all of the reply, once and in order, and what is heard is heard of the piece in the same place. */
function expectWhole({ pieces, heard, reply }: Readonly<Record<string, unknown>>): readonly SpeechPiece[] {
  const spoken = pieces as readonly SpeechPiece[];
  expect(spoken.length).toBeGreaterThan(1);
  expect(spoken.map(({ number }) => number)).toEqual(spoken.map((_, i) => i));
  expect(spoken.map(({ text }) => text).join('')).toBe(String(reply).trimEnd());
  expect(heard).toHaveLength(spoken.length);
  for (const [i, { text }] of spoken.entries()) {
    const [said, got] = [wordsOf(text), wordsOf((heard as readonly string[])[i] ?? '')];
    const same = said.filter((word) => got.includes(word)).length;
    expect(same, `${text} → ${got.join(' ')}`).toBeGreaterThanOrEqual(said.length / 2);
  }
  return spoken;
}

describe('the pieces of a voice', () => {
  it.each(['queued', 'inline'] as const)(
    'are heard while it speaks, once and in order, though the worker of %s stages is killed',
    async (execution) => {
      // Where the machine stands still, the voice has ended when its pieces are read.
      const { queue, run, entries, followed, before } = await caught('a voice that still speaks', async () => {
        const queue = `pieces-kill-${randomUUID()}`;
        const victim = await WorkerProcess.start(queue);
        const run = await start(client, listened(execution), QUESTION, queue);
        const entries: ReadEntry[] = [];
        const name = { run: run.workflowId, path: 'speak', of: 'chunks' };
        const followed = (async () => {
          for await (const entry of readChannel(channels, name, { signal: AbortSignal.timeout(200_000) }))
            entries.push(entry);
        })();
        followed.catch(() => undefined);
        // The `each` says how far it is: it has begun to read.
        await until('a piece is read', async () => (await channels.needed(name, 'speak')) !== undefined);
        const ended = (await channels.read(name, 0, 0))?.end !== undefined;
        await victim.kill();
        return ended ? undefined : { queue, run, entries, followed, before: [...entries] };
      });
      const other = await WorkerProcess.start(queue);
      const { output } = await resultOf(run);
      await followed;
      await other.kill('SIGTERM');
      const pieces = expectWhole(output);
      // What was committed before is what is listed.
      expect(entries.slice(0, before.length)).toEqual(before);
      expect(entries.map(({ value }) => value)).toMatchObject(
        pieces.map(({ audio, text, at }) => ({ audio, text, at })),
      );
      const history = JSON.stringify(await run.fetchHistory());
      expect(history.length).toBeLessThan(200_000);
    },
  );

  it.each(['queued', 'inline'] as const)(
    'are the same ones though the state store restarts while %s stages speak, and is away for four seconds',
    async (execution) => {
      const folder = mkdtempSync(path.join(tmpdir(), 'millrace-store-'));
      const store = await ownRedis(address('REDIS_URL'), folder);
      await store.start();
      const [own, ownSubscriber] = [testRedis(store.url), testRedis(store.url)];
      const log = new RedisChannelLog(own, ownSubscriber);
      const queue = `pieces-store-${randomUUID()}`;
      const worker = await WorkerProcess.start(queue, { REDIS_URL: store.url });
      const { run, before } = await caught('a voice that still speaks', async () => {
        const run = await start(client, listened(execution), QUESTION, queue);
        const name = { run: run.workflowId, path: 'speak', of: 'chunks' };
        const committed = async () => (await log.read(name, 0, 99).catch(() => undefined))?.entries ?? [];
        await until('a piece is committed', async () => (await committed()).length > 0);
        const ended = (await log.read(name, 0, 0))?.end !== undefined;
        const before = await committed();
        await store.kill();
        await sleep(4_000);
        await store.start();
        if (!ended) return { run, before };
        await resultOf(run);
        return undefined;
      });
      const { output } = await resultOf(run);
      const pieces = expectWhole(output);
      const texts = before.map(({ text }) => JSON.parse(text) as SpeechPiece);
      expect(pieces.slice(0, texts.length)).toMatchObject(texts.map(({ audio, text, at }) => ({ audio, text, at })));
      await worker.kill('SIGTERM');
      for (const each of [own, ownSubscriber]) each.disconnect();
      await store.kill();
      rmSync(folder, { recursive: true, force: true });
    },
  );
});
