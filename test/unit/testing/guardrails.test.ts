import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  type AgentOptions,
  agent,
  audio,
  chat,
  code,
  type Guardrail,
  guardrail,
  pipeline,
  tool,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { failure, testPipeline, toolCalls } from '../../../testing/index.js';

const paid: JsonObject[] = [];
const refund = tool({
  name: 'refund',
  description: 'Pays money back',
  input: z.object({ euros: z.number() }),
  run: (given) => {
    paid.push(given);
    return 'paid';
  },
});
const find = tool({ name: 'find', description: 'Finds', input: z.object({ text: z.string() }), run: () => 'found' });

const pass = { verdict: 'pass' } as const;
const CARD = /\d{16}/g;
const noCards = (on: 'input' | 'output') =>
  guardrail({
    name: 'no_cards',
    on,
    check: ({ text = '' }) =>
      text.search(CARD) < 0 ? pass : { verdict: 'redact', text: text.replace(CARD, '[card]'), reason: 'a card' },
  });
const noRudeness = (on: 'input' | 'output') =>
  guardrail({
    name: 'polite',
    on,
    check: ({ text = '' }) => (text.includes('damn') ? { verdict: 'stop', reason: 'be polite' } : pass),
  });

const desk = (guardrails: readonly Guardrail[], more: Partial<AgentOptions> = {}) =>
  pipeline('desk', { input: z.object({ text: z.string() }), deadline: '4h' }, ({ input, stage }) => {
    const answer = stage('answer', agent({ model: 'm', tools: [refund, find], guardrails, ...more }), {
      prompt: input.text,
    });
    return { text: answer.text, toolCalls: answer.toolCalls };
  });

/** What the model was sent, call by call. */
const asked = ({ calls }: { readonly calls: readonly { kind: string; path: string; input: JsonObject }[] }) =>
  calls
    .filter(({ kind }) => kind === 'chat')
    .map(({ path, input }) => ({ path, messages: input.history as unknown as { role: string; content: string }[] }));

