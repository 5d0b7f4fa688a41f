import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { activity, code, codeStream, either, pipeline } from '../../../pipelines/index.js';
import { failure, testPipeline } from '../../../testing/index.js';
import { question } from './asked.js';

const number = z.object({ n: z.number() });

describe('a result of null', () => {
  it('of a function is one as any other', async () => {
    const nothing = code('nothing', { input: question, output: number.nullable() }, () => null);
    const looked = pipeline('looked', { input: question }, ({ input, stage }) => ({
      n: either(stage('look', nothing, { text: input.text }).n, 0),
    }));
    const run = await testPipeline(looked, { text: 'x' });
    expect(run.output).toEqual({ n: 0 });
  });

  it('of another worker too', async () => {
    const score = activity({ queue: 'risk', type: 'score', input: question, output: number.nullable() });
    const scored = pipeline('scored', { input: question }, ({ input, stage }) => ({
      n: either(stage('score', score, { text: input.text }).n, -1),
    }));
    const run = await testPipeline(scored, { text: 'x' }, { stages: { score: null } });
    expect(run.output).toEqual({ n: -1 });
  });
});

describe('another worker of Temporal that fails', () => {
  const score = activity({ queue: 'risk', type: 'score', input: question, output: number });
  const scored = pipeline('scored', { input: question }, ({ input, stage }) => ({
    n: stage('score', score, { text: input.text }, { retry: { attempts: 3 } }).n,
  }));
  const boom = () => {
    throw new Error('boom');
  };

  it('is tried again by the policy of its stage', async () => {
    const run = await testPipeline(scored, { text: 'x' }, { stages: { score: [boom, boom, { n: 1 }] } });
    expect(run.output).toEqual({ n: 1 });
    expect(run.calls).toHaveLength(3);
  });

  it('ends the run in the last attempt, as in Temporal', async () => {
    const run = await testPipeline(scored, { text: 'x' }, { stages: { score: boom } });
    expect(run.calls).toHaveLength(3);
    expect(run.error).toMatchObject({ code: 'ACTIVITY_FAILED', stage: 'score', message: 'stage "score": boom' });
    expect(run.error?.details).not.toHaveProperty('elsewhere');
  });

  it('is not tried again if it says so', async () => {
    const final = failure('ACTIVITY_FAILED', { message: 'no such customer', final: true });
    const run = await testPipeline(scored, { text: 'x' }, { stages: { score: final } });
    expect(run.calls).toHaveLength(1);
    expect(run.error).toMatchObject({ code: 'ACTIVITY_FAILED', message: 'stage "score": no such customer' });
  });
});

describe('a function that yields', () => {
  const yielding = (yields: () => Iterable<string> | AsyncIterable<string>) => {
    const made = codeStream('made', { input: question, entry: z.string() }, () => yields());
    return pipeline('yielding', { input: question }, ({ input, stage }) => ({
      items: stage('make', made, { text: input.text }, { retry: { attempts: 1 } }).items,
    }));
  };

  it('without end ends where it ends in a worker', async () => {
    let closed = false;
    const endless = yielding(async function* () {
      try {
        for (;;) yield 'x'.repeat(10_000);
      } finally {
        closed = true;
      }
    });
    const run = await testPipeline(endless, { text: 'x' });
    expect(run.error).toMatchObject({ code: 'RESULT_TOO_LARGE', stage: 'make' });
    expect(closed).toBe(true);
  });

  it('what does not fit goes no further', async () => {
    const begun: unknown[] = [];
    const wrong = yielding(function* () {
      for (const each of ['a', 2 as unknown as string, 'c']) {
        begun.push(each);
        yield each;
      }
    });
    const run = await testPipeline(wrong, { text: 'x' });
    expect(run.error).toMatchObject({ code: 'INVALID_OUTPUT', stage: 'make' });
    expect(begun).toEqual(['a', 2]);
  });

  it('may be returned by a function that is async', async () => {
    const later = codeStream('later', { input: question, entry: z.number() }, (async () => [1, 2]) as never);
    const listed = pipeline('listed', { input: question }, ({ input, stage }) => ({
      items: stage('make', later, { text: input.text }).items,
    }));
    expect((await testPipeline(listed, { text: 'x' })).output).toEqual({ items: [1, 2] });
  });
});
