import { WorkflowExecutionAlreadyStartedError, WorkflowNotFoundError } from '@temporalio/common';
import { pino } from 'pino';
import { describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { GatewayDeps } from '../../../gateway/index.js';
import { chat, code, type Pipeline, pipeline } from '../../../pipelines/index.js';
import { OUTCOME_SIGNAL, type SegmentOutcome } from '../../../pipelines/run/index.js';
import type { FastPath } from '../../../runs/deps.js';
import { startGuarded } from '../../../runs/guarded-start.js';
import { prepareRun, type RunRequest } from '../../../runs/prepare.js';

const text = z.object({ text: z.string() });
const inline = { execution: 'inline' } as const;
const asks = pipeline('asks', { input: text }, ({ input, stage }) => {
  const first = stage('first', chat({ model: 'assistant' }), { prompt: input.text }, inline);
  return { reply: first.text };
}) as unknown as Pipeline;
const note = code('note', { input: text, output: text }, (input) => input);
const writes = pipeline('writes', { input: text }, ({ input, stage }) => ({
  text: stage('note', note, { text: input.text }, inline).text,
})) as unknown as Pipeline;
const mixed = pipeline('mixed', { input: text }, ({ input, stage }) => {
  const near = stage('near', chat({ model: 'assistant' }), { prompt: input.text }, inline);
  const far = stage('far', chat({ model: 'assistant' }), { prompt: input.text });
  return { near: near.text, far: far.text };
}) as unknown as Pipeline;

const OUTCOME: SegmentOutcome = { done: {}, rows: [] };

/** A gateway whose Temporal and Redis write down what is asked of them. */
function setUp({ start, gone = false }: { start?: () => Promise<unknown>; gone?: boolean } = {}) {
  let answer: () => void = () => undefined;
  const answered = new Promise<void>((resolve) => {
    answer = resolve;
  });
  const calls: string[] = [];
  const signals: unknown[] = [];
  const guards: unknown[] = [];
  let tell: (outcome: SegmentOutcome | null) => void = () => undefined;
  let lies = true;
  const fast: FastPath = {
    async put() {
      calls.push('put');
      return 'job';
    },
    async takeBack() {
      calls.push('take back');
      return lies;
    },
    revoke: async () => void calls.push('revoke'),
    done: async () => void calls.push('done'),
  };
  const workflow = {
    async start(_: string, { startDelay }: { startDelay?: number }) {
      calls.push('start');
      expect(startDelay).toBe(3_000);
      await answered;
      if (start) await start();
      calls.push('started');
      return { firstExecutionRunId: 'run' };
    },
    async signalWithStart(_: string, { signal, signalArgs }: { signal: string; signalArgs: unknown[] }) {
      expect(signal).toBe(OUTCOME_SIGNAL);
      calls.push('tell');
      signals.push(signalArgs[0]);
      guards.push(signalArgs[1]);
    },
    getHandle: (id: string) => ({
      async signal(name: string, outcome: unknown, guard: unknown) {
        expect([id, name]).toEqual(['asks-1', OUTCOME_SIGNAL]);
        calls.push('tell plainly');
        signals.push(outcome);
        guards.push(guard);
        if (gone) throw new WorkflowNotFoundError('gone', id, undefined);
      },
    }),
  };
  const deps = {
    temporal: { withDeadline: (_: unknown, work: () => unknown) => work(), workflow },
    taskQueue: 'q',
    placementOf: () => ({}),
    answers: {
      channel: 'c',
      expect: () => new Promise(() => undefined),
      outcome: () =>
        new Promise((resolve) => {
          tell = resolve;
        }),
    },
    logger: pino({ level: 'silent' }),
    fast,
  } as unknown as GatewayDeps;
  return {
    deps,
    fast,
    calls,
    signals,
    guards,
    /** Temporal answers the start. */
    answer: () => answer(),
    take: () => {
      lies = false;
    },
    tell: (outcome: SegmentOutcome | null) => tell(outcome),
  };
}

const requestOf = (pipeline: Pipeline, more: Partial<RunRequest> = {}): RunRequest => ({
  id: 'asks-1',
  pipeline,
  tenant: 'default',
  input: { text: 'a' },
  options: { priority: 'interactive' },
  answer: true,
  ...more,
});

describe('which runs go past Temporal', () => {
  const { deps } = setUp();
  it.each<[string, RunRequest, boolean]>([
    ['an interactive one of one segment', requestOf(asks), true],
    ['one of which nobody waits', requestOf(asks, { answer: false }), false],
    ['one of default priority', requestOf(asks, { options: {} }), false],
    ['one of a batch', requestOf(asks, { options: { priority: 'batch' } }), false],
    ['one with a queued stage', requestOf(mixed), false],
    [
      'one with a queued stage that nobody wants',
      requestOf(mixed, { options: { priority: 'interactive', outputs: ['near'] } }),
      true,
    ],
  ])('%s', (_, request, goes) => {
    expect(prepareRun(deps, request).guarded !== undefined).toBe(goes);
  });

  it('none whose end somebody else is told of', () => {
    const webhooks = { of: () => ({ secrets: [], endpoints: { mine: { url: 'http://a.test' } } }) };
    const told = { ...deps, webhooks } as unknown as GatewayDeps;
    expect(prepareRun(told, requestOf(asks)).guarded).toBeUndefined();
  });

  it('none where it is off', () => {
    const { fast: _, ...without } = deps;
    expect(prepareRun(without, requestOf(asks)).guarded).toBeUndefined();
  });
});

describe('a guarded start', () => {
  /** Everything that waits for no answer of Temporal has happened. */
  const settled = () => new Promise((resolve) => setTimeout(resolve, 20));

  it('hands a run that only asks models out while Temporal is told, and resolves when Temporal has it', async () => {
    const { deps, calls, signals, guards, answer, take, tell } = setUp();
    const run = prepareRun(deps, requestOf(asks));
    const starting = startGuarded(deps, run);
    take();
    tell(OUTCOME);
    await settled();
    // The outcome is here, and Temporal does not have the run yet.
    expect(calls).toEqual(['put', 'start']);
    answer();
    expect(await starting).toMatchObject({ id: 'asks-1', replayed: false });
    await settled();
    expect(calls).toEqual(['put', 'start', 'started', 'tell', 'done']);
    expect(signals).toEqual([OUTCOME]);
    expect(guards).toEqual([run.context.guarded]);
    expect(run.context.guarded).toEqual(expect.any(String));
  });

  it.each([
    ['tells a run that is under way', false],
    ['finds no run that has ended', true],
  ])('that goes on after the start delay %s, and starts none: it may have been erased', async (_, gone) => {
    const { deps, calls, signals, guards, answer, take, tell } = setUp({ gone });
    const run = prepareRun(deps, requestOf(asks));
    answer();
    take();
    await startGuarded(deps, run);
    const now = Date.now.bind(Date);
    // The process, or its machine, has stood still.
    const late = vi.spyOn(Date, 'now').mockImplementation(() => now() + 3_000);
    try {
      tell(OUTCOME);
      await settled();
    } finally {
      late.mockRestore();
    }
    expect(calls).toEqual(['put', 'start', 'started', 'tell plainly', 'done']);
    expect(signals).toEqual([OUTCOME]);
    expect(guards).toEqual([run.context.guarded]);
  });

  it.each([
    ['that changes something', requestOf(writes)],
    ['with an idempotency key', requestOf(asks, { idempotencyKey: 'k' })],
    ['that may have the id of another', requestOf(asks, { repeated: true })],
  ])('hands a run %s out when Temporal has it', async (_, request) => {
    const { deps, calls, answer } = setUp();
    const starting = startGuarded(deps, prepareRun(deps, request));
    await settled();
    expect(calls).toEqual(['start']);
    answer();
    await starting;
    expect(calls).toEqual(['start', 'started', 'put']);
  });

  it('revokes what it has handed out when the run cannot start', async () => {
    const { deps, calls, answer } = setUp({ start: () => Promise.reject(new Error('away')) });
    const starting = startGuarded(deps, prepareRun(deps, requestOf(asks)));
    answer();
    await expect(starting).rejects.toMatchObject({ code: 'INTERNAL' });
    await settled();
    expect(calls).toEqual(['put', 'start', 'revoke']);
  });

  it('hands nothing out when the run was there before', async () => {
    const { deps, calls, answer } = setUp({
      start: () => Promise.reject(new WorkflowExecutionAlreadyStartedError('there', 'asks-1', 'asks')),
    });
    const starting = startGuarded(deps, prepareRun(deps, requestOf(asks, { idempotencyKey: 'k' })));
    answer();
    // Whether it was asked for the same is told by the run's memo, which this Temporal does not have.
    await expect(starting).rejects.toThrow();
    await settled();
    expect(calls).toEqual(['start']);
  });

  it('takes back what nobody takes and lets the guardian begin', async () => {
    const { deps, calls, signals, answer } = setUp();
    answer();
    await startGuarded(deps, prepareRun(deps, requestOf(asks)));
    await vi.waitFor(() => expect(calls).toEqual(['put', 'start', 'started', 'take back', 'tell']), 15_000);
    expect(signals).toEqual([null]);
  });

  it('lets the guardian begin at once where nothing can be handed out', async () => {
    const { deps, fast, calls, signals, answer } = setUp();
    const away = { ...deps, fast: { ...fast, put: async () => undefined } };
    answer();
    await startGuarded(away, prepareRun(away, requestOf(asks)));
    await settled();
    expect(calls).toEqual(['start', 'started', 'tell']);
    expect(signals).toEqual([null]);
  });

  it.each<[string, SegmentOutcome | null, string]>([
    ['lets the guardian begin at once: nothing has ended', null, 'tell'],
    ['starts none that may have ended', OUTCOME, 'tell plainly'],
  ])('that took as long as the start delay %s', async (_, outcome, told) => {
    const now = Date.now.bind(Date);
    const slow = vi.spyOn(Date, 'now');
    const start = async () => void slow.mockImplementation(() => now() + 3_000);
    const { deps, calls, signals, answer, take, tell } = setUp({ start });
    take();
    answer();
    try {
      await startGuarded(deps, prepareRun(deps, requestOf(asks)));
      tell(outcome);
      await settled();
    } finally {
      slow.mockRestore();
    }
    expect(calls.slice(0, 4)).toEqual(['put', 'start', 'started', told]);
    expect(signals).toEqual([outcome]);
  });
});
