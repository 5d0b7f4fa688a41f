import { expect, it } from 'vitest';
import { z } from 'zod';
import { agent, approve, chat, eq, gt, type Pipeline, pipeline, size, tool } from '../../../../pipelines/index.js';
import { type Anything, type Case, define, refusal, refuses } from './refusal.js';

const CONTROL: readonly Case[] = [
  ['a deadline that is no time', 'deadline', /duration/, () => define(() => ({}), { deadline: 'soon' })],
  ['a deadline of nothing', 'deadline', /duration/, () => define(() => ({}), { deadline: 0 })],
  [
    'a condition that is text',
    'w.condition',
    /text where a boolean/,
    () => define(({ input, when }) => ({ x: when('w', input.q, () => 1) })),
  ],
  [
    'a branch that is no function',
    'w',
    /needs a function/,
    () => define(({ input, when }) => ({ x: when('w', eq(input.q, ''), 'x') })),
  ],
  [
    'an async branch',
    'w',
    /must not be async/,
    () => define(({ input, when }) => ({ x: when('w', eq(input.q, ''), async () => 1) })),
  ],
  [
    'a loop over text',
    'e.over',
    /is not a list/,
    () => define(({ input, each }) => ({ x: each('e', input.q, () => 1) })),
  ],
  [
    'a loop without a width',
    'e.concurrency',
    /between 1 and 256/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { concurrency: 0 }) })),
  ],
  [
    'a misspelt option of a loop',
    'e.paralel',
    /the options are concurrency/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { paralel: 2 }) })),
  ],
  [
    'an unknown way to fail',
    'e.onFailure',
    /"fail", "null" or "drop"/,
    () => define(({ input, each }) => ({ x: each('e', input.words, () => 1, { onFailure: 'skip' }) })),
  ],
  [
    'a repeat without a bound',
    'r.atMost',
    /between 1 and 10000/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => true }) })),
  ],
  [
    'a repeat without an end',
    'r.until',
    /a function of the state/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s, { atMost: 3 }) })),
  ],
  [
    'a repeat without options',
    'r',
    /until, atMost/,
    () => define(({ repeat }) => ({ x: repeat('r', { n: 1 }, (s: unknown) => s) })),
  ],
  [
    'a repeat whose state loses a field',
    'r.body.m',
    /not one of its fields: n/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, () => ({ m: input.n }), { until: () => true, atMost: 3 }),
      })),
  ],
  [
    'a repeat whose state changes its type',
    'r.body.n',
    /text where a number/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, () => ({ n: input.q }), { until: () => true, atMost: 3 }),
      })),
  ],
  [
    'an end that is text',
    'r.until',
    /text where a boolean/,
    () =>
      define(({ input, repeat }) => ({
        x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => input.q, atMost: 3 }),
      })),
  ],
  [
    'an end that adds a stage',
    'r.until',
    /only tests the state; add "poll" in the body/,
    () =>
      define(({ input, stage, repeat }) => ({
        x: repeat('r', { n: 1 }, (s: unknown) => s, {
          until: () => eq(stage('poll', chat({ model: 'm' }), { prompt: input.q }).text, 'done'),
          atMost: 3,
        }),
      })),
  ],
  [
    'an unknown way to reach the bound',
    'r.onLimit',
    /"accept" or "fail"/,
    () =>
      define(({ repeat }) => ({
        x: repeat('r', { n: 1 }, (s: unknown) => s, { until: () => true, atMost: 3, onLimit: 'stop' }),
      })),
  ],
  ['a race of one', 'r', /two contenders/, () => define(({ race }) => ({ x: race('r', { only: () => 1 }) }))],
  [
    'a contender’s name with capitals',
    'r.Fast',
    /lower-case/,
    () => define(({ race }) => ({ x: race('r', { Fast: () => 1, slow: () => 2 }) })),
  ],
  ['a step that is no pipeline', 's', /pipeline\(\)/, () => define(({ run }) => ({ x: run('s', {}, {}) }))],
];

const inner = (options: object = {}) =>
  pipeline('inner', { input: z.object({ q: z.string() }), ...options }, ({ input }) => ({ q: input.q }));
