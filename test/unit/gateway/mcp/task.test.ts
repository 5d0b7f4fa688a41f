import { describe, expect, it } from 'vitest';
import type { Caller } from '../../../../gateway/access/caller.js';
import { oldTask, seenBy, task } from '../../../../gateway/mcp/task.js';
import type { RunDocument } from '../../../../pipelines/run/document.js';

const createdAt = '2026-01-01T00:00:00.000Z';
const run = (more: object) => ({ id: 'p-1', pipeline: 'p', createdAt, ...more }) as unknown as RunDocument;
const waiting = [{ nonce: 'n', since: '2026-01-01T00:00:05.000Z' }];
const failed = (code: string) => run({ status: 'failed', error: { code, message: 'why' } });

describe('a run as a task', () => {
  it.each([
    [run({ status: 'running' }), 'working', 'working'],
    [run({ status: 'running', waiting }), 'input_required', 'input_required'],
    [run({ status: 'succeeded' }), 'completed', 'completed'],
    [run({ status: 'cancelled' }), 'cancelled', 'cancelled'],
    [failed('CODE_FAILED'), 'completed', 'failed'],
    [failed('INTERNAL'), 'failed', 'failed'],
  ])('has the status of its version: %j', (of, now, before) => {
    expect([task(of).status, oldTask(of).status]).toEqual([now, before]);
  });

  it('says in version 2025-11-25 why it has failed, and in both since when it waits', () => {
    expect(oldTask(failed('CODE_FAILED'))).toMatchObject({ statusMessage: 'CODE_FAILED: why', ttl: null });
    for (const as of [task, oldTask])
      expect(as(run({ status: 'running', waiting }))).toMatchObject({ createdAt, lastUpdatedAt: waiting[0]?.since });
  });

  it('waits for nobody in the eyes of a caller who may not decide', () => {
    const as = (...permissions: readonly string[]) =>
      task(seenBy({ tenant: 'acme', permissions } as unknown as Caller, run({ status: 'running', waiting }))).status;
    expect(as('read', 'run', 'approve')).toBe('input_required');
    expect(as('read', 'run')).toBe('working');
  });
});
