import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Attempt } from '../../../../activities/stage/stage-runner.js';
import { code, type Pipeline, pipeline } from '../../../../pipelines/index.js';
import type { StagePlan } from '../../../../pipelines/plan/index.js';
import { wholeRun } from '../../../../pipelines/run/build-segment.js';
import type { Segment, StageCall, StageOutcome } from '../../../../pipelines/run/index.js';
import type { SegmentJournal } from '../../../../stores/journal/index.js';
import { InProcessHost } from '../../../../workers/hosts/in-process-host.js';
import type { Journal } from '../../../../workers/hosts/journal.js';
import { executeSegment } from '../../../../workers/hosts/segment-executor.js';
import { CodeRunner, contextOf } from '../../../support/in-process.js';

/* A segment is one local activity for less than half an hour: it ends between calls, and another one goes on from the journal. */

const OUTCOME: StageOutcome = {
  output: {},
  endpoint: '',
  device: '',
  attempt: 1,
  cache: 'off',
  queueMs: 0,
  runMs: 0,
};
const PLACED = { connector: 'code', device: '', queue: 'test' };
const HANDED_BACK = { code: 'HANDED_BACK' };
const retry = { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 };

const stageOf = (id: string, minutes: number): StagePlan => ({
  id,
  kind: 'code',
  model: id,
  with: {},
  input: {},
  policy: { retry, timeout: { attemptMs: minutes * 60_000, totalMs: minutes * 60_000 }, execution: 'inline' },
});
const callOf = (stage: string, more: Partial<StageCall> = {}): StageCall => ({
  pipeline: 'p',
  version: 'v',
  tenant: 'default',
  stage,
  kind: 'code',
  model: stage,
  with: {},
  retry,
  ...more,
});

/** A host with so much time left, whose calls end when the test says so. */
function hostWith(minutes: number, signal = new AbortController().signal) {
  const begun: string[] = [];
  const left: (readonly [stage: string, waitedMs: number | undefined])[] = [];
  const ends = new Map<string, () => void>();
  const journal: Journal = {
    ended: () => undefined,
    begin: async ({ stage }) => {
      begun.push(stage);
      return 1;
    },
    end: () => undefined,
    left: ({ stage }, waitedMs) => void left.push([stage, waitedMs]),
    losses: () => 0,
    leftMs: () => undefined,
  };
  const run = (_: object, { stage }: StageCall, { signal }: Attempt) =>
    new Promise<StageOutcome>((resolve, reject) => {
      ends.set(stage, () => resolve(OUTCOME));
      signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
    });
  const endsBy = performance.now() + minutes * 60_000;
  const host = new InProcessHost({ runner: { run }, run: 'r', journal, endsBy, signal });
  /** Calls a stage whose attempt may take so many minutes; resolves with its outcome, or the code of its failure. */
  const call = (stage: string, most: number, more?: Partial<StageCall>) =>
    host.runStage(stageOf(stage, most), {}, callOf(stage, more)).catch(({ code }: { readonly code: string }) => code);
  const underWay = (...stages: string[]) => expect.poll(() => [...ends.keys()]).toEqual(stages);
  const endAll = () => {
    for (const end of ends.values()) end();
  };
  return { host, begun, left, ends, call, underWay, endAll };
}

