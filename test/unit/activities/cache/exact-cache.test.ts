import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Embedder, ExactRequest } from '../../../../activities/cache/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { never, openCache } from '../../../support/caches.js';
import { faultyRedis } from '../../../support/faulty-redis.js';

const embedder: Embedder = { fingerprint: async () => 'f', embed: async () => new Float32Array([1, 0]) };

const request = (more: Partial<ExactRequest> = {}): ExactRequest => ({
  tenant: 'acme',
  pipeline: 'p',
  stage: 's',
  kind: 'classify',
  model: 'm@w',
  with: {},
  input: { text: 'a' },
  ttlMs: 86_400_000,
  ...more,
});

describe('an exact cache with a result that is too large', () => {
  it('lets all go that wait for it', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const output = { label: 'x'.repeat(300_000) };
    const found = await openCache(redis, embedder).exact.through(request(), async () => output, never());
    expect(found).toEqual({ output, outcome: 'miss' });
    expect(sent).toEqual(['claim', 'sendOff']);
  });

  it('frees the lease where the store is too full for a word about it', async () => {
    const { redis, sent } = faultyRedis((command) => command === 'sendOff');
    const output = { label: 'x'.repeat(300_000) };
    await openCache(redis, embedder).exact.through(request(), async () => output, never());
    await expect.poll(() => sent).toEqual(['claim', 'sendOff', 'release']);
  });
});

describe('an exact cache whose results end with the day', () => {
  afterEach(() => void vi.useRealTimers());
  /** Two minutes, one before and one after midnight in Berlin. */
  const [before, after] = [Date.UTC(2026, 5, 1, 21, 59), Date.UTC(2026, 5, 1, 22, 1)];
  const daily = request({ untilMidnight: 'Europe/Berlin', negativeMs: 3_600_000 });

  it('keeps no result that was begun yesterday', async () => {
    const { redis, sent } = faultyRedis(() => false);
    vi.useFakeTimers({ toFake: ['Date'], now: before });
    const produce = async () => {
      vi.setSystemTime(after);
      return { label: 'of the first of June' };
    };
    const found = await openCache(redis, embedder).exact.through(daily, produce, never());
    expect(found).toEqual({ output: { label: 'of the first of June' }, outcome: 'miss' });
    expect(sent).not.toContain('store');
    expect(sent).toContain('release');
  });

  it('keeps no failure of yesterday either', async () => {
    const { redis, sent } = faultyRedis(() => false);
    vi.useFakeTimers({ toFake: ['Date'], now: before });
    const failure = new MillraceError('INVALID_INPUT', 'no such day');
    const produce = async () => {
      vi.setSystemTime(after);
      throw failure;
    };
    await expect(openCache(redis, embedder).exact.through(daily, produce, never())).rejects.toBe(failure);
    expect(sent).not.toContain('store');
    expect(sent).toContain('release');
  });

  it('keeps one of today', async () => {
    const { redis, sent } = faultyRedis(() => false);
    vi.useFakeTimers({ toFake: ['Date'], now: after });
    await openCache(redis, embedder).exact.through(daily, async () => ({ label: 'a' }), never());
    expect(sent).toContain('store');
  });

  it('makes the call, keeps nothing and frees the lease where the time zone is not known', async () => {
    const { redis, sent } = faultyRedis(() => false);
    const elsewhere = request({ untilMidnight: 'Europe/Atlantis' });
    const found = await openCache(redis, embedder).exact.through(elsewhere, async () => ({ label: 'a' }), never());
    expect(found).toEqual({ output: { label: 'a' }, outcome: 'miss' });
    expect(sent).toContain('release');
    expect(sent).not.toContain('store');
  });
});
