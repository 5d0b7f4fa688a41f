import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { z } from 'zod';
import type { ExactCache, ExactRequest } from '../../../../activities/cache/index.js';
import type { Backend, Call, CallContext } from '../../../../activities/connectors/connector.js';
import type { RegisteredConnector } from '../../../../activities/connectors/registered.js';
import { Pools, parseModels } from '../../../../activities/pools/index.js';
import { CodeFunctions } from '../../../../activities/stage/code-functions.js';
import type { ModelPools } from '../../../../activities/stage/serving.js';
import { type Attempt, StageRunner, type StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { Json, JsonObject } from '../../../../pipelines/json.js';
import { sha256Hex } from '../../../../pipelines/plan/hash.js';
import type { StageCall } from '../../../../pipelines/run/index.js';
import { MemoryChannelLog } from '../../../../stores/channels/index.js';
import type { EndedCall, KeptEnd } from '../../../../stores/records/index.js';
import { createMetrics } from '../../../../telemetry/metrics.js';
import { recordingLogger } from '../../../support/caches.js';
import { idleParts } from '../../../support/runner-parts.js';

type Invoke = (call: Call, context: CallContext, endpoint: string) => Promise<JsonObject>;

/** A runner over one pool `assistant` of two endpoints of one place each, whose calls `invoke` answers. */
function runnerOf(invoke: Invoke, more: Partial<StageRunnerParts> = {}, pool: object = {}) {
  const calls: { call: Call; context: CallContext; endpoint: string }[] = [];
  const connector: RegisteredConnector = {
    name: 'fake',
    kinds: new Set(['chat']),
    capabilities: new Set<never>(),
    check: () => undefined,
    connect: (endpoint): Backend => ({
      endpoint,
      invoke: async (call, context) => {
        calls.push({ call, context, endpoint });
        return { output: await invoke(call, context, endpoint), usage: { outputTokens: 3 } };
      },
      probe: async () => undefined,
      fingerprint: async () => 'weights',
      close: () => undefined,
    }),
  };
  const endpoints = ['a', 'b'].map((url) => ({ url, device: `gpu-${url}`, concurrency: 1 }));
  const metrics = createMetrics();
  const { logger } = recordingLogger();
  const pools = new Pools({
    models: parseModels({ assistant: { connector: 'fake', model: 'm', kind: 'chat', endpoints, ...pool } }, 'test'),
    connectors: new Map([['fake', connector]]),
    metrics,
    logger,
    canaryIntervalMs: 60_000,
  });
  const runner = new StageRunner({
    ...idleParts(),
    pools,
    metrics,
    logger,
    ...more,
  });
  return { runner, calls, metrics };
}

const stage: StageCall = {
  pipeline: 'p',
  version: 'v',
  tenant: 'acme',
  stage: 'answer',
  kind: 'chat',
  model: 'assistant',
  with: {},
  retry: { attempts: 1, initialMs: 1, factor: 1, maxMs: 1 },
};
const attempt = (more: Partial<Attempt> = {}): Attempt => ({
  signal: new AbortController().signal,
  attempt: 1,
  queueMs: 0,
  run: 'run-1',
  resumeFrom: null,
  checkpoint: () => undefined,
  ...more,
});
const ended = {
  output: { text: 'Kept.' },
  endpoint: 'a',
  device: '',
  attempt: 2,
  cache: 'off',
  queueMs: 0,
  runMs: 1,
} as const;
const prompt = { prompt: 'Hello?' };
const reply = async () => ({ text: 'Hello.' });
/** Answers when its signal aborts, never otherwise. */
const silence: Invoke = (_, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener('abort', () => reject(signal.reason)));

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

describe('media of a call', () => {
  const picture = {
    uri: `artifact://acme/${'0'.repeat(64)}`,
    sha256: '0'.repeat(64),
    mime: 'image/png',
    bytes: 3,
  };
  const image = { type: 'image', image: picture };
  const seen = { prompt: 'What?', history: [{ role: 'user', content: '', parts: [image] }] };

  it('that the model does not take are refused by their field, before any server is asked', async () => {
    const { runner, calls } = runnerOf(reply, {}, { modalities: ['audio'] });
    await expect(runner.run(seen, stage, attempt())).rejects.toMatchObject({
      code: 'INVALID_INPUT',
      details: { fields: [{ field: 'history.0.parts.0.image' }] },
    });
    expect(calls).toHaveLength(0);
    // What a tool's schema or a text says of images is no image.
    const tools = [{ name: 'look', description: '', schema: { properties: { image: { type: 'string' } } } }];
    await expect(runner.run({ prompt: 'image', tools }, stage, attempt())).resolves.toBeTruthy();
  });

  it.each([{ modalities: ['image'] }, {}])(
    'reach a model that takes them, or of which nothing is said: %j',
    async (pool) => {
      const { runner, calls } = runnerOf(reply, {}, pool);
      await runner.run(seen, stage, attempt());
      expect(calls).toHaveLength(1);
    },
  );
});

describe('the record of a run', () => {
  const kept = (before?: KeptEnd) => {
    const ends: EndedCall['result'][] = [];
    const records = {
      keep: async ({ result }: EndedCall) => void ends.push(result),
      before: async () => before,
    };
    return { records, ends };
  };

  it('is told how a call has ended, and what everybody is told of a failure', async () => {
    const { records, ends } = kept();
    const fine = await runnerOf(reply, { records }).runner.run(prompt, stage, attempt());
    const failing = runnerOf(
      async () => {
        throw new MillraceError('BACKEND_REJECTED', 'no');
      },
      { records },
    );
    await expect(failing.runner.run(prompt, stage, attempt())).rejects.toMatchObject({ code: 'BACKEND_REJECTED' });
    expect(ends).toEqual([{ outcome: fine }, { failure: { code: 'BACKEND_REJECTED', message: 'no' } }]);
  });

  it('of a run that this one resumes is how a call ends: nothing is called, and no attempt follows a failure', async () => {
    const outcome = { ...ended, resumed: true as const };
    const done = kept({ outcome });
    const { runner, calls } = runnerOf(reply, { records: done.records });
    expect(await runner.run(prompt, stage, attempt())).toMatchObject({ output: { text: 'Kept.' }, resumed: true });
    const failed = runnerOf(reply, {
      records: kept({ failure: { code: 'BACKEND_OVERLOADED', message: 'full' } }).records,
    });
    await expect(failed.runner.run(prompt, stage, attempt())).rejects.toMatchObject({
      code: 'BACKEND_OVERLOADED',
      details: { final: true },
    });
    expect([calls, failed.calls]).toEqual([[], []]);
    expect(done.ends, 'the next one finds it here').toMatchObject([{ outcome: { output: { text: 'Kept.' } } }]);
  });

  it('gives a call the same idempotency key in the run that resumes it', async () => {
    const { runner, calls } = runnerOf(reply);
    for (const run of ['run-0b', 'run-0b-r1', 'run-0b-r2', 'run-0b-r1/items[1]/child']) {
      await runner.run(prompt, stage, attempt({ run }));
    }
    const keys = calls.map(({ context }) => context.idempotencyKey);
    expect(keys).toEqual(['run-0b/answer', 'run-0b/answer', 'run-0b/answer', 'run-0b/items[1]/child/answer']);
  });
});

describe('a stage of a pool', () => {
  /** What is published, of an attempt's begin and end and of what it waits for. */
  function publishing() {
    const published: unknown[] = [];
    const publish =
      (type: string) =>
      async (...about: unknown[]) =>
        void published.push([type, ...about]);
    const attempt: StageRunnerParts['events']['attempt'] = (_run, _call, _attempt, again) => {
      if (!again) published.push(['started']);
      return {
        ...{ hasText: false, delta: () => undefined, reasoning: () => undefined, progress: () => undefined },
        ...{ audio: () => undefined, finished: publish('finished'), failed: publish('failed') },
        ...{ waitingFor: publish('waiting for'), loading: publish('loading') },
      };
    };
    return { published, events: { attempt } };
  }

  it('tells when its model is loaded for it, and when the wait is for something else', async () => {
    const { published, events } = publishing();
    let error = new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true, loading: true, loadMs: 900 });
    const { runner } = runnerOf(
      async () => {
        throw error;
      },
      { events },
    );
    const loading = { waits: 1, waitedMs: 100, loading: true } as const;
    await expect(runner.run(prompt, stage, attempt())).rejects.toMatchObject({ details: { loading: true } });
    await expect(runner.run(prompt, stage, attempt({ tried: loading }))).rejects.toThrow();
    expect(published).toEqual([['started'], ['loading', 'assistant', 900]]);
    published.length = 0;
    error = new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
    await expect(runner.run(prompt, stage, attempt({ tried: loading }))).rejects.toThrow();
    expect(published).toEqual([['waiting for', 'assistant', 'BACKEND_UNAVAILABLE', 'refused']]);
  });

  it('tells once that it waits for a server that is away, and not at all where it takes something else at once', async () => {
    const { published, events } = publishing();
    const { runner } = runnerOf(
      async () => {
        throw new MillraceError('BACKEND_UNAVAILABLE', 'refused', { unsent: true });
      },
      { events },
    );
    let tried = { waits: 0, waitedMs: 0 };
    for (let i = 1; i <= 3; i++) {
      await expect(runner.run(prompt, stage, attempt({ tried }))).rejects.toMatchObject({ details: { unsent: true } });
      tried = { waits: i, waitedMs: i * 100 };
    }
    expect(published).toEqual([['started'], ['waiting for', 'assistant', 'BACKEND_UNAVAILABLE', 'refused']]);
    published.length = 0;
    await expect(runner.run(prompt, { ...stage, patienceMs: 0 }, attempt())).rejects.toThrow();
    expect(published.map((each) => (each as string[]).slice(0, 2))).toEqual([
      ['started'],
      ['failed', 'BACKEND_UNAVAILABLE'],
    ]);
  });

  it('has the models of the stages behind it loaded while its own call is under way', async () => {
    const log: string[] = [];
    const pools: ModelPools = {
      get(model) {
        if (model === 'gone') throw new MillraceError('MODEL_NOT_CONFIGURED', model);
        return {
          expect: () => void log.push(`expects ${model}`),
          async use(work, { signal }) {
            log.push(`calls ${model}`);
            const invoke = async () => ({ output: { text: 'Hello.' } });
            return work({ invoke } as unknown as Backend, { model, kind: 'chat', url: 'a', device: 'd' }, signal);
          },
        };
      },
    };
    const { runner } = runnerOf(reply, { pools: pools as StageRunnerParts['pools'] });
    await runner.run(prompt, { ...stage, next: ['tts', 'gone', 'minilm'] }, attempt());
    expect(log).toEqual(['calls assistant', 'expects tts', 'expects minilm']);
  });

  it('is one call, and its answer what the kind’s schema makes of it', async () => {
    const { runner, calls, metrics } = runnerOf(async () => ({ text: 'Hello.', more: 'nobody asked' }));
    expect(await runner.run(prompt, stage, attempt({ queueMs: 7.4 }))).toEqual({
      output: { text: 'Hello.', finish: 'stop' },
      endpoint: 'a',
      device: 'gpu-a',
      attempt: 1,
      cache: 'off',
      queueMs: 7,
      runMs: 0,
      usage: { outputTokens: 3 },
    });
    expect(calls.map(({ call }) => call)).toEqual([
      { kind: 'chat', model: 'm', with: {}, input: { ...prompt, history: [] } },
    ]);
    expect((await metrics.usage.get()).values).toMatchObject([{ labels: { unit: 'output_tokens' }, value: 3 }]);
  });

  it.each([
    ['input', { prompt: 1 }, reply, 'INVALID_INPUT'],
    ['answer', prompt, async () => ({ text: null }), 'INVALID_OUTPUT'],
  ] as const)('refuses an %s that does not fit', async (_, input, invoke, code) => {
    const { runner } = runnerOf(invoke);
    await expect(runner.run(input, stage, attempt())).rejects.toMatchObject({ code, details: { stage: 'answer' } });
  });

  it('has one idempotency key for all its attempts, told apart by its place in the run', async () => {
    const { runner, calls } = runnerOf(reply);
    await runner.run(prompt, stage, attempt());
    await runner.run(prompt, stage, attempt({ attempt: 2 }));
    await runner.run(prompt, { ...stage, path: 'items[3]/answer' }, attempt());
    expect(calls.map(({ context }) => (context as { idempotencyKey?: string }).idempotencyKey)).toEqual([
      'run-1/answer',
      'run-1/answer',
      'run-1/items[3]/answer',
    ]);
  });

  it('says what was done to its media, once each', async () => {
    const { runner } = runnerOf(reply, {
      audioOf: (tenant, onConversion) => {
        for (const what of ['resampled', 'mixed down', 'resampled']) onConversion(`${tenant}: ${what}`);
        return { read: () => never(), write: () => never() };
      },
    });
    expect((await runner.run(prompt, stage, attempt())).conversions).toEqual(['acme: resampled', 'acme: mixed down']);
  });

  it('reads its audio until its own call ends, not its attempt', async () => {
    const signals: AbortSignal[] = [];
    const { runner, calls } = runnerOf((...args) => (args[2] === 'a' ? silence(...args) : reply()), {
      audioOf: (_tenant, _onConversion, signal) => {
        signals.push(signal);
        return { read: () => never(), write: () => never() };
      },
    });
    const outcome = runner.run(prompt, { ...stage, hedge: { afterMs: 100 } }, attempt());
    await vi.advanceTimersByTimeAsync(100);
    await outcome;
    expect(signals).toEqual(calls.map(({ context }) => context.signal));
    expect(signals.map(({ aborted }) => aborted)).toEqual([true, false]);
  });

  it('may answer with tool calls alone, of which no part is text', async () => {
    const { runner } = runnerOf(async (_, { emit, signal }) => {
      for (let i = 0; i < 5; i++) {
        await new Promise((resolve) => setTimeout(resolve, 200));
        signal.throwIfAborted();
        emit('');
      }
      return { text: '', finish: 'tools', toolCalls: [] };
    });
    const run = (tools: JsonObject[]) =>
      runner.run(prompt, { ...stage, with: { tools }, firstChunkMs: 300, idleMs: 300 }, attempt()).then(
        ({ output }) => output.finish,
        ({ code }: MillraceError) => code,
      );
    const [offered, none] = [run([{ name: 'look', description: '', schema: {} }]), run([])];
    await vi.advanceTimersByTimeAsync(1_000);
    expect(await Promise.all([offered, none])).toEqual(['tools', 'FIRST_CHUNK_TIMEOUT']);
  });

  it('is hedged, and says when the second call won', async () => {
    const { runner, calls } = runnerOf((call, context, endpoint) =>
      endpoint === 'a' ? silence(call, context, endpoint) : reply(),
    );
    const outcome = runner.run(prompt, { ...stage, hedge: { afterMs: 100 } }, attempt());
    await vi.advanceTimersByTimeAsync(100);
    expect(await outcome).toMatchObject({ endpoint: 'b', device: 'gpu-b', hedged: true });
    expect(calls.map(({ context }) => context.signal.aborted)).toEqual([true, false]);
  });

  it.each([
    ['FIRST_CHUNK_TIMEOUT', { firstChunkMs: 300 }, 300],
    ['IDLE_TIMEOUT', { firstChunkMs: 300, idleMs: 200 }, 450],
  ] as const)('ends with %s when the server is silent', async (code, limits, afterMs) => {
    const { runner, calls } = runnerOf(async (...args) => {
      const [, { emit }] = args;
      setTimeout(() => emit(code === 'IDLE_TIMEOUT' ? 'Hel' : ''), 250);
      return silence(...args);
    });
    const failing = expect(runner.run(prompt, { ...stage, ...limits }, attempt())).rejects.toMatchObject({ code });
    await vi.advanceTimersByTimeAsync(afterMs - 1);
    expect(calls[0]?.context.signal.aborted).toBe(false);
    await vi.advanceTimersByTimeAsync(1);
    expect(calls[0]?.context.signal.aborted).toBe(true);
    await failing;
  });

  it('waits no longer for a place than its queue time has left', async () => {
    const { runner } = runnerOf(silence);
    for (let i = 0; i < 2; i++) void runner.run(prompt, stage, attempt()).catch(() => undefined);
    await vi.advanceTimersByTimeAsync(0);
    const call = { ...stage, queueMs: 1_000 };
    const fresh = vi.fn();
    const late = vi.fn();
    runner.run(prompt, call, attempt({ queueMs: 0 })).catch(fresh);
    runner.run(prompt, call, attempt({ queueMs: 700 })).catch(late);
    await vi.advanceTimersByTimeAsync(301);
    expect(late).toHaveBeenCalledWith(expect.objectContaining({ code: 'QUEUE_TIMEOUT' }));
    expect(fresh).not.toHaveBeenCalled();
    await vi.advanceTimersByTimeAsync(700);
    expect(fresh).toHaveBeenCalledWith(expect.objectContaining({ code: 'QUEUE_TIMEOUT' }));
  });

  it('goes where prompts that begin as its own went before', async () => {
    const { runner, calls } = runnerOf(reply);
    const turn = (system: string, history: { role: string; content: string }[]) =>
      runner.run({ prompt: 'And?', history }, { ...stage, with: { system } }, attempt());
    const first = (topic: number) => ({ role: 'user', content: `topic ${topic}` });
    for (let topic = 0; topic < 8; topic++) {
      await turn('Be brief.', [first(topic)]);
      await turn('Be brief.', [first(topic), { role: 'assistant', content: 'Yes.' }]);
      await turn('Be brief.', [
        first(topic),
        { role: 'assistant', content: 'Yes.' },
        { role: 'user', content: 'Why?' },
      ]);
    }
    const places = calls.map(({ endpoint }) => endpoint);
    const conversations = Array.from({ length: 8 }, (_, i) => new Set(places.slice(3 * i, 3 * i + 3)));
    expect(conversations.map(({ size }) => size)).toEqual(Array(8).fill(1));
    expect(new Set(places)).toEqual(new Set(['a', 'b']));
  });
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
      { signal: expect.any(AbortSignal), audio: expect.anything(), idempotencyKey: 'run-1/answer' },
    );
  });

  it('is checked on the way in and out', async () => {
    const { runner } = runnerOf(reply, { workerKinds: new Map([['retrieve', async () => ({ passages: 'none' })]]) });
    await expect(runner.run({}, retrieve, attempt())).rejects.toMatchObject({ code: 'INVALID_INPUT' });
    await expect(runner.run({ query: 'valve' }, retrieve, attempt())).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
  });

  it('fails where the worker has none', async () => {
    const { runner } = runnerOf(reply);
    await expect(runner.run({ query: 'valve' }, retrieve, attempt())).rejects.toMatchObject({
      code: 'MODEL_NOT_CONFIGURED',
    });
  });

  it('of an unknown kind is not known to this release', async () => {
    const { runner } = runnerOf(reply);
    await expect(runner.run({}, { ...stage, kind: 'toString' }, attempt())).rejects.toMatchObject({
      code: 'UNKNOWN_PLAN_VERSION',
    });
  });
});

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