const counting = pipeline(
  'counting',
  { input: z.object({ n: z.string().transform(Number).pipe(z.number()), m: z.coerce.number().default(1) }) },
  ({ input }) => ({ many: gt(input.n, input.m) }),
);
const numbering = pipeline(
  'numbering',
  { input: z.object({ ids: z.array(z.string().transform(Number).pipe(z.number())) }) },
  ({ input }) => ({ many: size(input.ids) }),
);
const filling = pipeline(
  'filling',
  {
    input: z.object({
      docs: z.array(z.object({ text: z.string(), lang: z.string().default('en') })),
      more: z.object({ j: z.number(), k: z.number().default(4) }).optional(),
    }),
  },
  ({ input }) => ({ many: size(input.docs) }),
);
const SUB: readonly Case[] = [
  [
    'a text that its schema would convert',
    's.input.n',
    /is text where a number is needed.*convert it in a code\(\) stage/,
    () => define(({ input, run }) => ({ x: run('s', counting, { n: input.q }) })),
  ],
  [
    'a constant that its schema would convert',
    's.input.m',
    /expected number.*convert it in a code\(\) stage/,
    () => define(({ input, run }) => ({ x: run('s', counting, { n: input.n, m: '5' }) })),
  ],
  [
    'a list of texts that its schema would convert',
    's.input.ids[]',
    /is text where a number is needed.*convert it in a code\(\) stage/,
    () => define(({ input, run }) => ({ x: run('s', numbering, { ids: input.words }) })),
  ],
  [
    'a list whose items lack a field that has a default',
    's.input.docs[].lang',
    /no run fills defaults into a list/,
    () =>
      define(({ input, each, run }) => {
        const docs = each('e', input.words, (word: unknown) => ({ text: word }));
        return { x: run('s', filling, { docs }) };
      }),
  ],
  [
    'an optional object that lacks a field that has a default',
    's.input.more.k',
    /no run fills defaults into a list/,
    () =>
      define(({ input, when, run }) => {
        const more = when('w', eq(input.q, ''), () => ({ j: input.n }));
        return { x: run('s', filling, { docs: [], more }) };
      }),
  ],
  [
    'an input that the pipeline does not have',
    's.input.r',
    /not a field/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.q, r: 1 }) })),
  ],
  ['an input that is missing', 's.input.q', /missing/, () => define(({ run }) => ({ x: run('s', inner(), {}) }))],
  [
    'an input of another type',
    's.input.q',
    /a number where text/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.n }) })),
  ],
  [
    'an unknown way to run',
    's.as',
    /"inline" or "child"/,
    () => define(({ input, run }) => ({ x: run('s', inner(), { q: input.q }, { as: 'fork' }) })),
  ],
  [
    'a child that may outlive the run',
    's',
    /deadline/,
    () => define(({ input, run }) => ({ x: run('s', inner({ deadline: '2h' }), { q: input.q }, { as: 'child' }) })),
  ],
];

refuses('control flow', CONTROL);
refuses('pipelines as steps', SUB);

const SIGNED = { subject: 'Is it right?' };
const signs = (trace: Anything) => ({ ok: trace.stage('sign', approve({ timeout: '1h' }), SIGNED).approved });
const asks =
  (use: object, options: object = {}) =>
  (trace: Anything) => ({
    text: trace.stage('a', use, { prompt: trace.input.q }, options).text,
  });
const LLM = chat({ model: 'assistant' });
const booking = tool({
  ...{ name: 'book', description: 'Books', input: z.object({ seat: z.number() }), run: () => 1 },
  approval: { timeout: '1h' },
} as Anything);
const lasting = (trace: Anything): Pipeline =>
  pipeline('inner', { input: z.object({ q: z.string() }), deadline: '2h' }, trace) as unknown as Pipeline;
/** A pipeline of two hours, run as a step of one that has the default deadline of five minutes. */
const part = (trace: Anything, as: object = {}) =>
  define(({ run, input }) => ({ x: run('s', lasting(trace), { q: input.q }, as) }));

refuses('pipelines as steps of one with a shorter deadline', [
  ['a wait that would end after the run', 's/sign.timeout', /3600000 ms, longer than.*300000/, () => part(signs)],
  [
    'one in a pipeline in the pipeline',
    's/near/sign.timeout',
    /longer than the pipeline’s deadline/,
    () => part(({ run, input }: Anything) => ({ x: run('near', lasting(signs), { q: input.q }) })),
  ],
  [
    'an approval of a tool',
    's/a.tools.book.approval.timeout',
    /longer than the pipeline’s deadline/,
    () => part(asks(agent({ model: 'assistant', tools: [booking] } as Anything))),
  ],
  ['a reserve', 's/a.reserve', /reserve 3600000 ms together/, () => part(asks(LLM, { reserve: '1h' }))],
]);

it('a pipeline as a step is taken where its waits end within the run, and as a child run by its own deadline', () => {
  const fits = define(({ run, input }) => ({ x: run('s', lasting(signs), { q: input.q }) }), { deadline: '1h' });
  expect(fits.plan.stages).toHaveLength(1);
  expect(refusal(() => part(signs, { as: 'child' })).details.fields?.[0]?.field).toBe('s');
});

it('other times of a pipeline as a step are taken: what is left of the run limits them', () => {
  const options = { timeout: { total: '1h' }, degrade: [{ below: '1h', to: LLM }] };
  expect(part(asks(LLM, options)).plan.stages).toHaveLength(1);
  const far = ({ run, input }: Anything) => ({ x: run('far', lasting(asks(LLM)), { q: input.q }, { as: 'child' }) });
  expect(part(far).plan.stages).toHaveLength(1);
});
