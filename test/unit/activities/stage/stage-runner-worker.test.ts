import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import { HandedOver } from '../../../../activities/connectors/handed-over.js';
import { CodeFunctions } from '../../../../activities/stage/code-functions.js';
import type { StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import type { WorkerKind } from '../../../../activities/stage/worker-kind.js';
import { isAway, MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { attempt, reply, runnerOf, stage } from './runner-of.js';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('a stage of the worker', () => {
  const retrieve: StageCall = { ...stage, kind: 'retrieve', model: 'manual', with: { limit: 2 } };

  it('is carried out by the worker’s own function of its kind', async () => {
    const kind = vi.fn(async () => ({ passages: [] }));
    const { runner } = runnerOf(reply, { workerKinds: new Map([['retrieve', kind]]) });
    expect(await runner.run({ query: 'valve' }, retrieve, attempt())).toMatchObject({
      output: { passages: [] },
      endpoint: 'worker',
      device: 'worker',
    });
    expect(kind).toHaveBeenCalledWith(
      { model: 'manual', with: { limit: 2 }, input: { query: 'valve' }, tenant: 'acme' },
      {
        checkpoint: expect.any(Function),
        signal: expect.any(AbortSignal),
        audio: expect.anything(),
        idempotencyKey: 'run-1/answer',
      },
    );
  });

  it('is checked on the way in and out', async () => {
    const { runner } = runnerOf(reply, { workerKinds: new Map([['retrieve', async () => ({ passages: 'none' })]]) });
    await expect(runner.run({}, retrieve, attempt())).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(runner.run({ query: 'valve' }, retrieve, attempt())).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('asks whether it may begin where it changes something, as code with effects does', async () => {
    const asks: boolean[] = [];
    const kind: WorkerKind = async (_, { mayBegin }) => {
      asks.push(mayBegin !== undefined);
      return { stdout: '' };
    };
    const { runner } = runnerOf(reply, { workerKinds: new Map([['sandbox', kind]]) });
    const script: StageCall = { ...stage, kind: 'sandbox', model: 'scripts', with: { language: 'javascript' } };
    const mayBegin = async () => undefined;
    await runner.run({ code: '1' }, script, attempt({ mayBegin }));
    await runner.run({ code: '1' }, { ...script, effects: 'intended' }, attempt({ mayBegin }));
    expect(asks).toEqual([false, true]);
  });

  it('fails where the worker has none', async () => {
    const { runner } = runnerOf(reply);
    await expect(runner.run({ query: 'valve' }, retrieve, attempt())).rejects.toMatchObject({
      code: 'MODEL_NOT_CONFIGURED',
    });
  });

  it('of an unknown kind waits for a worker of the release that knows it', async () => {
    const { runner } = runnerOf(reply);
    const failure = await runner.run({}, { ...stage, kind: 'toString' }, attempt()).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'KIND_NOT_FOUND' });
    expect(isAway(failure as MillraceError)).toBe(true);
  });
});

/** What followers and the record of a run are told of failed attempts. */
function listening() {
  const told: string[] = [];
  const kept: unknown[] = [];
  const events = {
    attempt: () => ({ failed: async (code: string) => void told.push(code) }),
  } as unknown as StageRunnerParts['events'];
  const records = {
    before: async () => undefined,
    keep: async (ended: unknown) => void kept.push(ended),
  } as unknown as NonNullable<StageRunnerParts['records']>;
  return { told, kept, events, records };
}

describe('a code stage', () => {
  const call: StageCall = { ...stage, kind: 'code', model: 'shout' };
  const run = (shout: (input: unknown) => unknown) =>
    runnerOf(reply, {
      code: new Map([
        ['shout', { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }), run: shout }],
      ]),
    }).runner.run({ text: 'hi' }, call, attempt());

  it('gives what its function gives', async () => {
    expect((await run(() => ({ text: 'HI', extra: 1 }))).output).toEqual({ text: 'HI' });
  });

  it('does not run if another worker may have begun it meanwhile', async () => {
    let ran = false;
    const anything = { input: z.looseObject({}), output: z.looseObject({}) };
    const shout = {
      ...anything,
      run: () => {
        ran = true;
        return {};
      },
    };
    const { runner } = runnerOf(reply, { code: new Map([['shout', shout]]) });
    const mayBegin = () => Promise.reject(new Error('the attempt is over'));
    await expect(runner.run({}, call, attempt({ mayBegin }))).rejects.toThrow('the attempt is over');
    expect(ran).toBe(false);
    const kinds = new Map([['acme/draw', { ...anything, servedBy: 'pool' }]]) as never;
    const drawing = runnerOf(reply, { kinds });
    const drawn = drawing.runner.run({}, { ...stage, kind: 'acme/draw' }, attempt({ mayBegin }));
    await expect(drawn).rejects.toThrow('the attempt is over');
    expect(drawing.calls).toEqual([]);
    // To ask a model twice changes nothing.
    const asked = runnerOf(reply);
    await asked.runner.run({ prompt: 'hi' }, stage, attempt({ mayBegin }));
    expect(asked.calls).toHaveLength(1);
  });

  it('tells nothing of an attempt that another worker has begun meanwhile, and how any other one has ended', async () => {
    const { told, kept, events, records } = listening();
    const shout = { input: z.looseObject({}), output: z.looseObject({}), run: () => ({}) };
    const { runner, metrics } = runnerOf(reply, { code: new Map([['shout', shout]]), events, records });
    const ends = async (own: AbortController, mayBegin: () => Promise<void>) =>
      await expect(runner.run({}, call, attempt({ signal: own.signal, mayBegin }))).rejects.toBeDefined();
    const taken = new MillraceError('JOURNAL_UNAVAILABLE', 'another worker has the segment');
    await ends(new AbortController(), () => Promise.reject(taken));
    const superseded = new AbortController();
    await ends(superseded, () => {
      const over = new Error('the attempt is over');
      superseded.abort(over);
      return Promise.reject(over);
    });
    expect([told, kept, (await metrics.stageSeconds.get()).values]).toEqual([[], [], []]);
    const late = new AbortController();
    await ends(late, () => {
      late.abort(new MillraceError('STAGE_TIMEOUT', 'the attempt took too long'));
      return Promise.reject(new Error('the attempt is over'));
    });
    expect(told).toEqual(['STAGE_TIMEOUT']);
  });

  it('tells nothing of an attempt that its worker hands over: the next one goes on with it', async () => {
    const { told, kept, events, records } = listening();
    const anything = z.looseObject({});
    const endless = { input: anything, output: anything, run: () => new Promise<JsonObject>(() => undefined) };
    const { runner, metrics } = runnerOf(reply, { code: new Map([['shout', endless]]), events, records });
    const ends = async (reason: Error) => {
      const own = new AbortController();
      const ended = expect(runner.run({}, call, attempt({ signal: own.signal }))).rejects.toBe(reason);
      await vi.advanceTimersByTimeAsync(0);
      own.abort(reason);
      await ended;
    };
    await ends(new HandedOver());
    expect([told, kept, (await metrics.stageSeconds.get()).values]).toEqual([[], [], []]);
    await ends(new Error('the run was cancelled'));
    expect(told).toEqual(['RUN_CANCELLED']);
  });

  it('runs the body of its version, and no other', async () => {
    const body = (version: string, text: string) => ({
      name: 'shout',
      version,
      input: z.looseObject({}),
      output: z.looseObject({}),
      run: () => ({ text }),
    });
    const { runner } = runnerOf(reply, { code: new CodeFunctions([body('1', 'old'), body('2', 'new')]) });
    const under = (codeVersion: string) => runner.run({}, { ...call, codeVersion }, attempt());
    expect((await under('1')).output).toEqual({ text: 'old' });
    expect((await under('2')).output).toEqual({ text: 'new' });
    await expect(under('3')).rejects.toMatchObject({
      code: 'CODE_NOT_FOUND',
      message: expect.stringContaining('shout@3'),
    });
  });

  it.each([
    ['CODE_FAILED', new Error('a bug')],
    ['BACKEND_OVERLOADED', Object.assign(new Error('busy'), { code: 'BACKEND_OVERLOADED' })],
    ['RATE_LIMITED', new MillraceError('RATE_LIMITED', 'slow down')],
  ])('fails with %s as its function says', async (code, error) => {
    await expect(
      run(() => {
        throw error;
      }),
    ).rejects.toMatchObject({ code });
  });
});

