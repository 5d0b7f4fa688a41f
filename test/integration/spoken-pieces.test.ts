import { randomUUID } from 'node:crypto';
import type { Client } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, pipeline, type SpeechPiece, synthesize, transcribe } from '../../pipelines/index.js';
import { type ReadEntry, RedisChannelLog, readChannel } from '../../stores/channels/index.js';
import { connected } from '../../stores/redis/index.js';
import { caught } from '../support/caught.js';
import { connect, resultOf, start, until } from '../support/runs.js';
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
      const pieces = output.pieces as unknown as SpeechPiece[];
      const heard = output.heard as string[];
      expect(pieces.length).toBeGreaterThan(1);
      expect(pieces.map(({ number }) => number)).toEqual(pieces.map((_, i) => i));
      expect(pieces.map(({ text }) => text).join('')).toBe(String(output.reply).trimEnd());
      // What was committed before is what is listed, and what is heard is heard of the piece in the same place.
      expect(entries.slice(0, before.length)).toEqual(before);
      expect(entries.map(({ value }) => value)).toMatchObject(
        pieces.map(({ audio, text, at }) => ({ audio, text, at })),
      );
      expect(heard).toHaveLength(pieces.length);
      for (const [i, { text }] of pieces.entries()) {
        const [said, got] = [wordsOf(text), wordsOf(heard[i] ?? '')];
        const same = said.filter((word) => got.includes(word)).length;
        expect(same, `${text} → ${heard[i]}`).toBeGreaterThanOrEqual(said.length / 2);
      }
      const history = JSON.stringify(await run.fetchHistory());
      expect(history.length).toBeLessThan(200_000);
    },
  );
});
