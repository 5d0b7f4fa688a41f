import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { chat, code, MillraceError, pipeline } from '../../../pipelines/index.js';
import { failure, TestError, testPipeline } from '../../../testing/index.js';
import { asked, question } from './asked.js';

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
