import { expect, test } from 'vitest';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { RunEventLog } from '../../../../stores/events/index.js';

/** Redis, as far as events are added to it. */
function recording() {
  const added: string[] = [];
  const redis: Record<string, unknown> = {
    defineCommand: (name: string) => {
      redis[name] = async (_keys: number, _stream: string, _erased: string, event: string) => void added.push(event);
    },
  };
  return { added, redis: redis as never };
}

const call = { stage: 'answer', path: 'answer/turn-1', kind: 'chat', model: 'm', events: true } as unknown as StageCall;

test.each([
  [undefined, ['stage.started', 'stage.delta', 'stage.reasoning', 'stage.delta', 'stage.finished']],
  [true, ['stage.started', 'stage.finished']],
] as const)(
  'of a call that is muted (%s) neither text nor reasoning is published, and its text not at the end either',
  async (muted, types) => {
    const { added, redis } = recording();
    const events = new RunEventLog(redis).attempt('r', { ...call, ...(muted && { muted }) }, 1, false, 'secret');
    events?.reasoning('secret thought');
    events?.delta('secret');
    expect(events?.hasText).toBe(true);
    await events?.finished('off', 1);
    expect(added.map((event) => (JSON.parse(event) as { type: string }).type)).toEqual(types);
    expect(added.join().includes('secret')).toBe(muted !== true);
  },
);
