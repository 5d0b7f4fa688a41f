import { setImmediate } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { listen } from '../../../../activities/streams/listen.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import { producer, signal } from './stream-run.js';

describe('a recogniser whose attempt fails', () => {
  it('passes on nothing more: another attempt writes the rest', async () => {
    const channels = new MemoryChannelLog();
    const call = producer({ stage: 'hear', kind: 'transcribe', writes: ['entries'] });
    const about = { run: 'r', attempt: 1, queueMs: 0, resumeFrom: null, checkpoint: () => undefined };
    const listening = listen({ channels }, { call, attempt: { ...about, signal: signal() } }, async ({ segments }) => {
      segments?.(0, ['One.', 'Two.', 'Three.', 'Four.', 'Five.']);
      throw new MillraceError('BACKEND_UNAVAILABLE', 'broke off');
    });
    await expect(listening).rejects.toMatchObject({ code: 'BACKEND_UNAVAILABLE' });
    await setImmediate();
    const held = await channels.read({ run: 'r', path: 'hear', of: 'entries' }, 0, 9);
    expect(held?.count).toBeLessThan(5);
  });
});
