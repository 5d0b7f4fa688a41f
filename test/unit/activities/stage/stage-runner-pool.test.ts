import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Backend } from '../../../../activities/connectors/connector.js';
import type { ModelPools } from '../../../../activities/stage/serving.js';
import type { StageRunnerParts } from '../../../../activities/stage/stage-runner.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import type { JsonObject } from '../../../../pipelines/json.js';
import { attempt, prompt, reply, runnerOf, silence, stage } from './runner-of.js';

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

  it.each([-5, 0.5, 1e300, Number.POSITIVE_INFINITY, Number.NaN])(
    'has its answer whatever its server says of tokens, and does not count %d of them',
    async (outputTokens) => {
      const { runner, metrics } = runnerOf(reply, {}, {}, { inputTokens: 2, outputTokens });
      const { output, usage } = await runner.run(prompt, stage, attempt());
      expect(output.text).toBe('Hello.');
      expect(usage).toEqual({ inputTokens: 2 });
      expect((await metrics.usage.get()).values).toMatchObject([{ labels: { unit: 'input_tokens' }, value: 2 }]);
    },
  );

  it.each([
    ['input', { prompt: 1 }, reply, 'INVALID_INPUT'],
    ['answer', prompt, async () => ({ text: null }), 'INVALID_OUTPUT'],
  ] as const)('refuses an %s that does not fit', async (_, input, invoke, code) => {
    const { runner } = runnerOf(invoke);
    await expect(runner.run(input, stage, attempt())).rejects.toMatchObject({ code, details: { stage: 'answer' } });
  });

  it('leaves nothing to go on from where the answer does not fit', async () => {
    const kept: unknown[] = [];
    const { runner } = runnerOf(async (_, { checkpoint }) => {
      checkpoint('job 1');
      return { text: null };
    });
    const checkpoint = (progress: unknown) => void kept.push(progress);
    await expect(runner.run(prompt, stage, attempt({ checkpoint }))).rejects.toMatchObject({ code: 'INVALID_OUTPUT' });
    expect(kept).toEqual(['job 1', null]);
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

function never(): never {
  throw new Error('not to be called');
}
