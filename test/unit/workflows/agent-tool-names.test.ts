import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, mcpTools, pipeline } from '../../../pipelines/index.js';
import { freeName } from '../../../pipelines/plan/index.js';
import { testPipeline, toolCalls } from '../../../testing/index.js';

const question = z.object({ text: z.string() });
const described = (name: string) => ({ name, description: 'x', schema: { type: 'object' } });

it('a tool of a server has the name for models that the list gives it, and is called by its own', async () => {
  const clerk = pipeline('clerk', { input: question }, ({ input, stage }) => ({
    text: stage('talk', agent({ model: 'm', tools: [mcpTools({ server: 'notes' })] }), { prompt: input.text }).text,
  }));
  const stages = {
    talk: [toolCalls(['get_user_1a2b3c4d', {}]), { text: 'done' }],
    'talk/tools/notes': { tools: [{ ...described('get.user'), as: 'get_user_1a2b3c4d' }, described('get_user')] },
  };
  const run = await testPipeline(clerk, { text: 'x' }, { stages, tools: { get_user_1a2b3c4d: 'Ada' } });
  expect(run.output).toEqual({ text: 'done' });
  expect(run.calls.find(({ kind }) => kind === 'mcp')?.with).toEqual({ tool: 'get.user' });
});

it('a server is asked for tools that are not named like a handoff', async () => {
  const team = pipeline('team', { input: question }, ({ input, stage }) => {
    const handoffs = [{ name: 'billing', description: 'Bills' }];
    const use = agent({ model: 'm', tools: [mcpTools({ server: 'notes', prefix: 'n_' })], handoffs });
    return { text: stage('talk', use, { prompt: input.text }).text };
  });
  const stages = { talk: { text: 'done' }, 'talk/tools/notes': { tools: [described('look')] } };
  const { calls } = await testPipeline(team, { text: 'x' }, { stages });
  const reserved = ['transfer_to_main', 'transfer_to_billing'];
  expect(calls.find(({ kind }) => kind === 'mcp-tools')?.with).toEqual({ prefix: 'n_', reserved });
});

it('a tool of the agent itself has a name that no other tool has', () => {
  const names = ['read_result', 'read_whole_result'];
  expect(freeName(names, [])).toBe('read_result');
  expect(freeName(names, [{ name: 'read_result' }])).toBe('read_whole_result');
  const all = [...names, 'read_whole_result_2'].map((name) => ({ name }));
  expect(freeName(names, all)).toBe('read_whole_result_3');
});