describe('a code stage that hears no signal', () => {
  it('ends with its attempt, and what its function does later goes unheard', async () => {
    let fail: (error: Error) => void = () => undefined;
    const deaf = () =>
      new Promise<JsonObject>((_, reject) => {
        fail = reject;
      });
    const anything = z.record(z.string(), z.json());
    const { runner } = runnerOf(reply, {
      code: new Map([['deaf', { input: anything, output: anything, run: deaf }]]),
    });
    const controller = new AbortController();
    const running = runner.run({}, { ...stage, kind: 'code', model: 'deaf' }, attempt({ signal: controller.signal }));
    const reason = new MillraceError('STAGE_TIMEOUT', 'late');
    const ended = expect(running).rejects.toBe(reason);
    await vi.advanceTimersByTimeAsync(0);
    controller.abort(reason);
    await ended;
    fail(new Error('nobody listens')); // as an unhandled rejection it would fail this file
    await vi.advanceTimersByTimeAsync(10);
  });
});

describe('a value that does not fit', () => {
  const call: StageCall = { ...stage, kind: 'code', model: 'list' };
  const run = (input: JsonObject, output: JsonObject) =>
    runnerOf(reply, {
      code: new Map([
        [
          'list',
          { input: z.record(z.string(), z.json()), output: z.object({ n: z.array(z.string()) }), run: () => output },
        ],
      ]),
    }).runner.run(input, call, attempt());

  it('makes a failure of bounded size', async () => {
    const error = (await run({}, { n: Array(50_000).fill(1) }).catch((thrown: unknown) => thrown)) as MillraceError;
    expect(error).toMatchObject({ code: 'INVALID_OUTPUT', details: { stage: 'answer' } });
    expect(error.details.fields).toHaveLength(20);
    expect(error.message).toMatch(/; and 49980 more$/);
  });

  it('may be nested more deeply than a check can follow', async () => {
    const deep = JSON.parse('['.repeat(100_000) + ']'.repeat(100_000)) as Json;
    await expect(run({ deep }, { n: [] })).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      message: 'body: is nested too deeply',
      details: { stage: 'answer' },
    });
  });
});
