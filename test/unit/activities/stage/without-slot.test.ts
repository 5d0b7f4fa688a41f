import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { CacheRequest, ExactRequest } from '../../../../activities/cache/index.js';
import { type CachingParts, throughCache } from '../../../../activities/stage/cached-stage.js';
import type { Attempt } from '../../../../activities/stage/serving.js';
import { withoutSlot } from '../../../../activities/stage/without-slot.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { never } from '../../../support/caches.js';

beforeEach(() => void vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] }));
afterEach(() => void vi.useRealTimers());

/** An attempt, and what happens to its slot. */
function attempted() {
  const slots: string[] = [];
  const attempt: Attempt = {
    signal: never(),
    attempt: 1,
    queueMs: 0,
    run: 'run-1',
    resumeFrom: null,
    checkpoint: () => undefined,
    slot: { leave: () => slots.push('leaves') > 0, take: async () => void slots.push('takes') },
  };
  return { attempt, slots };
}

const during = (ms: number) => () => new Promise<string>((resolve) => void setTimeout(() => resolve('theirs'), ms));

describe('a wait for another attempt', () => {
  it('gives the slot up after a second, and has it again at the end', async () => {
    const { attempt, slots } = attempted();
    const found = withoutSlot(attempt, during(5_000));
    await vi.advanceTimersByTimeAsync(999);
    expect(slots).toEqual([]);
    await vi.advanceTimersByTimeAsync(4_000);
    expect(slots).toEqual(['leaves']);
    await vi.advanceTimersByTimeAsync(1);
    expect(await found).toBe('theirs');
    expect(slots).toEqual(['leaves', 'takes']);
  });

  it('keeps it where it is short', async () => {
    const { attempt, slots } = attempted();
    const found = withoutSlot(attempt, during(900));
    await vi.advanceTimersByTimeAsync(5_000);
    expect(await found).toBe('theirs');
    expect(slots).not.toContain('leaves');
  });

  it('takes it again where the wait fails, and needs none', async () => {
    const { attempt, slots } = attempted();
    const failure = new Error('no store');
    await expect(withoutSlot(attempt, () => Promise.reject(failure))).rejects.toBe(failure);
    expect(slots).toEqual(['takes']);
    await expect(withoutSlot({ signal: never() }, async () => 'theirs')).resolves.toBe('theirs');
  });
});

describe.each(['exact', 'semantic'])('a stage with a cache that waits for the call of another worker: %s', (kind) => {
  it('holds no slot meanwhile', async () => {
    const { attempt, slots } = attempted();
    const through = async ({ waiting }: ExactRequest | CacheRequest) => {
      await waiting?.(during(5_000));
      return { output: { label: 'theirs' }, outcome: 'shared' };
    };
    const code = new Map([['label', { output: z.object({ label: z.string() }), run: () => undefined }]]);
    const parts = { code, exact: { through }, cache: { through } } as unknown as CachingParts;
    const cache = { kind, ttlMs: 60_000, key: 'a', context: {}, minSimilarity: 0.9, embedder: 'minilm' };
    const about = { pipeline: 'p', tenant: 't', stage: 's', kind: 'code', model: 'label', with: {}, cache };
    const none = () => Promise.reject(new Error('the call is made'));
    const found = throughCache(parts, {}, about as unknown as StageCall, attempt, none);
    await vi.advanceTimersByTimeAsync(4_999);
    expect(slots).toEqual(['leaves']);
    await vi.advanceTimersByTimeAsync(1);
    expect(await found).toMatchObject({ output: { label: 'theirs' }, cache: 'shared' });
    expect(slots).toEqual(['leaves', 'takes']);
  });
});
