import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  activity,
  chat,
  classify,
  code,
  MillraceError,
  pipeline,
  retrieve,
  transcribe,
  upsert,
} from '../../../pipelines/index.js';
import { failure, hang, TestError, testPipeline } from '../../../testing/index.js';
import { tagged } from '../../support/acme/pipelines.js';

const question = z.object({ text: z.string() });
const shout = code('shout', { input: question, output: question }, ({ text }) => ({ text: text.toUpperCase() }));

const asked = pipeline('asked', { input: question, deadline: '10m' }, ({ input, stage }) => {
  const answer = stage(
    'answer',
    chat({ model: 'assistant' }),
    { prompt: input.text },
    {
      retry: { attempts: 3 },
      timeout: { attempt: '60s', total: '5m' },
    },
  );
  const loud = stage('loud', shout, { text: answer.text });
  return { text: loud.text };
});

/** Real time is far below the times of the clock. */
async function quickly<T>(work: () => Promise<T>): Promise<T> {
  const started = performance.now();
  const result = await work();
  expect(performance.now() - started).toBeLessThan(5_000);
  return result;
}

describe('a run without servers', () => {
  it('gets its answers from scripts, and its functions as they are', async () => {
    const run = await testPipeline(
      asked,
      { text: 'hi' },
      {
        stages: { answer: ({ prompt }) => ({ text: `you said ${String(prompt)}` }) },
      },
    );
    expect(run.status).toBe('succeeded');
    expect(run.output).toEqual({ text: 'YOU SAID HI' });
    expect(run.stages.map(({ stage, status, attempt }) => [stage, status, attempt])).toEqual([
      ['answer', 'done', 1],
      ['loud', 'done', 1],
    ]);
    expect(run.calls).toEqual([
      {
        ...{ stage: 'answer', path: 'answer', kind: 'chat', model: 'assistant', attempt: 1 },
        with: { maxTokens: 256, temperature: 0 },
        input: { prompt: 'hi' },
      },
      {
        stage: 'loud',
        path: 'loud',
        kind: 'code',
        model: 'shout',
        with: {},
        attempt: 1,
        input: { text: 'you said hi' },
      },
    ]);
  });

  it('takes answers by model, and the function’s answer from a script where there is one', async () => {
    const run = await testPipeline(
      asked,
      { text: 'hi' },
      {
        models: { assistant: { text: 'from the model' } },
        stages: { loud: ({ text }) => ({ text: `${String(text)}!` }) },
      },
    );
    expect(run.output).toEqual({ text: 'from the model!' });
  });

  it('of a kind made with defineKind is checked like any other', async () => {
    const good = await testPipeline(
      tagged,
      { text: 'boats' },
      {
        stages: { find: { keywords: [{ word: 'boats', score: 1 }] } },
      },
    );
    expect(good.output).toEqual({ keywords: [{ word: 'boats', score: 1 }] });
    const bad = await testPipeline(tagged, { text: 'boats' }, { stages: { find: { keywords: ['boats'] } } });
    expect(bad.error).toMatchObject({ code: 'INVALID_OUTPUT', stage: 'find' });
    expect(bad.error?.details.fields?.[0]?.field).toBe('keywords.0');
  });

  it('serves the kinds of the worker too', async () => {
    const library = pipeline('library', { input: question }, ({ input, stage }) => {
      const put = stage('put', upsert({ index: 'books', embedder: 'minilm' }), {
        passages: [{ id: 'a', text: input.text }],
      });
      const found = stage('look', retrieve({ index: 'books', embedder: 'minilm' }), { query: input.text });
      return { found: found.passages, put };
    });
    const run = await testPipeline(
      library,
      { text: 'x' },
      {
        stages: { put: { count: 1 }, look: { passages: [] } },
      },
    );
    expect(run.output).toMatchObject({ found: [] });
  });

  it('tells its followers what a real run tells them', async () => {
    const run = await testPipeline(
      asked,
      { text: 'hi' },
      {
        stages: {
          answer: [
            failure('BACKEND_ERROR'),
            async (_, { emit, sleep: takes }) => {
              emit('Hel');
              await takes('2s');
              emit('lo');
              return { text: 'Hello' };
            },
          ],
        },
      },
    );
    expect(run.events).toEqual([
      { type: 'stage.started', stage: 'answer', path: 'answer', attempt: 1, kind: 'chat', model: 'assistant' },
      {
        ...{ type: 'stage.failed', stage: 'answer', path: 'answer', attempt: 1 },
        code: 'BACKEND_ERROR',
        message: 'scripted failure',
      },
      { type: 'stage.started', stage: 'answer', path: 'answer', attempt: 2, kind: 'chat', model: 'assistant' },
      { type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 2, text: 'Hel' },
      { type: 'stage.delta', stage: 'answer', path: 'answer', attempt: 2, text: 'lo' },
      { type: 'stage.finished', stage: 'answer', path: 'answer', attempt: 2, cache: 'off', runMs: 2_000 },
      { type: 'stage.started', stage: 'loud', path: 'loud', attempt: 1, kind: 'code', model: 'shout' },
      { type: 'stage.delta', stage: 'loud', path: 'loud', attempt: 1, text: 'HELLO' },
      { type: 'stage.finished', stage: 'loud', path: 'loud', attempt: 1, cache: 'off', runMs: 0 },
    ]);
  });
});

