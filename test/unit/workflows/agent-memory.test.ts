import { expect, it, test } from 'vitest';
import { z } from 'zod';
import {
  type AgentOptions,
  agent,
  guardrail,
  mcpTools,
  type Pipeline,
  pipeline,
  tool,
} from '../../../pipelines/index.js';
import type { JsonObject } from '../../../pipelines/json.js';
import { hasEffects } from '../../../pipelines/plan/effects.js';
import { testPipeline, toolCalls } from '../../../testing/index.js';

/** What an agent does with the memory of a user; the store itself is tested on Redis. */

function desk(more: Partial<AgentOptions> = {}): Pipeline {
  const input = z.object({ q: z.string(), user: z.string().nullish() });
  return pipeline('desk', { input }, ({ input: given, stage }) => {
    const use = agent({ model: 'm', memory: {}, ...more });
    const { text, toolCalls: calls } = stage('answer', use, { prompt: given.q, user: given.user });
    return { text, calls };
  }) as unknown as Pipeline;
}
const facts = { 'answer/memory': { facts: [{ id: 4, text: 'Likes tea.' }] } };

it('is told the facts in the system message, and changes them by calls of their own', async () => {
  const run = await testPipeline(
    desk(),
    { q: 'Hi', user: 'ada' },
    {
      stages: {
        ...facts,
        answer: [toolCalls(['forget', { fact: 4 }], ['remember', { fact: 'Likes coffee.' }]), { text: 'Noted.' }],
      },
    },
  );
  expect(run.output).toMatchObject({
    text: 'Noted.',
    calls: [
      { name: 'forget', end: 'done', result: 'Done.' },
      { name: 'remember', end: 'done' },
    ],
  });
  const asked = run.calls.filter(({ kind }) => kind === 'chat').map((call) => String(call.with.system));
  // The same in every turn, so that servers can keep the prefix.
  expect(new Set(asked).size).toBe(1);
  expect(asked[0]).toContain('[4] "Likes tea."');
  const memory = run.calls.filter(({ kind }) => kind === 'memory');
  expect(memory.map(({ path }) => path.replace(/:[0-9a-f]{12}$/, ''))).toEqual([
    'answer/memory',
    'answer/turn-1/forget',
    'answer/turn-1/remember',
  ]);
});

it('has other names for its tools where the agent has tools of these names', async () => {
  const own = tool({ name: 'remember', description: 'Own', input: z.object({ fact: z.string() }), run: () => 'mine' });
  const listed = {
    'answer/tools/notes': { tools: [{ name: 'forget', description: 'Theirs', schema: { type: 'object' } }] },
  };
  const run = await testPipeline(
    desk({ tools: [own, mcpTools({ server: 'notes' })] }),
    { q: 'Hi', user: 'ada' },
    {
      stages: {
        ...facts,
        ...listed,
        answer: [toolCalls(['remember', { fact: 'x' }], ['remember_fact', { fact: 'y' }]), { text: 'ok' }],
      },
    },
  );
  expect((run.output as JsonObject).calls).toMatchObject([
    { name: 'remember', result: 'mine' },
    { name: 'remember_fact', result: 'Done.' },
  ]);
  const tools = run.calls.find(({ kind }) => kind === 'chat')?.with.tools as { name: string }[];
  expect(tools.map(({ name }) => name)).toEqual(['remember', 'forget', 'remember_fact', 'forget_fact']);
});

/** Of calls of these tools. */
const noCards = (...tools: string[]) =>
  guardrail({
    name: 'no_cards',
    on: 'tool',
    tools,
    check: ({ arguments: given }) =>
      /\d{16}/.test(String(given?.fact)) ? { verdict: 'stop', reason: 'a card number' } : { verdict: 'pass' },
  });
const card = { fact: 'Card 1234567812345678' };

it('is checked by guardrails of tools', async () => {
  const run = await testPipeline(
    desk({ guardrails: [noCards('remember')] }),
    { q: 'Hi', user: 'ada' },
    { stages: { ...facts, answer: [toolCalls(['remember', card]), { text: 'ok' }] } },
  );
  expect((run.output as JsonObject).calls).toMatchObject([{ name: 'remember', end: 'refused' }]);
  expect(run.calls.filter(({ kind }) => kind === 'memory')).toHaveLength(1);
});