describe('a segment whose time here is nearly over', () => {
  it('begins calls that end in time, and leaves the others to another process when those under way have ended', async () => {
    const { host, begun, call, underWay, endAll } = hostWith(5);
    const [first, second, third] = [call('a', 1), call('b', 4), call('c', 7)];
    let isOver = false;
    void third.then(() => {
      isOver = true;
    });
    await underWay('a', 'b');
    await sleep(20);
    expect(isOver).toBe(false);
    endAll();
    expect(await Promise.all([first, second, third])).toEqual([OUTCOME, OUTCOME, 'HANDED_BACK']);
    expect([begun, host.ranOut]).toEqual([['a', 'b'], true]);
  });

  it('begins one call in any case, so that it gets on', async () => {
    const { call, underWay, endAll } = hostWith(-1);
    const first = call('a', 1);
    await underWay('a');
    endAll();
    expect(await first).toEqual(OUTCOME);
    expect(await call('b', 1)).toBe('HANDED_BACK');
  });

  it.each([
    [16, ['a', 'b'], OUTCOME],
    [14, ['a'], 'HANDED_BACK'],
  ] as const)('takes a quarter of an hour for a call that may be longer: %i left', async (left, all, end) => {
    const { call, underWay, endAll } = hostWith(left);
    const [first, second] = [call('a', 1), call('b', 60)];
    await underWay(...all);
    endAll();
    expect([await first, await second]).toEqual([OUTCOME, end]);
  });

  it('begins no call that follows the last one under way: it would be cut off, and its attempt would count', async () => {
    const { begun, call, underWay, endAll } = hostWith(5);
    const first = call('a', 1);
    const refused = call('c', 7);
    const following = first.then(() => call('d', 1));
    await underWay('a');
    endAll();
    expect([await refused, begun]).toEqual(['HANDED_BACK', ['a']]);
    expect(await following).toBe('HANDED_BACK');
  });

  it('still begins a call that reads what one under way makes, which may wait for it', async () => {
    const { host, call, underWay, endAll } = hostWith(5);
    const writer = call('a', 4, { writes: ['entries'] });
    const refused = call('c', 7);
    const reader = call('r', 4, { reads: { text: { path: 'a', of: 'entries' } } });
    await underWay('a', 'r');
    endAll();
    expect([await writer, await reader, await refused]).toEqual([OUTCOME, OUTCOME, 'HANDED_BACK']);
    expect(host.ranOut).toBe(true);
  });

  it('does not wait for a stream that takes longer', async () => {
    const { host, call, underWay, endAll } = hostWith(1);
    const [stream, item] = [call('a', 60, { writes: ['entries'] }), call('b', 2)];
    await underWay('a', 'b');
    endAll();
    expect([await stream, await item, host.ranOut]).toEqual([OUTCOME, OUTCOME, false]);
  });

  it('counts no attempt of a reader that it cuts off', async () => {
    const { host, left, ends } = hostWith(1);
    const reads = { text: { path: 'said', of: 'sentences' } };
    const raced = host.race<StageOutcome>([
      (inner) => inner.runStage(stageOf('reader', 60), {}, callOf('reader', { reads }), PLACED),
      async (inner) => {
        await expect.poll(() => ends.has('reader')).toBe(true);
        return await inner.runStage(stageOf('b', 2), {}, callOf('b'), PLACED);
      },
    ]);
    await expect(raced).rejects.toMatchObject(HANDED_BACK);
    await expect.poll(() => left).toEqual([['reader', 0]]);
  });

  it('counts the attempt of a call that it waits for, and that ends with its worker', async () => {
    const worker = new AbortController();
    const { left, call, underWay } = hostWith(5, worker.signal);
    const all = [call('a', 4), call('b', 7)];
    await underWay('a');
    worker.abort();
    await Promise.allSettled(all);
    expect(left).toEqual([['a', undefined]]);
  });
});

it('a segment that goes on elsewhere is no failure where what it has made so far is too large for a history', async () => {
  const text = z.object({ text: z.string() });
  const large = code('large', { input: z.object({}), output: text }, () => ({ text: 'x'.repeat(900_000) }));
  const longer = code('longer', { input: text, output: text }, () => ({ text: 'x'.repeat(900_000) }));
  const measure = code('measure', { input: text, output: z.object({ n: z.number() }) }, ({ text }) => ({
    n: text.length,
  }));
  const inline = (most: '10s' | '10m') => ({ execution: 'inline', timeout: { attempt: most, total: most } }) as const;
  const of = pipeline('large', { input: z.object({}), deadline: '1h' }, ({ stage }) => {
    const a = stage('a', large, {}, inline('10s')).text;
    const b = stage('b', longer, { text: a }, inline('10s')).text;
    return { a, b, n: stage('measured', measure, { text: b }, inline('10m')).n };
  }) as unknown as Pipeline;
  const record = {
    hasEnds: false,
    ended: () => undefined,
    begun: () => 0,
    begin: async () => 1,
    end: async () => undefined,
    left: () => undefined,
    rest: () => undefined,
    losses: () => 0,
    leftMs: () => undefined,
    held: async () => undefined,
  } as unknown as SegmentJournal;
  const outcome = await executeSegment(wholeRun({}, contextOf(of)) as Segment, record, {
    runner: new CodeRunner(of),
    run: 'r',
    endsBy: performance.now() + 60_000,
  });
  expect(outcome).toMatchObject({ interrupted: true, away: 'worker' });
  expect(outcome.failure).toBeUndefined();
});
