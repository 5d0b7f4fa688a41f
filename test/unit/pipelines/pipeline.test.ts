import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { voiceAssistant } from '../../../pipelines/catalog/voice-assistant.js';
import {
  type Assignable,
  approve,
  code,
  MillraceError,
  type Pipeline,
  pipeline,
  semantic,
  text,
} from '../../../pipelines/index.js';
import { seal } from '../../../pipelines/plan/hash.js';
import { isStage } from '../../../pipelines/plan/index.js';

const upper = code(
  'upper',
  { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
  ({ text }) => ({
    text: text.toUpperCase(),
  }),
);

const define = (stageId = 'upper') =>
  pipeline('shout', { input: z.object({ name: z.string(), loud: z.boolean().default(true) }) }, ({ input, stage }) => {
    const shouted = stage(stageId, upper, { text: text`Hello ${input.name}!` });
    return { greeting: shouted.text, nested: { loud: input.loud }, version: 1 };
  });

function failure(define: () => Pipeline): MillraceError {
  try {
    define();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('the definition was accepted');
}

describe('pipeline', () => {
  it('compiles the traced function to plain JSON', () => {
    const { plan } = define();
    expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
    expect(plan.stages[0]).toMatchObject({
      id: 'upper',
      kind: 'code',
      model: 'upper',
      input: { text: { $text: ['Hello ', { $ref: 'input.name' }, '!'] } },
    });
    expect(plan.output).toEqual({
      greeting: { $ref: 'upper.text' },
      nested: { loud: { $ref: 'input.loud' } },
      version: 1,
    });
  });

  it('gives equal definitions one version and different ones another', () => {
    expect(define().plan.version).toBe(define().plan.version);
    expect(define('other').plan.version).not.toBe(define().plan.version);
    expect(define().plan.version).toMatch(/^[0-9a-f]{12}$/);
  });

  it('hashes the meaning, not the order in which keys were written', () => {
    const { version, ...body } = define().plan;
    const reordered = Object.fromEntries(Object.entries(body).reverse()) as unknown as typeof body;
    expect(seal(reordered).version).toBe(version);
  });

  it('resolves every default into the plan', () => {
    const { plan } = voiceAssistant;
    for (const stage of plan.stages.filter(isStage)) {
      expect(stage.policy.retry).toEqual({ attempts: 6, initialMs: 200, factor: 2.5, maxMs: 10_000, jitter: 0.2 });
      expect(stage.policy.execution).toBe('queued');
    }
    const [first, second] = plan.stages.filter(isStage);
    expect(first?.policy.timeout).toEqual({ attemptMs: 600_000, totalMs: 1_800_000 });
    expect(second?.cache).toMatchObject({
      kind: 'semantic',
      key: { $ref: 'transcribe.text' },
      ttlMs: 86_400_000,
      embedder: 'minilm',
    });
  });

  it('exports JSON Schemas of input and output', () => {
    expect(define().inputSchema).toEqual({
      type: 'object',
      properties: { name: { type: 'string' }, loud: { type: 'boolean', default: true } },
      required: ['name'],
      additionalProperties: false,
    });
    expect(voiceAssistant.outputSchema).toMatchObject({
      properties: { transcript: { type: 'string' }, speech: { media: 'audio' } },
      required: ['transcript', 'reply', 'speech'],
    });
  });

  it('keeps what its author says of the input, in every pipeline that has it', () => {
    const said = { description: 'Whom to reach', dependentRequired: { name: ['phone'] } };
    const shape = { name: z.string().optional(), phone: z.string().optional() };
    const input = z
      .object(shape)
      .refine(({ name, phone }) => name === undefined || phone !== undefined)
      .meta({ id: 'contact', ...said });
    for (const name of ['call', 'write']) {
      const { inputSchema, input: checked } = pipeline(name, { input }, ({ input: given }) => ({ name: given.name }));
      expect(inputSchema).toEqual({
        type: 'object',
        properties: { name: { type: 'string' }, phone: { type: 'string' } },
        additionalProperties: false,
        ...said,
      });
      expect(checked.safeParse({ name: 'Ada' }).success).toBe(false);
      expect(checked.safeParse({ name: 'Ada', phone: '1', fax: '2' }).success).toBe(false);
    }
  });

  it('keeps a literal that looks like a binding as a value', () => {
    const { plan } = pipeline('literal', { input: z.object({}) }, () => ({ price: { $ref: 'not a reference' } }));
    expect(plan.output).toEqual({ price: { $const: { $ref: 'not a reference' } } });
  });

  it.each<[string, string, () => Pipeline]>([
    ['a pipeline name with capitals', 'Voice', () => pipeline('Voice', { input: z.object({}) }, () => ({}))],
    [
      'a stage id used twice',
      'a',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => {
          stage('a', upper, { text: 'x' });
          return { text: stage('a', upper, { text: 'y' }).text };
        }),
    ],
    [
      'the stage id "input"',
      'input',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({ text: stage('input', upper, { text: 'x' }).text })),
    ],
    [
      'no attempts at all',
      'a.retry.attempts',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: 'x' }, { retry: { attempts: 0 } }).text,
        })),
    ],
    [
      'half an attempt',
      'a.retry.attempts',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: 'x' }, { retry: { attempts: 1.5 } }).text,
        })),
    ],
    [
      'an attempt longer than the total',
      'a.timeout.attempt',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: 'x' }, { timeout: { attempt: '2m', total: '1m' } }).text,
        })),
    ],
    [
      'a similarity above 1',
      'a.cache.minSimilarity',
      () =>
        pipeline('p', { input: z.object({ q: z.string() }) }, ({ input, stage }) => ({
          text: stage('a', upper, { text: input.q }, { cache: semantic({ key: input.q, minSimilarity: 2 }) }).text,
        })),
    ],
    [
      'a deadline that is no duration',
      'deadline',
      () => pipeline('p', { input: z.object({}), deadline: 'soon' as '1s' }, () => ({})),
    ],
    [
      'a field that the output does not have',
      'a.txt',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: (stage('a', upper, { text: 'x' }) as unknown as { txt: string }).txt,
        })),
    ],
    [
      'a function where a value belongs',
      'a.input',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: (() => 'x') as unknown as string }).text,
        })),
    ],
    [
      'a reference into another pipeline',
      'a.input',
      () => {
        let foreign: Assignable<string> | undefined;
        pipeline('other', { input: z.object({ q: z.string() }) }, ({ input }) => {
          foreign = input.q;
          return {};
        });
        return pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: foreign as Assignable<string> }).text,
        }));
      },
    ],
    [
      'a reference inside a literal that is taken as it is',
      'output',
      () =>
        pipeline('p', { input: z.object({ q: z.string() }) }, ({ input }) => ({ schema: { $id: 'x', q: input.q } })),
    ],
    [
      'a first wait longer than the longest',
      'a.retry.backoff.initial',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          text: stage('a', upper, { text: 'x' }, { retry: { backoff: { initial: '2s', max: '1s' } } }).text,
        })),
    ],
    [
      'an approval that outlasts the deadline',
      'a.timeout',
      () =>
        pipeline('p', { input: z.object({}), deadline: '1m' }, ({ stage }) => ({
          ok: stage('a', approve({ timeout: '1h' }), { subject: 'x' }).approved,
        })),
    ],
    [
      'a policy for a stage that calls no server',
      'a.retry',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => ({
          ok: stage('a', approve({ timeout: '1m' }), { subject: 'x' }, { retry: { attempts: 2 } } as object).approved,
        })),
    ],
    [
      'two functions of one name',
      'b',
      () =>
        pipeline('p', { input: z.object({}) }, ({ stage }) => {
          const other = code('upper', { input: upper.input, output: upper.output }, (input) => input);
          return { text: stage('b', other, { text: stage('a', upper, { text: 'x' }).text }).text };
        }),
    ],
  ])('refuses %s, naming the field', (_, field, definition) => {
    const error = failure(definition);
    expect(error.code).toBe('INVALID_PIPELINE');
    expect(error.details.fields?.[0]?.field).toBe(field);
  });
});