describe('policies, on the test’s clock', () => {
  it('retries what the error table retries, with its waits', async () => {
    const run = await quickly(() =>
      testPipeline(
        asked,
        { text: 'hi' },
        {
          stages: { answer: [failure('BACKEND_OVERLOADED', { retryAfterMs: 30_000 }), { text: 'at last' }] },
        },
      ),
    );
    expect(run.output).toEqual({ text: 'AT LAST' });
    expect(run.calls.filter(({ stage }) => stage === 'answer').map(({ attempt }) => attempt)).toEqual([1, 2]);
    expect(run.durationMs).toBeGreaterThanOrEqual(30_000);
  });

  it('does not retry what would fail again', async () => {
    const run = await testPipeline(asked, { text: 'hi' }, { stages: { answer: failure('BACKEND_REJECTED') } });
    expect(run.status).toBe('failed');
    expect(run.error).toMatchObject({
      code: 'BACKEND_REJECTED',
      stage: 'answer',
      message: 'stage "answer": scripted failure',
    });
    expect(run.calls).toHaveLength(1);
    expect(() => run.output).toThrow('scripted failure');
  });

  it('times out a call that never ends', async () => {
    const run = await quickly(() => testPipeline(asked, { text: 'hi' }, { stages: { answer: hang() } }));
    expect(run.error?.code).toBe('STAGE_TIMEOUT');
    expect(run.calls).toHaveLength(3);
    expect(run.durationMs).toBeGreaterThanOrEqual(180_000);
    expect(run.durationMs).toBeLessThan(200_000);
  });

  it('ends a run at its deadline', async () => {
    const slow = async (_: unknown, call: { sleep(duration: string): Promise<void> }) => {
      await call.sleep('40s');
      return failure('BACKEND_ERROR');
    };
    const short = pipeline('short', { input: question, deadline: '1m' }, ({ input, stage }) => ({
      text: stage('answer', chat({ model: 'a' }), { prompt: input.text }).text,
    }));
    const run = await quickly(() => testPipeline(short, { text: 'hi' }, { stages: { answer: slow } }));
    expect(run.error?.code).toBe('DEADLINE_EXCEEDED');
    expect(run.durationMs).toBe(60_000);
  });

  it('ends an answer that stalls', async () => {
    const live = pipeline('live', { input: question }, ({ input, stage }) => ({
      text: stage(
        'answer',
        chat({ model: 'a' }),
        { prompt: input.text },
        {
          retry: { attempts: 1 },
          timeout: { firstChunk: '2s', idle: '1s' },
        },
      ).text,
    }));
    const stalls = await testPipeline(
      live,
      { text: 'hi' },
      {
        stages: {
          answer: async (_, { emit, sleep: takes }) => {
            emit('Hello');
            await takes('5s');
            return { text: 'Hello you' };
          },
        },
      },
    );
    expect(stalls.error?.code).toBe('IDLE_TIMEOUT');
    expect(stalls.durationMs).toBe(1_000);
    const silent = await testPipeline(live, { text: 'hi' }, { stages: { answer: hang() } });
    expect(silent.error?.code).toBe('FIRST_CHUNK_TIMEOUT');
    expect(silent.durationMs).toBe(2_000);
  });

  const choice = pipeline('choice', { input: question }, ({ input, stage }) => {
    const big = stage(
      'answer',
      chat({ model: 'big' }),
      { prompt: input.text },
      {
        patience: '20s',
        fallback: [chat({ model: 'small' })],
      },
    );
    const tone = stage(
      'tone',
      classify({ model: 'tone', labels: ['good', 'bad'] }),
      { text: big.text },
      { optional: true },
    );
    return { text: big.text, tone: tone.label };
  });

  it('waits for a server that is away, then takes the alternative', async () => {
    const run = await quickly(() =>
      testPipeline(
        choice,
        { text: 'hi' },
        {
          models: { big: failure('BACKEND_UNAVAILABLE', { unsent: true }), small: { text: 'small' } },
          stages: { tone: failure('BACKEND_REJECTED') },
        },
      ),
    );
    expect(run.output).toEqual({ text: 'small', tone: null });
    expect(run.durationMs).toBeGreaterThanOrEqual(20_000);
    expect(run.events.filter(({ type }) => type === 'stage.waiting_for')).toHaveLength(1);
    expect(run.stages.find(({ stage }) => stage === 'answer')).toMatchObject({
      status: 'done',
      model: 'small',
      instead: 'BACKEND_UNAVAILABLE',
    });
  });
});

