import { expect, it } from 'vitest';
import { z } from 'zod';
import type { Attempt } from '../../../../activities/stage/stage-runner.js';
import { produceText, speakStream } from '../../../../activities/streams/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { chat, pipeline, synthesize } from '../../../../pipelines/index.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { sha256Hex } from '../../../../pipelines/plan/hash.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { place } from '../../../../placement/place.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import { VirtualClock } from '../../../../testing/virtual-clock.js';
import { runInProcess } from '../../../../workers/hosts/in-process-host.js';

/** Half an hour of speech. */
const SENTENCES = Array.from({ length: 500 }, (_, i) => `Sentence number ${i} of a story that takes half an hour.`);
const TEXT = SENTENCES.join(' ');

/** An artifact with all that is known of a piece of speech. */
function artifactOf(text: string): JsonObject {
  const sha256 = sha256Hex(text);
  return {
    uri: `artifact://tenant/${sha256}`,
    sha256,
    mime: 'audio/wav',
    bytes: 172_844,
    sampleRate: 24_000,
    channels: 1,
    durationMs: 3_600,
  };
}

it('keeps half an hour of speech in little of the state store, and of a history its results only', async () => {
  const channels = new MemoryChannelLog();
  const append = channels.append.bind(channels);
  let stored = 0;
  channels.append = async (name, write) => {
    const standing = await append(name, write);
    const texts = [...write.entries.map(({ before, text }) => before + text), write.end ?? ''];
    if (standing === 'held') for (const text of texts) stored += Buffer.byteLength(text);
    return standing;
  };
  /** Arguments and results of calls: what Temporal would keep, besides its own events. */
  let history = 0;
  const counted = <T>(value: T): T => {
    history += Buffer.byteLength(JSON.stringify(value));
    return value;
  };
  const spoken: string[] = [];
  const by = { endpoint: 'http://10.0.0.1:8000/v1', device: 'gpu0', cache: 'off' } as const;
  const whole = { ...by, attempt: 1, queueMs: 0, runMs: 1_800_000 };
  const speaking = {
    channels,
    join: async (_: string, pieces: readonly Artifact[]) =>
      artifactOf(pieces.map(({ sha256 }) => sha256).join()) as unknown as Artifact,
    convert: async (_: string, piece: Artifact) => piece,
  };
  // It stands still: no sentence is cut because its end does not come for seconds.
  const clock = new VirtualClock(60_000);
  const run = async (input: JsonObject, call: StageCall, attempt: Attempt) => {
    counted([input, call]);
    if (call.reads) {
      const outcome = await speakStream(speaking, { call, attempt, field: 'text' }, async ({ text }) => {
        spoken.push(String(text));
        return { ...by, output: { audio: artifactOf(String(text)) }, usage: { inputTokens: 14 } };
      });
      return counted({ ...whole, ...outcome });
    }
    const about = { run: attempt.run, call, signal: attempt.signal, onDelta: () => undefined };
    const outcome = await produceText({ channels, clock }, about, async ({ onText }) => {
      for (let at = 0; at < TEXT.length; at += 5) {
        onText(TEXT.slice(at, at + 5));
        if (at % 1_000 === 0) await new Promise(setImmediate);
      }
      return { ...by, output: { text: TEXT, finish: 'stop' } };
    });
    return counted({ ...whole, ...outcome });
  };
  const { plan } = pipeline('story', { input: z.object({ about: z.string() }) }, ({ input, stage }) => {
    const told = stage('answer', chat({ model: 'llm' }), { prompt: input.about });
    return { audio: stage('speak', synthesize({ model: 'tts' }), { text: told.sentences }).audio };
  });
  const poolOf = (model: string) => ({
    ...{ connector: 'scripted', kind: model === 'llm' ? 'chat' : 'synthesize', devices: ['cpu0'] },
    capabilities: new Set(['stream'] as const),
  });
  const context = counted({ plan, placement: place(plan, poolOf, 'q'), tenant: 't' });
  const result = await runInProcess({ about: 'rain' }, context, { runner: { streams: true, run }, run: 'r' });
  counted(result);
  expect(spoken).toEqual(SENTENCES);
  // 305 kB and 31 kB. A channel holds at most 2 MiB, and a narration is to take less than 200 kB of a history.
  expect(stored).toBeLessThan(2_000_000);
  expect(history).toBeLessThan(100_000);
});