it('is checked by them also where a server has a tool of the name', async () => {
  const tools = [{ name: 'remember', description: 'Theirs', schema: { type: 'object' } }];
  const run = await testPipeline(
    desk({ guardrails: [noCards('remember')], tools: [mcpTools({ server: 'notes' })] }),
    { q: 'Hi', user: 'ada' },
    {
      stages: {
        ...facts,
        'answer/tools/notes': { tools },
        answer: [toolCalls(['remember_fact', card]), { text: 'ok' }],
      },
    },
  );
  expect((run.output as JsonObject).calls).toMatchObject([{ name: 'remember_fact', end: 'refused' }]);
});

it('is checked by those of its own name where the agent has a tool of the other', async () => {
  const own = tool({ name: 'remember', description: 'Own', input: z.object({ fact: z.string() }), run: () => 'mine' });
  const run = await testPipeline(
    desk({ guardrails: [noCards('remember_fact')], tools: [own] }),
    { q: 'Hi', user: 'ada' },
    { stages: { ...facts, answer: [toolCalls(['remember', card], ['remember_fact', card]), { text: 'ok' }] } },
  );
  expect((run.output as JsonObject).calls).toMatchObject([
    { name: 'remember', result: 'mine' },
    { name: 'remember_fact', end: 'refused' },
  ]);
});

it('has the same names for its tools in every agent of a team', async () => {
  const own = tool({ name: 'remember', description: 'Own', input: z.object({ fact: z.string() }), run: () => 'mine' });
  const handoffs = [{ name: 'notes', description: 'Notes', tools: [own] }];
  const run = await testPipeline(
    desk({ handoffs }),
    { q: 'Hi', user: 'ada' },
    { stages: { ...facts, answer: [toolCalls(['transfer_to_notes', {}]), { text: 'ok' }] } },
  );
  const asked = run.calls.filter(({ kind }) => kind === 'chat').map((call) => call.with.tools as { name: string }[]);
  const named = asked.map((tools) => tools.map(({ name }) => name).filter((name) => name.includes('remember')));
  expect(named).toEqual([['remember_fact'], ['remember', 'remember_fact']]);
});

it('is had by every agent of a team', async () => {
  const handoffs = [{ name: 'billing', description: 'Bills', instructions: 'You bill.' }];
  const run = await testPipeline(
    desk({ instructions: 'You greet.', handoffs }),
    { q: 'Hi', user: 'ada' },
    {
      stages: {
        ...facts,
        answer: [toolCalls(['transfer_to_billing', {}]), toolCalls(['remember', { fact: 'x' }]), { text: 'ok' }],
      },
    },
  );
  const asked = run.calls.filter(({ kind }) => kind === 'chat').map((call) => String(call.with.system));
  expect(asked[0]).toMatch(/^You greet\.\n\nRemembered[\s\S]*Likes tea/);
  expect(asked[1]).toMatch(/^You bill\.\n\nRemembered[\s\S]*Likes tea/);
  expect((run.output as JsonObject).calls).toMatchObject([
    { name: 'transfer_to_billing' },
    { name: 'remember', end: 'done' },
  ]);
});

it.each([undefined, null])('has none where the user is %s', async (user) => {
  const run = await testPipeline(
    desk(),
    { q: 'Hi', ...(user === null && { user }) },
    { stages: { answer: { text: 'ok' } } },
  );
  expect(run.calls.map(({ kind }) => kind)).toEqual(['chat']);
});

test('a pipeline that remembers has effects, and its options are checked', () => {
  expect(hasEffects(desk().plan)).toBe(true);
  for (const facts of [0, 101, 1.5])
    expect(() => desk({ memory: { facts } })).toThrow(expect.objectContaining({ code: 'INVALID_PIPELINE' }));
  expect(() => desk({ memory: { keep: 'soon' as never } })).toThrow(/agent\.memory\.keep/);
});

test('a team without tools ends at its limit of turns', async () => {
  const team = pipeline('team', { input: z.object({ q: z.string() }) }, ({ input, stage }) => {
    const handoffs = [{ name: 'other', description: 'Another', to: ['main'] }];
    const { text, stoppedBy } = stage('answer', agent({ model: 'm', maxTurns: 4, handoffs }), { prompt: input.q });
    return { text, stoppedBy };
  }) as unknown as Pipeline;
  const there = toolCalls(['transfer_to_other', {}]);
  const back = toolCalls(['transfer_to_main', {}]);
  const run = await testPipeline(team, { q: 'Hi' }, { stages: { answer: [there, back, there, { text: 'Enough.' }] } });
  expect(run.output).toEqual({ text: 'Enough.', stoppedBy: 'turns' });
});