describe('a guardrail of the input', () => {
  it('passes: the model has been asked beside it, once, and sees neither it nor its tool', async () => {
    const run = await testPipeline(
      desk([noCards('input')]),
      { text: 'Hello?' },
      { stages: { answer: { text: 'Hi.' } } },
    );
    expect(run.output.text).toBe('Hi.');
    expect(asked(run).map(({ path }) => path)).toEqual(['answer/turn-1']);
    const tools = run.calls.find(({ kind }) => kind === 'chat')?.with.tools as unknown as { name: string }[];
    expect(tools.map(({ name }) => name)).toEqual(['refund', 'find']);
    expect(run.events).toContainEqual({
      type: 'guardrail.checked',
      stage: 'answer',
      path: expect.stringMatching(/^answer\/turn-1\/guard_no_cards:[0-9a-f]{12}$/),
      attempt: 1,
      guardrail: 'no_cards',
      on: 'input',
      verdict: 'pass',
    });
  });

  it('stops the agent, and cancels the model call that goes on', async () => {
    let aborted = false;
    const never = (_: JsonObject, { signal }: { signal: AbortSignal }) =>
      new Promise<JsonObject>((_, reject) => {
        signal.addEventListener('abort', () => {
          aborted = true;
          reject(signal.reason);
        });
      });
    const run = testPipeline(
      desk([noRudeness('input')]),
      { text: 'damn' },
      { stages: { 'answer/turn-1': never as never } },
    );
    expect((await run).error).toMatchObject({
      code: 'GUARDRAIL_STOPPED',
      message: 'stage "answer": the guardrail "polite" stopped the agent: be polite',
    });
    expect(aborted).toBe(true);
  });

  it('changes the prompt: the model is asked again with what is left', async () => {
    const run = await testPipeline(
      desk([noCards('input')]),
      { text: 'Mine is 1234567812345678.' },
      { stages: { answer: ({ history }) => ({ text: JSON.stringify(history) }) } },
    );
    expect(run.output.text).toContain('Mine is [card].');
    expect(run.output.text).not.toContain('12345678');
    expect(asked(run).at(-1)?.path).toBe('answer/turn-1-checked');
  });

  it('asks a person, whose refusal stops the agent', async () => {
    const odd = guardrail({ name: 'odd', on: 'input', check: () => ({ verdict: 'ask', reason: 'odd' }) });
    const run = (approved: boolean) =>
      testPipeline(
        desk([odd]),
        { text: 'Pay!' },
        { stages: { answer: { text: 'Ok.' } }, decisions: { answer: { approved, after: '30m' } } },
      );
    expect((await run(true)).output.text).toBe('Ok.');
    expect((await run(false)).error).toMatchObject({ code: 'GUARDRAIL_STOPPED' });
    const nobody = testPipeline(
      desk([odd]),
      { text: 'Pay!' },
      { stages: { answer: { text: 'Ok.' } }, decisions: { answer: 'nobody' } },
    );
    expect((await nobody).error?.message).toContain('not approved in time');
  });

  it('stops the agent if it fails or returns no verdict, and no other candidate answers instead', async () => {
    const broken = guardrail({ name: 'broken', on: 'input', check: () => ({ verdict: 'maybe' }) as never });
    const run = testPipeline(desk([broken]), { text: 'Hello?' }, { stages: { answer: { text: 'Hi.' } } });
    expect((await run).error?.code).toBe('INVALID_OUTPUT');
    const unguarded = pipeline('two', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
      const use = agent({ model: 'm', guardrails: [noRudeness('input')] });
      return { text: stage('answer', use, { prompt: input.text }, { fallback: [agent({ model: 'other' })] }).text };
    });
    const second = testPipeline(unguarded, { text: 'damn' }, { stages: { answer: { text: 'Hi.' } } });
    expect((await second).error).toMatchObject({ code: 'GUARDRAIL_STOPPED' });
  });

  it('may be a pipeline with a model', async () => {
    const judge = pipeline('judge', { input: z.object({ text: z.string() }) }, ({ input, stage }) => {
      const said = stage('judge', chat({ model: 'small' }), { prompt: input.text });
      const { verdict } = stage(
        'verdict',
        code(
          'verdict_of',
          { input: z.object({ said: z.string() }), output: z.object({ verdict: z.string() }) },
          ({ said }) => ({ verdict: said === 'bad' ? 'stop' : 'pass' }),
        ),
        { said: said.text },
      );
      return { verdict };
    });
    const guards = [guardrail({ name: 'judge', on: 'input', check: judge })];
    const run = (said: string) =>
      testPipeline(
        desk(guards),
        { text: 'Hello?' },
        { models: { small: { text: said } }, stages: { answer: { text: 'Hi.' } } },
      );
    expect((await run('good')).output.text).toBe('Hi.');
    expect((await run('bad')).error).toMatchObject({ code: 'GUARDRAIL_STOPPED' });
  });
});

describe('a guardrail of the output', () => {
  it('changes what the model writes in every turn, before anybody sees it', async () => {
    const run = await testPipeline(
      desk([noCards('output')]),
      { text: 'Which card?' },
      {
        stages: {
          'answer/turn-1': {
            ...(toolCalls(['find', { text: 'card' }]) as JsonObject),
            text: 'I try 1111222233334444.',
          },
          'answer/turn-2': { text: 'It is 1234567812345678.' },
        },
      },
    );
    expect(run.output.text).toBe('It is [card].');
    expect(run.output.toolCalls).toMatchObject([{ name: 'find', said: 'I try [card].' }]);
    const everything = JSON.stringify([run.events, asked(run)]);
    expect(everything).not.toMatch(CARD);
    expect(everything).toContain('I try [card].');
  });

  it('stops the agent', async () => {
    const run = testPipeline(desk([noRudeness('output')]), { text: 'Hm?' }, { stages: { answer: { text: 'damn' } } });
    expect((await run).error).toMatchObject({ code: 'GUARDRAIL_STOPPED' });
  });

  it('sees what the one before has left', async () => {
    const seen: string[] = [];
    const second = guardrail({
      name: 'second',
      on: 'output',
      check: ({ text = '' }) => {
        seen.push(text);
        return pass;
      },
    });
    const stages = { answer: { text: '1234567812345678' } };
    await testPipeline(desk([noCards('output'), second]), { text: 'Hm?' }, { stages });
    expect(seen).toEqual(['[card]']);
  });
});

