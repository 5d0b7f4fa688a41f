import { expect, test } from 'vitest';
import { z } from 'zod';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import { givenAudio } from '../../../../gateway/openai/given-audio.js';
import type { Model } from '../../../../gateway/openai/models.js';
import type { LiveAudio } from '../../../../media/index.js';
import type { Artifact } from '../../../../pipelines/artifact.js';
import { pipeline, synthesize } from '../../../../pipelines/index.js';
import type { RunMemo } from '../../../../runs/memo.js';
import { ChannelWriter, MemoryChannelLog } from '../../../../stores/channels/index.js';

const say = pipeline('say', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
  audio: stage('speak', synthesize({ model: 'tts' }), { text: input.text }).audio,
}));
const PIECE = { uri: `artifact://acme/${'a'.repeat(64)}`, sha256: 'a'.repeat(64), mime: 'audio/wav', bytes: 9 };

test.each([
  ['by the tag of its streams', { streamTag: 't' }, 'speak@t'],
  ['by its stage alone if an earlier release has started it', {}, 'speak'],
] as const)('a run under way is heard %s', async (_, memo, path) => {
  const signal = AbortSignal.timeout(3_000);
  const channels = new MemoryChannelLog();
  const writer = await ChannelWriter.open(channels, { run: 'say-1', path, of: 'chunks' }, { signal, ttlMs: 60_000 });
  await writer.end({ as: 'done' }, { audio: PIECE });
  const encoder = { live: ({ pieces }: LiveAudio) => ({ chunks: pieces }) };
  const { chunks } = await givenAudio({ encoder, channels } as unknown as GatewayDeps, {
    ...{ model: { pipeline: say } as unknown as Model, field: 'audio', tenant: 'acme', format: 'wav', signal },
    run: { id: 'say-1', memo: memo as unknown as RunMemo },
    ended: new Promise<Artifact>(() => undefined),
  });
  const heard: unknown[] = [];
  for await (const piece of chunks) heard.push(piece);
  expect(heard).toEqual([PIECE]);
});