function never(): never {
  throw new Error('not to be called');
}

describe('speech with an exact cache', () => {
  const exactRunner = () => {
    const audioOf = (text: Json | undefined) => {
      const sha256 = sha256Hex(String(text));
      const about = { mime: 'audio/wav', bytes: 44, durationMs: 1, sampleRate: 16_000, channels: 1 };
      return { uri: `artifact://acme/${sha256}`, sha256, ...about };
    };
    const kept = new Map<string, JsonObject>();
    const earlier = async ({ input }: ExactRequest) => {
      const output = kept.get(JSON.stringify(input));
      return output && { output, outcome: 'hit' };
    };
    const exact = {
      earlier,
      through: async (request: ExactRequest, produce: () => Promise<JsonObject>) => {
        const before = await earlier(request);
        const output = before?.output ?? (await produce());
        kept.set(JSON.stringify(request.input), output);
        return { output, outcome: before ? 'hit' : 'miss' };
      },
    } as unknown as ExactCache;
    const channels = new MemoryChannelLog();
    const { runner, calls } = runnerOf(async ({ input }) => ({ audio: audioOf(input.text) }), {
      exact,
      streams: { channels, join: async (_, [first]) => first },
    });
    const speak = (text: string, run: string, only?: true) =>
      runner.run(
        { text },
        {
          ...stage,
          stage: 'speak',
          kind: 'synthesize',
          writes: ['chunks'],
          cache: { kind: 'exact', ttlMs: 60_000, ...(only && { only }) },
        },
        attempt({ run }),
      );
    return { calls, channels, speak };
  };

  it('is kept by sentence: what has been said before is not made again', async () => {
    const { calls, speak } = exactRunner();
    expect(await speak('Good morning, dear guests. The shop is open.', 'r1')).toMatchObject({ cache: 'miss' });
    expect(await speak('Good morning, dear guests. The shop is closed.', 'r2')).toMatchObject({ cache: 'miss' });
    expect(await speak('The shop is closed. The shop is open.', 'r3')).toMatchObject({ cache: 'hit' });
    expect(calls.map(({ call }) => call.input.text)).toEqual([
      'Good morning, dear guests.',
      'The shop is open.',
      'The shop is closed.',
    ]);
  });

  it('is found by sentence where it must not be made, and is heard only if all of it is there', async () => {
    const { calls, channels, speak } = exactRunner();
    const open = vi.spyOn(channels, 'open');
    await speak('Good morning, dear guests. The shop is open.', 'r1');
    open.mockClear();
    await expect(speak('The shop is open. The shop is closed.', 'r2', true)).rejects.toMatchObject({
      code: 'NOT_CACHED',
    });
    expect(open).not.toHaveBeenCalled();
    expect(await speak('The shop is open. Good morning, dear guests.', 'r3', true)).toMatchObject({ cache: 'hit' });
    expect(calls).toHaveLength(2);
  });
});
