import { setTimeout as sleep } from 'node:timers/promises';
import { liveAudioOf } from '../../runs/live-audio.js';
import { readChannel } from '../../stores/channels/index.js';
import { note, round } from '../figures.js';
import type { Stack } from './stack.js';

const EVERY_MS = 50;
const SAMPLE_MS = 2_000;

/** Most bytes of a history and of the state store that a narration of 500 sentences may take. */
export const MOST_BYTES = { history: 200_000, store: 20_000_000 } as const;

/**
 * A narration in whose middle the worker is replaced: another one, of another build, starts beside it, then the first one stops. The story
 * waits before its last fifth until it has.
 */
export async function deployed(stack: Stack, sentences: number) {
  const { 'worker-a': first, 'worker-b': next } = stack.workers;
  const { models } = stack;
  models.asked.length = 0;
  models.holdAt = Math.floor(0.8 * sentences);
  let spoken = 0;
  let storeBytes = 0;
  let deploy: Promise<number> | undefined;
  const watching = new AbortController();
  const watch = async (id: string) => {
    const speech = await liveAudioOf(stack, id, 'speech');
    if (!speech) throw new Error(`${id} speaks no stream`);
    const entries = readChannel(stack.channels, speech, { signal: watching.signal });
    for await (const { number } of entries) {
      spoken = number + 1;
      if (spoken >= sentences / 5) deploy ??= replace();
      // A run that fails before it ends is what is to be told.
      deploy?.catch(() => undefined);
    }
  };
  const measure = async (id: string) => {
    while (!watching.signal.aborted) {
      storeBytes = Math.max(storeBytes, await bytesOf(stack, id));
      await sleep(SAMPLE_MS, undefined, { signal: watching.signal }).catch(() => undefined);
    }
  };
  /** Returns how many sentences had been spoken when the first worker was gone. */
  const replace = async () => {
    note(`${spoken} sentences are spoken: a worker of another build starts`);
    await next.start();
    note(`${spoken} sentences are spoken: the first worker stops`);
    await first.stop();
    const then = spoken;
    models.holdAt = Number.POSITIVE_INFINITY;
    return then;
  };
  const observers: Promise<void>[] = [];
  let watched: Promise<void> = Promise.resolve();
  const observe = (run: string) => {
    watched = watch(run);
    // A failure is thrown when the run has ended.
    watched.catch(() => undefined);
    observers.push(watched, measure(run));
  };
  const began = performance.now();
  try {
    const { id, whole } = await stack.narrate(sentences, EVERY_MS, observe);
    const tookS = (performance.now() - began) / 1_000;
    await watched;
    storeBytes = Math.max(storeBytes, await bytesOf(stack, id));
    const { historyLength, raw } = await stack.temporal.workflow.getHandle(id).describe();
    const historyBytes = Number(raw.workflowExecutionInfo?.historySizeBytes ?? Number.NaN);
    // Pools send calls of their own, to see that the voice is well.
    const calls = models.asked.filter((text) => text.startsWith('Sentence'));
    const asked = new Set(calls);
    return {
      sentences,
      audioS: 3.6 * sentences,
      tookS: round(tookS, 1),
      whole,
      spokenAtTheDeploy: (await deploy) ?? Number.NaN,
      /** Sentences that the voice was asked for, and calls of it beyond one for each: those that a worker died in. */
      asked: asked.size,
      askedAgain: calls.length - asked.size,
      historyEvents: historyLength,
      historyBytes,
      storeBytes,
      tooMuch: [
        ...(historyBytes < MOST_BYTES.history ? [] : ['history']),
        ...(storeBytes < MOST_BYTES.store ? [] : ['store']),
      ],
    };
  } finally {
    watching.abort(new Error('the run is over'));
    await Promise.allSettled(observers);
  }
}

/** What the state store holds for a run. */
async function bytesOf({ redis }: Stack, id: string): Promise<number> {
  let bytes = 0;
  let cursor = '0';
  do {
    const [after, keys] = await redis.scan(cursor, 'MATCH', `*${id}*`, 'COUNT', 1_000);
    for (const key of keys) bytes += Number((await redis.call('MEMORY', 'USAGE', key, 'SAMPLES', '0')) ?? 0);
    cursor = after;
  } while (cursor !== '0');
  return bytes;
}
