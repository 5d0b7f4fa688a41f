import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import {
  agent,
  approve,
  audio,
  chat,
  httpTool,
  pipeline,
  pipelineTool,
  retrieve,
  semantic,
  stageTool,
  synthesize,
  tool,
} from '../../../../pipelines/index.js';
import type { StageTool } from '../../../../pipelines/plan/index.js';
import { type Anything, type Case, one, PROMPT, refusal, refuses } from './refusal.js';

const http = (fields: z.ZodRawShape, path = '/a') =>
  httpTool({ name: 'get', description: 'x', service: 's', path, input: z.object(fields) });
const weather = (options: object = {}) =>
  tool({
    name: 'get_weather',
    description: 'The weather',
    input: z.object({ city: z.string() }),
    run: () => 1,
    ...options,
  } as Anything);
const agentWith = (options: object, policy?: object) =>
  one(agent({ model: 'assistant', ...options } as Anything), PROMPT, policy);

const AGENTS: readonly Case[] = [
  ['no model', 'a.model', /must name the pool or function/, () => one(agent({} as Anything), PROMPT)],
  ['no prompt', 'a.input.prompt', /missing; it must be text/, () => one(agent({ model: 'm' }), {})],
  ['no turn', 'a.maxTurns', /1 or more/, () => agentWith({ maxTurns: 0 })],
  ['turns without end', 'a.maxTurns', /1000 or less/, () => agentWith({ maxTurns: 1_001 })],
  ['a turn for the answer alone', 'a.maxTurns', /without tools/, () => agentWith({ maxTurns: 1, tools: [weather()] })],
  ['an unknown end', 'a.onLimit', /"answer" or "fail"/, () => agentWith({ onLimit: 'stop' })],
  ['no tokens', 'a.budget.tokens', /1 or more/, () => agentWith({ budget: { tokens: 0 } })],
  ['no cost', 'a.budget.cost', /above 0/, () => agentWith({ budget: { cost: 0 } })],
  [
    'a price of nothing',
    'a.budget.price.input',
    /must be a number/,
    () => agentWith({ budget: { cost: 1, price: { output: 1 } } }),
  ],
  ['two tools of one name', 'a.tools', /twice/, () => agentWith({ tools: [weather(), weather()] })],
  ['a tool of no name', 'a.tools.0.name', /letters, digits/, () => agentWith({ tools: [weather({ name: 'a b' })] })],
  ['a cache', 'a.cache', /tools may have effects/, () => agentWith({}, { cache: semantic({ key: 'x' as Anything }) })],
  ['inline execution', 'a.execution', /separate activity/, () => agentWith({}, { execution: 'inline' })],
  [
    'an approval beyond the deadline',
    'a.tools.get_weather.approval.timeout',
    /longer than the pipeline’s deadline/,
    () => agentWith({ tools: [weather({ approval: { timeout: '1h' } })] }),
  ],
  [
    'a fallback without the tools’ answer form',
    'a.fallback',
    /without the schema/,
    () => agentWith({ output: z.object({ city: z.string() }) }, { fallback: [agent({ model: 'small' }) as Anything] }),
  ],
];
refuses('agents', AGENTS);

const speech = pipeline('speech', { description: 'x', input: z.object({ said: audio() }) }, () => ({ ok: true }));
const counting = pipeline(
  'counting',
  { description: 'x', input: z.object({ n: z.string().transform(Number).pipe(z.number()) }) },
  ({ input }) => ({ n: input.n }),
);
const mute = pipeline('mute', { input: z.object({ q: z.string() }) }, () => ({ ok: true }));

