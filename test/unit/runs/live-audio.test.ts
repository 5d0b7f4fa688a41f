import { expect, test } from 'vitest';
import { liveAudioOf } from '../../../runs/live-audio.js';
import { FakeTemporal, grpcError } from '../../support/fake-temporal.js';

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
