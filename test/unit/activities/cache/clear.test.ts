import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { clearCache } from '../../../../activities/cache/index.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { never } from '../../../support/caches.js';

/** A Redis without keys, and the ledger of a tenant; `done` has what was asked of them. */
function emptyStore(scan: () => Promise<unknown> = async () => ['0', []]) {
  const done: string[] = [];
  const redis = {
    on: () => undefined,
    scan: () => {
      done.push('scan');
      return scan();
    },
    pipeline: () => ({ exec: async () => [] }),
  };
  const budget = { forget: async () => void done.push('forget') };
  return { redis: redis as unknown as Redis, budget, done };
}

describe('clearing the caches of a tenant', () => {
  it('forgets the ledger first, so that what is stored meanwhile stays known', async () => {
    const { redis, budget, done } = emptyStore();
    expect(await clearCache(redis, budget, 'acme', never())).toBe(0);
    expect(done).toEqual(['forget', 'scan']);
  });

  it('says that the store is unavailable where a command fails', async () => {
    const cause = new Error('Command timed out');
    const { redis, budget } = emptyStore(() => Promise.reject(cause));
    await expect(clearCache(redis, budget, 'acme', never())).rejects.toMatchObject({
      code: 'STORE_UNAVAILABLE',
      message: expect.stringContaining('Command timed out'),
      cause,
    });
    const failing = { forget: () => Promise.reject(cause) };
    await expect(clearCache(redis, failing, 'acme', never())).rejects.toMatchObject({ code: 'STORE_UNAVAILABLE' });
  });

  it('ends with the signal’s reason', async () => {
    const interrupted = new MillraceError('REQUEST_ABORTED', 'interrupted');
    const { redis, budget, done } = emptyStore();
    await expect(clearCache(redis, budget, 'acme', AbortSignal.abort(interrupted))).rejects.toBe(interrupted);
    expect(done).toEqual([]);
    const abort = new AbortController();
    const during = emptyStore(async () => {
      abort.abort(interrupted);
      throw new Error('Connection is closed.');
    });
    await expect(clearCache(during.redis, during.budget, 'acme', abort.signal)).rejects.toBe(interrupted);
  });
});
