import { describe, expect, it, vi } from 'vitest';
import { ForeignCalls } from '../../../../activities/stage/foreign-calls.js';
import { unreported } from '../../../../activities/stage/unreported.js';
import type { StagePlan } from '../../../../pipelines/plan/index.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { InProcessHost } from '../../../../workers/hosts/in-process-host.js';
import { recordingLogger } from '../../../support/caches.js';
import { idleParts } from '../../../support/runner-parts.js';
import { LATE_ONCE } from '../../../support/soonest.js';
import { callOf, ended, recording } from '../../stores/records/recording.js';
import { attempt, prompt, reply, runnerOf, stage } from './runner-of.js';

const LARGE = { text: 'x'.repeat(20_000) };
const pay: StageCall = { ...stage, kind: 'http' };
const silence = () => new Promise<never>(() => undefined);

/** What it settles with, `hangs` if it has not within two seconds. */
const settled = (work: Promise<unknown>) =>
  Promise.race([
    work.catch((error: { readonly code: string }) => error.code),
    new Promise((resolve) => setTimeout(resolve, 2_000, 'hangs')),
  ]);

/** The record of a run that has made a call, whose outcome is in an artifact store that hangs from now on. */
async function paid(call: StageCall) {
  const all = recording();
  await all.records.keep(ended('run', call, prompt, LARGE));
  await all.records.hold('run', { ended: [], repeat: false }, 1);
  all.store.read = silence;
  return all;
}

describe('while the artifact store hangs', () => {
  it('a resumed run does not make a call again that has ended, however short its attempts are', async () => {
    for (const call of [pay, stage]) {
      const { records, store } = await paid(call);
      const { runner, calls } = runnerOf(reply, { records });
      const resumed = () => runner.run(prompt, call, attempt({ run: 'run-r1', endsAt: performance.now() + 600 }));
      expect(await settled(resumed()), call.kind).toBe('RECORD_GONE');
      // A resumption of that one takes it where it can be read.
      store.read = () => undefined;
      expect(await settled(resumed())).toMatchObject({ output: LARGE, resumed: true });
      expect(calls).toEqual([]);
    }
  });

  it('an attempt that is over says so, and not that the outcome is gone', async () => {
    const { records } = await paid(pay);
    const { runner } = runnerOf(reply, { records });
    const over = Object.assign(new Error('over'), { code: 'OVER' });
    const own = { run: 'run-r1', signal: AbortSignal.abort(over), endsAt: performance.now() + 600 };
    expect(await settled(runner.run(prompt, pay, attempt(own)))).toBe('OVER');
  });

  it('an attempt that follows a lost one does not repeat a call with effects, and makes any other', async () => {
    for (const [call, end] of [
      [pay, 'RECORD_GONE'],
      [stage, undefined],
    ] as const) {
      const { records } = await paid(call);
      const { runner } = runnerOf(reply, { records });
      const context = {
        info: { attempt: 2, scheduledTimestampMs: 0, startToCloseTimeoutMs: 600 },
        cancellationSignal: new AbortController().signal,
        heartbeat: () => undefined,
      };
      const asked = { call, input: prompt, run: 'run', note: undefined, isSpent: false, beatEveryMs: 100 };
      expect(await settled(unreported(runner, context as never, asked))).toBe(end);
    }
  });

  it('a call that ends is reported, and its outcome, which cannot be recorded, is a gap', async () => {
    const { records, gaps, store } = recording();
    store.write = silence;
    const { runner } = runnerOf(async () => LARGE, { records });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const done = expect(runner.run(prompt, stage, attempt())).resolves.toMatchObject({ output: LARGE });
      await vi.advanceTimersByTimeAsync(9_000);
      await done;
    } finally {
      vi.useRealTimers();
    }
    expect(gaps).toMatchObject([{ name: 'TimeoutError' }]);
  });

  it(
    'a call that ends is reported within its attempt, queued or inline, however short that is',
    LATE_ONCE,
    async () => {
      const { records, gaps, store } = recording();
      store.write = silence;
      const { runner } = runnerOf(async () => LARGE, { records });
      const endsAt = performance.now() + 1_000;
      expect(await settled(runner.run(prompt, stage, attempt({ endsAt })))).toMatchObject({ output: LARGE });
      expect(performance.now()).toBeLessThan(endsAt);
      const { kind, model, retry } = stage;
      const policy = { retry, timeout: { attemptMs: 1_000, totalMs: 1_000 }, execution: 'inline' } as const;
      const inline: StagePlan = { id: 'answer', kind, model, with: {}, input: {}, policy };
      const host = new InProcessHost({ runner, run: 'run-1' });
      expect(await settled(host.runStage(inline, prompt, stage))).toMatchObject({ output: LARGE });
      expect(gaps).toMatchObject([{ name: 'TimeoutError' }, { name: 'TimeoutError' }]);
    },
  );

  it('what asks before a call of another worker gets an answer within its ten seconds', async () => {
    const call = callOf({ kind: 'activity', model: 'pay' });
    const { records } = await paid(call);
    const { events } = idleParts();
    const calls = new ForeignCalls({ metrics: createMetrics(), events, logger: recordingLogger().logger, records });
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    try {
      const failed = expect(calls.before('run-r1', prompt, call)).rejects.toMatchObject({
        code: 'STORE_UNAVAILABLE',
        details: { recorded: true },
      });
      await vi.advanceTimersByTimeAsync(9_000);
      await failed;
    } finally {
      vi.useRealTimers();
    }
  });
});
