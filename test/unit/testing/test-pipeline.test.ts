import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { activity, chat, pipeline, retrieve, transcribe, upsert } from '../../../pipelines/index.js';
import { failure, testPipeline } from '../../../testing/index.js';
import { tagged } from '../../support/acme/pipelines.js';
import { asked, question } from './asked.js';

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
