import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { agent, chat, code, codeTool, http, httpTool, pipeline, pipelineTool, tool } from '../../../pipelines/index.js';
import { hasEffects, mayHaveEffects } from '../../../pipelines/plan/effects.js';
import type { Tool } from '../../../pipelines/tools/tool.js';

const input = z.object({ prompt: z.string() });
const text = z.object({ text: z.string() });
const pay = code('pay', { input: text, output: text }, (given) => given);
const one = { name: 'use', description: 'Uses it', input: z.object({}) };
const withTools = (tools: Tool[], options = {}) =>
  pipeline('p', { input }, ({ input, stage }) => ({
    text: stage('a', agent({ model: 'm', tools, ...options }), { prompt: input.prompt }).text,
  }));
const pure = pipeline('pure', { input }, ({ input, stage }) => ({
  text: stage('say', chat({ model: 'm' }), { prompt: input.prompt }).text,
}));
const paying = pipeline('paying', { input }, ({ input, stage }) => ({
  text: stage('pay', pay, { text: input.prompt }).text,
}));
const get = http({ service: 's', path: '/x', output: z.json() });
const httpOf = (method: 'GET' | 'POST') =>
  pipeline('p', { input }, ({ stage }) => ({
    status: stage('h', http({ service: 's', method, path: '/x', output: z.json() }), {}).status,
  }));

describe('effects of a pipeline', () => {
  it.each([
    ['a call of a model', pure, false],
    ['a function', paying, true],
    [
      'a POST as the fallback of a GET',
      pipeline('p', { input }, ({ stage }) => ({
        status: stage(
          'h',
          get,
          {},
          { fallback: [http({ service: 's', method: 'POST', path: '/x', output: z.json() })] },
        ).status,
      })),
      true,
    ],
    ['a GET', httpOf('GET'), false],
    ['a POST', httpOf('POST'), true],
    ['an agent without tools', withTools([]), false],
    ['an agent with a function', withTools([tool({ ...one, run: () => 1 })]), true],
    ['an agent that reads by HTTP', withTools([httpTool({ ...one, service: 's', path: '/x' })]), false],
    ['an agent that runs code in a sandbox', withTools([codeTool({ sandbox: 's' })]), false],
    ['an agent whose sandbox reaches elsewhere', withTools([codeTool({ sandbox: 's', effects: 'intended' })]), true],
    ['an agent that posts', withTools([httpTool({ ...one, service: 's', path: '/x', method: 'POST' })]), true],
    ['an agent with a pure pipeline', withTools([pipelineTool(pure, { description: 'Says it' })]), false],
    ['an agent with a paying pipeline', withTools([pipelineTool(paying, { description: 'Pays' })]), true],
    ['an agent with a session', withTools([], { session: {} }), true],
    [
      'a child run that pays',
      pipeline('p', { input }, ({ input, run }) => ({
        text: run('c', paying, { prompt: input.prompt }, { as: 'child' }).text,
      })),
      true,
    ],
  ])('%s', (_, { plan }, expected) => {
    expect(hasEffects(plan)).toBe(expected);
  });
});

it.each([
  ['a call of a model', pure, false],
  ['a GET', httpOf('GET'), true],
  ['a function', paying, true],
  ['an agent without tools', withTools([]), false],
  ['an agent that reads by HTTP', withTools([httpTool({ ...one, service: 's', path: '/x' })]), true],
  ['an agent whose sandbox may reach elsewhere', withTools([codeTool({ sandbox: 's', effects: 'possible' })]), true],
])('a pipeline that may not be repeated: %s', (_, { plan }, expected) => {
  expect(mayHaveEffects(plan)).toBe(expected);
});
