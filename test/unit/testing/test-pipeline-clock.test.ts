import { describe, expect, it } from 'vitest';
import { chat, classify, pipeline } from '../../../pipelines/index.js';
import { failure, hang, testPipeline } from '../../../testing/index.js';
import { asked, question, quickly } from './asked.js';

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
