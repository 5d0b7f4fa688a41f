import { expect, test } from 'vitest';
import { z } from 'zod';
import { type Pipeline, pipeline, synthesize } from '../../../pipelines/index.js';
import { liveAudioOf } from '../../../runs/live-audio.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';
import { contextOf } from '../../support/in-process.js';

test('a run that no worker has started yet has no audio to hear', async () => {
  const { client } = new FakeTemporal();
  expect(await liveAudioOf({ temporal: client }, 'speak-1', 'audio')).toBeUndefined();
});

test('while Temporal is away it is not an internal error', async () => {
  const temporal = new FakeTemporal();
  temporal.outage = grpcError(14, 'unavailable');
  const heard = liveAudioOf({ temporal: temporal.client }, 'speak-1', 'audio');
  await expect(heard).rejects.toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
});

test.each([
  ['by the tag that its context has', { streamTag: 't' }, 'speak@t'],
  ['by its stage alone if an earlier release has started it', {}, 'speak'],
] as const)('the channel of a run is named %s', async (_, context, path) => {
  const { client } = new FakeTemporal();
  const of = pipeline('spoken', { input: z.object({ text: z.string() }) }, ({ input, stage }) => ({
    audio: stage('speak', synthesize({ model: 'tts' }), { text: input.text }).audio,
  })) as unknown as Pipeline;
  const args = [{ text: 'a' }, { ...contextOf(of), ...context }];
  await client.workflow.start('spoken', { workflowId: 'spoken-1', taskQueue: 'q', memo: {}, args } as never);
  const named = await liveAudioOf({ temporal: client }, 'spoken-1', 'audio');
  expect(named).toEqual({ run: 'spoken-1', path, of: 'chunks' });
});