/** A tool is refused by its own name, before it is any stage's. */
const TOOLS: readonly (readonly [mistake: string, field: string, text: RegExp, define: () => unknown])[] = [
  ['no description', 'get_weather.description', /by their description/, () => weather({ description: '' })],
  ['no schema', 'get_weather.input', /z\.object/, () => weather({ input: z.string() })],
  ['no function', 'get_weather.run', /function/, () => weather({ run: 1 })],
  ['a misspelt option', 'get_weather.retries', /not an option/, () => weather({ retries: 3 })],
  ['a misspelt policy', 'get_weather.retry.tries', /not an option/, () => weather({ retry: { tries: 3 } })],
  ['no time', 'get_weather.timeout.attempt', /duration/, () => weather({ timeout: { attempt: 'soon' } })],
  ['an unknown failure', 'get_weather.onFailure', /"tell" or "fail"/, () => weather({ onFailure: 'ignore' })],
  ['no wait', 'get_weather.approval.timeout', /duration/, () => weather({ approval: { timeout: 0 } })],
  [
    'arguments that JSON cannot hold',
    'get_weather.input',
    /no JSON Schema/,
    () => weather({ input: z.object({ when: z.date() }) }),
  ],
  [
    'a kind that is no call',
    'ask_boss.use',
    /not a single call/,
    () => stageTool({ name: 'ask_boss', description: 'x', use: approve({ timeout: '1m' }) }),
  ],
  [
    'an option beyond what a worker does',
    'search.use.k',
    /1000 or less/,
    () => stageTool({ name: 'search', description: 'x', use: retrieve({ index: 'i', k: 2_000 }) }),
  ],
  [
    'images from a model',
    'ask.input',
    /no JSON Schema/,
    () => stageTool({ name: 'ask', description: 'x', use: chat({ model: 'm' }) }),
  ],
  [
    'a path of no argument',
    'get.path',
    /names \{id\}/,
    () => httpTool({ name: 'get', description: 'x', service: 's', path: '/a/{id}', input: z.object({}) }),
  ],
  [
    'an object in a query',
    'get.input.where',
    /is an object, which has no form in a query/,
    () => http({ where: z.object({ a: z.string() }) }),
  ],
  [
    'a list of lists in a query',
    'get.input.rows',
    /is a list of objects or lists/,
    () => http({ rows: z.array(z.array(z.string())) }),
  ],
  [
    'a list in a path',
    'get.input.id',
    /is a list, which has no form in a path/,
    () => http({ id: z.array(z.string()) }, '/a/{id}'),
  ],
  ['no pipeline', 'pipelineTool', /needs a pipeline/, () => pipelineTool({} as Anything)],
  ['media from a model', 'speech.said', /media/, () => pipelineTool(speech)],
  ['an input that its schema converts', 'counting.n', /is converted by its schema/, () => pipelineTool(counting)],
  ['a pipeline that says nothing of itself', 'mute.description', /missing/, () => pipelineTool(mute)],
];

describe('a tool with mistakes', () => {
  it.each(TOOLS)('%s', (_, field, text, definition) => {
    const { code, message, details } = refusal(definition);
    expect(code).toBe('INVALID_PIPELINE');
    expect(details.fields?.[0]?.field).toBe(field);
    expect(message).toMatch(text);
  });

  it('and two different functions of one name are refused', () => {
    const { details } = refusal(() =>
      pipeline('p', { input: z.object({}) }, ({ stage }) => ({
        a: stage('a', agent({ model: 'm', tools: [weather()] }), PROMPT).text,
        b: stage('b', agent({ model: 'm', tools: [weather()] }), PROMPT).text,
      })),
    );
    expect(details.fields?.[0]?.field).toBe('b');
  });
});

describe('a tool’s plan', () => {
  it('has its schema, and defaults of its own', () => {
    const { plan, functions } = weather();
    expect(plan).toMatchObject({
      name: 'get_weather',
      by: 'stage',
      kind: 'code',
      model: 'get_weather',
      schema: { type: 'object', properties: { city: { type: 'string' } }, required: ['city'] },
      policy: { retry: { attempts: 3 }, timeout: { attemptMs: 30_000, totalMs: 120_000 } },
      onFailure: 'tell',
    });
    expect([...functions.keys()]).toEqual(['get_weather']);
  });

  it('puts arguments of HTTP where the method wants them', () => {
    const input = z.object({ id: z.string(), days: z.int() });
    const get = httpTool({ name: 'get', description: 'x', service: 's', path: '/a/{id}', input });
    expect(get.plan).toMatchObject({ places: { path: ['id'], query: ['days'] }, policy: { retry: { attempts: 3 } } });
    const post = httpTool({ name: 'put', description: 'x', service: 's', method: 'POST', path: '/a/{id}', input });
    expect(post.plan).toMatchObject({
      places: { path: ['id'], query: [], body: { rest: true } },
      policy: { retry: { attempts: 1 } },
    });
  });

  it('leaves out of a query what has no form there and need not be sent, and takes what may have one', () => {
    const where = z.object({ a: z.string() });
    const { plan } = http({ where: where.optional(), either: z.union([z.string(), where]), q: z.string().optional() });
    expect(plan).toMatchObject({ places: { path: [], query: ['either', 'q'] }, schema: { required: ['either'] } });
    expect(Object.keys((plan as StageTool).schema.properties as object)).toEqual(['either', 'q']);
    expect(http({ id: z.union([z.string(), z.array(z.string())]) }, '/a/{id}').plan).toMatchObject({
      places: { path: ['id'] },
    });
  });

  it('takes any stage kind that is one call', () => {
    const { plan } = stageTool({ name: 's', description: 'x', use: retrieve({ index: 'i' }), result: 'passages' });
    expect(plan).toMatchObject({ kind: 'retrieve', model: 'i', result: 'passages', with: { k: 4 } });
    expect(plan.schema).toMatchObject({ required: ['query'] });
  });

  it('leaves it to its author how a voice sounds', () => {
    const use = synthesize({ model: 'tts', voice: 'alloy' });
    const { plan } = stageTool({ name: 'say', description: 'x', use });
    expect(Object.keys(plan.schema.properties as object)).toEqual(['text']);
    const input = z.object({ text: z.string(), speed: z.number() });
    const fast = stageTool({ name: 'say', description: 'x', use, input: input as Anything });
    expect(Object.keys(fast.plan.schema.properties as object)).toEqual(['text', 'speed']);
  });
});