describe('functions', () => {
  const fetching = code('fetching', { input: question, output: question }, async ({ text }) => {
    await sleep(30);
    return { text };
  });
  const working = pipeline('working', { input: question }, ({ input, stage }) => ({
    text: stage('work', fetching, { text: input.text }, { timeout: { attempt: '10ms', total: '20ms' } }).text,
  }));

  it('work in real time, in which the clock stands still', async () => {
    const run = await testPipeline(working, { text: 'x' });
    expect(run.output).toEqual({ text: 'x' });
    expect(run.durationMs).toBe(0);
  });

  it('that do not end are named', async () => {
    const endless = code('endless', { input: question, output: question }, () => new Promise<never>(() => undefined));
    const waiting = pipeline('waiting', { input: question }, ({ input, stage }) => ({
      text: stage('work', endless, { text: input.text }).text,
    }));
    await expect(testPipeline(waiting, { text: 'x' }, { realLimit: 5 })).rejects.toThrow(
      /^the function "endless" has not ended within 5 ms of real time/,
    );
    const stuck = testPipeline(
      asked,
      { text: 'x' },
      {
        stages: { answer: () => new Promise(() => undefined) },
        realLimit: '20ms',
      },
    );
    await expect(stuck).rejects.toThrow(/^the script of "answer" has not ended within 20 ms/);
  });

  it('that throw fail the stage as in a worker', async () => {
    const broken = code('broken', { input: question, output: question }, () => {
      throw new Error('no luck');
    });
    const wrong = pipeline('wrong', { input: question }, ({ input, stage }) => ({
      text: stage('work', broken, { text: input.text }, { retry: { attempts: 2 } }).text,
    }));
    const run = await testPipeline(wrong, { text: 'x' });
    expect(run.error).toMatchObject({ code: 'CODE_FAILED', message: 'stage "work": no luck' });
    expect(run.calls).toHaveLength(2);
  });

  it('of a script may fail with any code', async () => {
    const run = await testPipeline(
      asked,
      { text: 'hi' },
      {
        stages: {
          answer: () => {
            throw new MillraceError('BACKEND_UNAUTHORIZED', 'wrong key');
          },
        },
      },
    );
    expect(run.error).toMatchObject({ code: 'BACKEND_UNAUTHORIZED', message: 'stage "answer": wrong key' });
  });
});

describe('mistakes in a test', () => {
  const heard = pipeline('heard', { input: question }, ({ input, stage, each }) => {
    const parts = stage(
      'parts',
      code('parts', { input: question, output: z.object({ all: z.array(z.string()) }) }, ({ text }) => ({
        all: text.split(' '),
      })),
      { text: input.text },
    );
    const answers = each('item', parts.all, (word) => stage('say', chat({ model: 'm' }), { prompt: word }).text);
    return { answers };
  });

  it('a stage without a script is named, with what to add', async () => {
    const run = testPipeline(asked, { text: 'hi' });
    await expect(run).rejects.toThrow(TestError);
    await expect(run).rejects.toThrow(
      'the stage "answer" (chat, model "assistant") has no script; add stages: { answer: … }, or models: { assistant: … }',
    );
  });

  it('is not hidden by a fallback or by `optional`', async () => {
    const safe = pipeline('safe', { input: question }, ({ input, stage }) => ({
      said: stage('hear', chat({ model: 'm' }), { prompt: input.text }, { optional: true }),
    }));
    await expect(testPipeline(safe, { text: 'x' })).rejects.toThrow('the stage "hear"');
  });

  it.each([
    [
      'stages',
      { stages: { anwser: { text: 'x' } } },
      'stages.anwser: the pipeline has nothing of this name; it has answer, loud; did you mean "answer"?',
    ],
    ['models', { models: { gpt: { text: 'x' } } }, 'models.gpt'],
    ['tools', { tools: { search: 'x' } }, 'tools.search: the pipeline has nothing of this name; it has none'],
    ['decisions', { decisions: { sign: 'nobody' as const } }, 'decisions.sign'],
    ['an option', { stage: {} } as object, '"stage" is not an option'],
  ])('a misspelled name of %s', async (_, options, message) => {
    await expect(testPipeline(asked, { text: 'hi' }, options)).rejects.toThrow(message);
  });

  it('a list with too few answers', async () => {
    const run = testPipeline(heard, { text: 'a b c' }, { stages: { say: [{ text: '1' }, { text: '2' }] } });
    await expect(run).rejects.toThrow('the script of stages.say has 2 answers, and call 3 came');
  });

  it('takes answers by path, in a list by the order of the calls', async () => {
    const run = await testPipeline(
      heard,
      { text: 'a b c' },
      {
        stages: { say: [{ text: '1' }, { text: '3' }], 'item[1]/say': { text: 'two' } },
      },
    );
    expect(run.output).toEqual({ answers: ['1', 'two', '3'] });
  });

  it('an input that the pipeline refuses', async () => {
    await expect(testPipeline(asked, { txt: 'hi' } as never)).rejects.toMatchObject({ code: 'INVALID_INPUT' });
  });

  it('a code that is not in the error table', () => {
    expect(() => failure('BACKEND_GONE' as never)).toThrow('"BACKEND_GONE" is not a code of the error table');
  });
});

