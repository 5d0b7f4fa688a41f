import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, embed, type Pipeline, pipeline } from '../../pipelines/index.js';
import type { RunDocument } from '../../runs/document.js';
import { RedisSentResults } from '../../stores/answers/index.js';
import { connected } from '../../stores/redis/index.js';
import { type OwnRedis, ownRedis } from '../support/own-redis.js';
import { address, until } from '../support/runs.js';
import { ScriptedLlm } from '../support/scripted-llm.js';
import { type ServedPipelines, servePipelines } from '../support/served-pipelines.js';
import { testRedis } from '../support/test-worker.js';

/**
 * The shortcut for results of which somebody waits: a run that is one segment is answered by its worker, ahead of Temporal's
 * record, and by Temporal where the shortcut fails.
 */
const inline = { execution: 'inline', retry: { attempts: 2 } } as const;

/** A run that is one segment. */
const ask = pipeline('ask-inline', { input: z.object({ question: z.string() }) }, ({ input, stage }) => {
  const options = { model: 'assistant', system: 'Answer in one short sentence.', maxTokens: 48 };
  const answer = stage('answer', chat(options), { prompt: input.question }, inline);
  return {
    reply: answer.text,
    vector: stage('embed', embed({ model: 'minilm' }), { text: answer.text }, inline).embedding,
  };
});

const json = { 'content-type': 'application/json' };
const question = 'What is the capital of France?';

/** The run as Temporal has it. */
async function recorded(served: ServedPipelines, id: string): Promise<RunDocument> {
  let run = await served.get(id);
  await until('Temporal has recorded the end', async () => {
    run = await served.get(id);
    return run.id === id && run.status !== 'running';
  });
  return run;
}

/** Tries until the shortcut was first: on a machine that stands still Temporal may be, which is as right. */
async function answeredEarly<T>(run: () => Promise<T>, wasEarly: (result: T) => boolean): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    const result = await run();
    if (wasEarly(result)) return result;
    expect(attempt, 'answered by Temporal, not by the shortcut').toBeLessThan(ATTEMPTS);
  }
}
const ATTEMPTS = 3;

describe('a waiting caller of a pipeline that is one segment', () => {
  let served: ServedPipelines;
  beforeAll(async () => {
    served = await servePipelines([ask] as unknown as Pipeline<never>[]);
  });
  afterAll(() => served.close());
  const early = ({ id }: RunDocument) => served.early.includes(id);

  it('gets the result that Temporal has recorded right after', async () => {
    const answered = await answeredEarly(() => served.run('ask-inline', { question }), early);
    expect(answered.output).toMatchObject({ reply: expect.stringContaining('Paris') });
    expect(answered.stages?.map(({ stage, status }) => [stage, status])).toEqual([
      ['answer', 'done'],
      ['embed', 'done'],
    ]);
    const { status, output, stages } = await recorded(served, answered.id);
    expect({ status, output, stages }).toEqual({
      status: 'succeeded',
      output: answered.output,
      stages: answered.stages,
    });
  });

  it('has been sent it ahead, as every gateway knows until the run is erased', async () => {
    const answered = await answeredEarly(() => served.run('ask-inline', { question }), early);
    const redis = testRedis();
    try {
      await connected(redis, 60_000);
      const sent = new RedisSentResults(redis);
      expect(await sent.has(answered.id)).toBe(true);
      expect(await sent.has(`${answered.id}0`)).toBe(false);
      expect(await redis.pttl(`millrace:sent:{${answered.id}}`)).toBeGreaterThan(0);
      await sent.erase(answered.id);
      expect(await sent.has(answered.id)).toBe(false);
    } finally {
      redis.disconnect();
    }
  });

  it('gets the fields that it asked for, and the same table as Temporal', async () => {
    const answered = await answeredEarly(() => served.run('ask-inline?outputs=reply', { question }), early);
    expect(Object.keys(answered.output ?? {})).toEqual(['reply']);
    const { output, stages } = await recorded(served, answered.id);
    expect({ output: answered.output, stages: answered.stages }).toEqual({ output, stages });
    expect(stages?.map(({ stage, status }) => [stage, status])).toEqual([
      ['answer', 'done'],
      ['embed', 'skipped'],
    ]);
  });

  it('shares it with another under the same idempotency key', async () => {
    const both = async () => {
      const headers = { 'idempotency-key': randomUUID() };
      const [one, two] = await Promise.all([
        served.run('ask-inline', { question }, headers),
        served.run('ask-inline', { question }, headers),
      ]);
      expect(one.id).toBe(two.id);
      for (const run of [one, two]) {
        expect(run).toMatchObject({ status: 'succeeded', output: { reply: expect.stringContaining('Paris') } });
      }
      expect(one.output).toEqual(two.output);
      return one;
    };
    await answeredEarly(both, (one) => served.early.filter((id) => id === one.id).length === 2);
  });

  it('is told of a failure', async () => {
    const response = await served.post('ask-inline', JSON.stringify({ question: 'Why? '.repeat(9_000) }), {
      ...json,
      prefer: 'wait=60',
    });
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({ code: 'CONTEXT_TOO_LONG', run: { status: 'failed' } });
  });
});

describe('without Redis', () => {
  let redis: OwnRedis;
  let served: ServedPipelines;
  let redisIsGone: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    redisIsGone = resolve;
  });
  const llm = new ScriptedLlm(async () => {
    await gone;
    return { text: 'It is Paris.' };
  });
  beforeAll(async () => {
    redis = await ownRedis(address('REDIS_URL'));
    await redis.start();
    const endpoints = [{ url: address('TRITON_URL'), device: 'cpu0' }];
    const minilm = { connector: 'triton', kind: 'embed', model: 'minilm', endpoints };
    served = await servePipelines([ask] as unknown as Pipeline<never>[], {
      answersRedis: redis.url,
      more: { MILLRACE_MODELS: await llm.listen('assistant', { minilm }) },
    });
  });
  afterAll(async () => {
    await served.close();
    llm.close();
    await redis.kill();
  });

  it('the result comes from Temporal, whether Redis goes during a run or before', async () => {
    const running = served.run('ask-inline', { question });
    await until('the model is asked', () => llm.calls > 0);
    await redis.kill();
    redisIsGone();
    expect((await running).output).toMatchObject({ reply: expect.stringContaining('Paris') });
    const next = await served.run('ask-inline', { question });
    expect(next.output).toMatchObject({ reply: expect.stringContaining('Paris') });
    expect(served.early).toEqual([]);
  });
});