describe('a guardrail of calls', () => {
  const most = (verdict: 'stop' | 'redact' | 'ask') =>
    guardrail({
      name: 'most',
      on: 'tool',
      tools: ['refund'],
      check: ({ arguments: { euros = 0 } = {} }) =>
        Number(euros) <= 100 ? pass : { verdict, reason: 'at most 100', arguments: { euros: 100 } },
    });
  const call = (verdict: 'stop' | 'redact' | 'ask', euros: number, approved = true) => {
    paid.length = 0;
    return testPipeline(
      desk([most(verdict)]),
      { text: 'Pay!' },
      {
        stages: {
          'answer/turn-1': toolCalls(['refund', { euros }], ['find', { text: 'x' }]),
          answer: { text: 'Done.' },
        },
        decisions: { answer: { approved } },
      },
    );
  };

  it('stops the call, and the model is told why', async () => {
    const run = await call('stop', 500);
    expect(paid).toEqual([]);
    expect(run.output.toolCalls).toMatchObject([
      { name: 'refund', end: 'refused' },
      { name: 'find', end: 'done' },
    ]);
    expect(asked(run).at(-1)?.messages).toContainEqual(
      expect.objectContaining({ role: 'tool', content: 'The guardrail most stopped the call: at most 100' }),
    );
  });

  it('changes the arguments, and the model is told', async () => {
    const run = await call('redact', 500);
    expect(paid).toEqual([{ euros: 100 }]);
    expect(run.output.toolCalls).toMatchObject([{ name: 'refund', end: 'done', arguments: { euros: 100 } }, {}]);
    expect(JSON.stringify(asked(run).at(-1)?.messages)).toContain('most changed the arguments');
  });

  it('asks a person', async () => {
    await call('ask', 500);
    expect(paid).toEqual([{ euros: 500 }]);
    await call('ask', 500, false);
    expect(paid).toEqual([]);
  });

  it('lets others pass', async () => {
    const run = await call('stop', 5);
    expect(paid).toEqual([{ euros: 5 }]);
    expect(run.events.filter(({ type }) => type === 'guardrail.checked')).toHaveLength(1);
  });
});

