import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceClient } from '../../client/index.js';
import { isArtifact } from '../../pipelines/artifact.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { readChannel } from '../../stores/channels/index.js';
import type { Seeded } from '../chaos/seeded.js';
import { Listener } from './listener.js';
import { QUESTIONS } from './pipelines.js';
import type { Scene, Victim } from './scene.js';
import type { Evidence } from './verdict.js';

/** Where a process is killed: behind an entry of a channel, and a while later. */
interface Point {
  readonly of: 'sentences' | 'chunks';
  readonly entries: number;
  readonly afterMs: number;
  /** Of the workers, the one that runs this stage. */
  readonly stage: 'answer' | 'speak';
}

const WAYS = [
  ['narrator-queued', {}],
  ['narrator-inline', {}],
  ['narrator-inline', { priority: 'interactive' }],
] as const;

/** Longest time of a run, in milliseconds: its deadline and half a minute. */
const LONGEST_MS = 330_000;
const POLL_MS = 10;
/** After the end of a run, how long its channels may stay open: one that the store lost for too long is never closed. */
const CLOSED_WITHIN_MS = 10_000;

const pointOf = (random: Seeded): Point => ({
  of: random.next() < 0.5 ? 'sentences' : 'chunks',
  entries: random.below(4),
  afterMs: random.between(0, 600),
  stage: random.next() < 0.5 ? 'answer' : 'speak',
});

interface Seen {
  readonly value: Json;
  readonly at: number;
}

/** Runs a story, kills a process at a seeded point, and collects what there is to be judged. */
export async function storyWithKill(
  scene: Scene,
  victim: Victim,
  {
    number,
    random,
    deterministic,
  }: { readonly number: number; readonly random: Seeded; readonly deterministic: boolean },
): Promise<Evidence & { readonly way: string; readonly run: string; readonly point: Point }> {
  const [pipeline, options] = WAYS[number % WAYS.length] as (typeof WAYS)[number];
  const question = QUESTIONS[random.below(QUESTIONS.length)] as string;
  const point = pointOf(random);
  for (const tap of Object.values(scene.taps)) tap.forget();
  const client = new MillraceClient({ baseUrl: scene.base });
  const over = new AbortController();
  const late = setTimeout(() => over.abort(new Error('the run has not ended in time')), LONGEST_MS);
  try {
    const { id } = await client.start(pipeline, { question }, options);
    const follow = async (stage: string, of: string) => {
      const seen: Seen[] = [];
      const entries = readChannel(scene.channels, await scene.channelOf(id, stage, of), { signal: over.signal });
      const ended = (async () => {
        for (let next = await entries.next(); ; next = await entries.next()) {
          if (next.done) return Date.now();
          seen.push({ value: next.value.value, at: Date.now() });
        }
      })();
      ended.catch(() => undefined);
      return { seen, ended };
    };
    const sentences = await follow('answer', 'sentences');
    const chunks = await follow('speak', 'chunks');
    const listener = new Listener(`${scene.base}/v1/runs/${id}/artifacts/speech`);
    const listening = listener.listen(over.signal);
    const ended = client.wait(id, { signal: over.signal });
    let isOver = false;
    ended.then(
      () => {
        isOver = true;
      },
      () => undefined,
    );
    const watched = point.of === 'sentences' ? sentences : chunks;
    while (!isOver && watched.seen.length < point.entries) await sleep(POLL_MS, undefined, { signal: over.signal });
    await sleep(point.afterMs);
    const killedAt = isOver ? undefined : Date.now();
    if (killedAt !== undefined) await scene.kill(victim, id, point.stage);
    const document = await ended;
    if (document.status !== 'succeeded')
      throw new Error(`${id} ${document.status}: ${document.error?.code} ${document.error?.message}`);
    await listening;
    const endedAt = Date.now();
    const tooLate = sleep(CLOSED_WITHIN_MS, undefined, { signal: over.signal });
    const [answeredAt, spokenAt] = await Promise.all([
      Promise.race([sentences.ended, tooLate]),
      Promise.race([chunks.ended, tooLate]),
    ]);
    const reply = String(document.output?.reply);
    const speech = document.output?.speech;
    if (!isArtifact(speech)) throw new Error(`${id} has no audio`);
    const spoken = sentences.seen.map(({ value }) => String(value)).filter((text) => text.trim() !== '');
    const expected: Buffer[] = [];
    await scene.whole();
    // A mark alone is found in other calls, too.
    const voiceCalls = spoken.map((text) => (/[\p{L}\p{N}]/u.test(text) ? scene.taps.triton.callsOf(text.trim()) : []));
    // Pools send calls of their own, to see that a server is well.
    const llmCalls = scene.taps.llm.callsOf(question);
    if (deterministic) for (const text of spoken) expected.push(await scene.speak(text));
    const pieces = await Promise.all(
      chunks.seen.map(async ({ value, at }) => {
        const { audio, text } = isJsonObject(value) ? value : {};
        return {
          text: String(text),
          at,
          samples: isArtifact(audio) ? await scene.samplesOf(audio.uri) : Buffer.alloc(0),
        };
      }),
    );
    return {
      way: 'priority' in options ? 'fast' : pipeline.replace('narrator-', ''),
      run: id,
      point,
      killedAt,
      reply,
      sentences: sentences.seen.map(({ value, at }) => ({ text: String(value), at })),
      answeredAt: answeredAt ?? endedAt,
      isClosed: answeredAt !== undefined && spokenAt !== undefined,
      chunks: pieces,
      expected: deterministic ? expected : undefined,
      final: await scene.samplesOf(speech.uri),
      heard: listener.heard,
      heardAt: listener.heardAt,
      llmCalls,
      voiceCalls,
    };
  } finally {
    clearTimeout(late);
    over.abort(new Error('the run is over'));
  }
}