it('runs pipelines in pipelines, as part of the run and as runs of their own', async () => {
  const outer = pipeline('outer', { input: question, deadline: '20m' }, ({ input, run }) => ({
    inside: run('inside', asked, { text: input.text }).text,
    apart: run('apart', asked, { text: input.text }, { as: 'child' }).text,
  }));
  const run = await testPipeline(outer, { text: 'hi' }, { models: { assistant: { text: 'yes' } } });
  expect(run.output).toEqual({ inside: 'YES', apart: 'YES' });
});

it('stands in for other workers of Temporal, whose results are checked by the schemas in the plan', async () => {
  const score = activity({
    ...{ queue: 'risk', type: 'score', input: question },
    output: z.object({ risk: z.number() }),
  });
  const scored = pipeline('scored', { input: question }, ({ input, stage }) => ({
    risk: stage('score', score, { text: input.text }, { retry: { attempts: 2 } }).risk,
  }));
  const run = await testPipeline(
    scored,
    { text: 'x' },
    { stages: { score: [failure('BACKEND_ERROR'), ({ text }) => ({ risk: String(text).length })] } },
  );
  expect(run.output).toEqual({ risk: 1 });
  const wrong = await testPipeline(scored, { text: 'x' }, { stages: { score: { risk: 'high' } } });
  expect(wrong.error).toMatchObject({ code: 'INVALID_OUTPUT', stage: 'score' });
  await expect(testPipeline(scored, { text: 'x' })).rejects.toThrow('the stage "score" (activity, model "score")');
});

it('races: the first wins by the test’s clock', async () => {
  const raced = pipeline('raced', { input: question }, ({ input, stage, race }) => {
    const first = race('first', {
      one: () => stage('one', chat({ model: 'one' }), { prompt: input.text }).text,
      two: () => stage('two', chat({ model: 'two' }), { prompt: input.text }).text,
    });
    return { winner: first.winner, text: first.value };
  });
  const after = (duration: string, text: string) => async (_: unknown, call: { sleep(d: string): Promise<void> }) => {
    await call.sleep(duration);
    return { text };
  };
  const run = await testPipeline(
    raced,
    { text: 'x' },
    { models: { one: after('3s', 'late'), two: after('1s', 'soon') } },
  );
  expect(run.output).toEqual({ winner: 'two', text: 'soon' });
  expect(run.durationMs).toBe(1_000);
});

it('skips stages whose output nobody requests', async () => {
  const both = pipeline('both', { input: question.extend({ speech: z.string() }) }, ({ input, stage }) => ({
    a: stage('a', chat({ model: 'm' }), { prompt: input.text }).text,
    b: stage('b', chat({ model: 'm' }), { prompt: input.speech }).text,
  }));
  const run = await testPipeline(both, { text: 'x', speech: 'y' }, { stages: { a: { text: '1' } }, outputs: ['a'] });
  expect(run.output).toEqual({ a: '1' });
  expect(run.stages.find(({ stage }) => stage === 'b')?.status).toBe('skipped');
});

it('gives audio by reference', async () => {
  const speech = {
    uri: `artifact://default/${'a'.repeat(64)}`,
    sha256: 'a'.repeat(64),
    mime: 'audio/wav',
    bytes: 44,
  };
  const { audio } = await import('../../../pipelines/index.js');
  const dictated = pipeline('dictated', { input: z.object({ speech: audio() }) }, ({ input, stage }) => ({
    text: stage('hear', transcribe({ model: 'whisper' }), { audio: input.speech }).text,
  }));
  const run = await testPipeline(dictated, { speech }, { stages: { hear: { text: 'hello' } } });
  expect(run.output).toEqual({ text: 'hello' });
});