describe('a person whom a guardrail asks', () => {
  const asks = (on: 'input' | 'output' | 'tool') =>
    guardrail({ name: 'asks', on, check: () => ({ verdict: 'ask', reason: 'odd' }) });
  type Turn = ReturnType<typeof toolCalls>;
  /** What they were shown. */
  const shown = async (guardrails: readonly Guardrail[], text: string, first: Turn = { text: 'Ok.' }) => {
    const subjects: string[] = [];
    const answer = ({ subject }: { readonly subject: string }) => {
      subjects.push(subject);
      return { approved: true };
    };
    const stages = { 'answer/turn-1': first, answer: { text: 'Done.' } };
    await testPipeline(desk(guardrails), { text }, { stages, decisions: { answer } });
    return subjects;
  };

  it('is shown what those before it have left of a text', async () => {
    const card = 'It is 1234567812345678.';
    expect(await shown([noCards('output'), asks('output')], 'Hm?', { text: card })).toEqual([
      'asks (odd): It is [card].',
    ]);
    expect(await shown([noCards('input'), asks('input')], card)).toEqual(['asks (odd): It is [card].']);
  });

  it('is shown what they have left of a call, all of it', async () => {
    const lower = guardrail({
      name: 'lower',
      on: 'tool',
      tools: ['refund'],
      check: () => ({ verdict: 'redact', arguments: { euros: 100 } }),
    });
    paid.length = 0;
    const long = 'x'.repeat(500);
    const calls = toolCalls(['refund', { euros: 500 }], ['find', { text: long }]);
    const subjects = await shown([lower, asks('tool')], 'Pay!', calls);
    expect(subjects.sort()).toEqual([`asks (odd): find {"text":"${long}"}`, 'asks (odd): refund {"euros":100}']);
    expect(paid).toEqual([{ euros: 100 }]);
  });

  it('is told where something is longer than what is shown, and its digest', async () => {
    const text = 'x'.repeat(20_000);
    const digest = createHash('sha256').update(JSON.stringify({ text })).digest('hex');
    const [subject = ''] = await shown([asks('tool')], 'Find!', toolCalls(['find', { text }]));
    const before = `asks (odd), the first 16000 of 20011 characters, sha256 ${digest}: find {"text":"xxx`;
    expect(subject.startsWith(before)).toBe(true);
    expect(subject.length).toBeLessThan(16_200);
    expect(subject.endsWith('x…')).toBe(true);
  });
});

const FAILS = ['at once', 'while the person is asked'] as const;
it.each(FAILS)('nobody is asked about a call of an agent that fails %s: the next candidate begins', async (when) => {
  const vital = tool({
    name: 'vital',
    description: 'Must work',
    input: z.object({}),
    retry: { attempts: 1 },
    onFailure: 'fail',
    run: () => 'done',
  });
  const asks = guardrail({ name: 'asks', on: 'tool', tools: ['refund'], check: () => ({ verdict: 'ask' }) });
  const two = pipeline('two', { input: z.object({ text: z.string() }), deadline: '4h' }, ({ input, stage }) => {
    const use = agent({ model: 'm', tools: [vital, refund], guardrails: [asks] });
    return { text: stage('answer', use, { prompt: input.text }, { fallback: [agent({ model: 'other' })] }).text };
  });
  paid.length = 0;
  const run = await testPipeline(
    two,
    { text: 'Pay!' },
    {
      stages: { 'answer/turn-1': toolCalls(['vital', {}], ['refund', { euros: 5 }]) },
      models: { other: { text: 'Half.' } },
      tools: {
        vital: async (_, { sleep }) => {
          if (when !== 'at once') await sleep('1s');
          return failure('BACKEND_REJECTED');
        },
      },
      decisions: { answer: 'nobody' },
    },
  );
  expect(run.output.text).toBe('Half.');
  expect(run.durationMs).toBeLessThan(60_000);
  expect(paid).toEqual([]);
});

describe('guardrails that cannot be', () => {
  it.each<[string, () => unknown, RegExp]>([
    ['without a name', () => guardrail({ name: 'A b', on: 'input', check: () => pass }), /name/],
    ['of nothing', () => guardrail({ name: 'a', on: 'all' as never, check: () => pass }), /on/],
    [
      'with tools of a text',
      () => guardrail({ name: 'a', on: 'input', tools: ['refund'], check: () => pass }),
      /tools/,
    ],
    ['twice', () => desk([noCards('input'), noCards('output')]), /no_cards/],
    [
      'of a tool that is not there',
      () => desk([guardrail({ name: 'a', on: 'tool', tools: ['refunds'], check: () => pass })]),
      /refunds/,
    ],
    [
      'by a pipeline that wants media',
      () =>
        guardrail({
          name: 'a',
          on: 'input',
          check: pipeline('heard', { input: z.object({ clip: audio() }) }, ({ input }) => ({ clip: input.clip })),
        }),
      /media/,
    ],
  ])('are refused: %s', (_, make, message) => {
    expect(make).toThrow(message);
  });
});
