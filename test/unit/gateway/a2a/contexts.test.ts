import { afterEach, expect, test, vi } from 'vitest';
import { Contexts } from '../../../../gateway/a2a/contexts.js';
import type { Caller } from '../../../../gateway/access/caller.js';
import type { GatewayDeps } from '../../../../gateway/deps.js';
import type { Model } from '../../../../gateway/openai/models.js';
import { FakeTemporal } from '../../../support/fake-temporal.js';

afterEach(() => {
  vi.useRealTimers();
});

const sentResults = (has: (run: string) => Promise<boolean>) => ({
  ...{ add: async () => undefined, erase: async () => undefined, has },
});

/** Three tasks of a context that Temporal shows as running. */
async function running(more: Partial<GatewayDeps> = {}) {
  const temporal = new FakeTemporal();
  const entries = ['chat-a', 'chat-b', 'chat-c'].map((run) => ({ run, key: run }));
  for (const { run } of entries) {
    const memo = { tenant: 'default', pipeline: 'chat', version: '1', createdAt: new Date().toISOString() };
    const args = [{ prompt: 'Why?' }, {}, { a2a: 1, context: 'c', attended: true }];
    const options = { workflowId: run, memo: { ...memo, fingerprint: 'f' }, args };
    await temporal.client.workflow.start('chat', options as never);
  }
  const deps = {
    temporal: temporal.client,
    uiUrl: () => 'http://ui.test',
    sessions: { load: async () => ({ messages: entries, parts: entries.length }) },
    ends: { of: (_: unknown, signal: AbortSignal) => new Promise((_, no) => signal.addEventListener('abort', no)) },
    logger: { warn: () => undefined },
    ...more,
  };
  const caller: Caller = { tenant: 'default', permissions: ['read'] };
  const name = { caller, pipeline: 'chat', context: 'c' };
  return () => new Contexts(deps as unknown as GatewayDeps).before(name, 'new', {} as Model);
}

test('tasks of a context that run are waited for together', async () => {
  vi.useFakeTimers();
  const before = await running();
  let turns: readonly unknown[] | undefined;
  void before().then((found) => {
    turns = found;
  });
  await vi.advanceTimersByTimeAsync(2_100);
  expect(turns).toEqual([]);
});

test('a task whose answer nobody has got is not waited for', async () => {
  const before = await running({ sentResults: sentResults(async () => false) });
  expect(await before()).toEqual([]);
});

test('a task whose answer its client has got is not left out because Temporal has not recorded it', async () => {
  vi.useFakeTimers();
  const before = await running({ sentResults: sentResults(async (run) => run === 'chat-b') });
  const read = before();
  const refused = expect(read).rejects.toMatchObject({
    code: 'ORCHESTRATOR_UNAVAILABLE',
    details: { retryAfterMs: expect.any(Number) },
  });
  await vi.advanceTimersByTimeAsync(2_100);
  await refused;
});
