import { z } from 'zod';
import { activity, workflow } from '../../../../pipelines/index.js';
import { type Anything, type Case, define, refuses } from './refusal.js';

const N = z.object({ n: z.number() });
const OK = { queue: 'python', type: 'denoise', input: N, output: N };
const used = (kind: 'activity' | 'workflow', options: object, policy?: Anything) =>
  define(({ stage }) => ({
    out: stage('a', (kind === 'activity' ? activity : workflow)({ ...OK, ...options } as Anything), { n: 1 }, policy),
  }));
const takes = (input: Anything) => used('activity', { input });
const gives = (output: Anything) => used('activity', { output });
const under = (policy: object) => used('activity', {}, policy);

const OPTIONS: readonly Case[] = [
  ['no queue', 'denoise.queue', /must be a name/, () => used('activity', { queue: undefined })],
  ['an empty type', 'activity.type', /must be a name/, () => used('activity', { type: '' })],
  ['a misspelt option', 'denoise.heartbeats', /options are .*heartbeat/, () => used('activity', { heartbeats: '5s' })],
  ['a heartbeat of a workflow', 'denoise.heartbeat', /not an option/, () => used('workflow', { heartbeat: '5s' })],
  ['a heartbeat that is no duration', 'denoise.heartbeat', /not a/, () => used('activity', { heartbeat: 'often' })],
  ['an unknown protocol', 'denoise.protocol', /plain/, () => used('activity', { protocol: 'grpc' })],
  [
    'arguments beside a protocol that has its own',
    'denoise.args',
    /millrace/,
    () => used('activity', { protocol: 'millrace', args: ['n'] }),
  ],
  ['an argument that is no field', 'denoise.args', /"m".*: n/, () => used('activity', { args: ['m'] })],
  ['a field that is no argument', 'denoise.args', /leaves out the field "n"/, () => used('workflow', { args: [] })],
];
refuses('what another worker serves', OPTIONS);

const SCHEMAS: readonly Case[] = [
  ['no schema', 'denoise.input', /zod schema/, () => takes({})],
  ['an input that is no object', 'denoise.input', /args/, () => takes(z.string())],
  ['a date', 'denoise.output.at', /Date/, () => gives(z.object({ at: z.date() }))],
  ['a transform', 'denoise.output.n', /Transform/, () => gives(z.object({ n: z.string().transform(Number) }))],
  ['a refinement', 'denoise.input.n', /refinement/, () => takes(z.object({ n: z.number().refine((n) => n > 1) }))],
  ['a refinement in a list', 'denoise.output', /refinement/, () => gives(z.array(z.string().refine(Boolean)))],
  ['a text that is trimmed', 'denoise.output.s', /trim/, () => gives(z.object({ s: z.string().trim() }))],
  ['a function of its own', 'denoise.output.s', /Custom/, () => gives(z.object({ s: z.custom() }))],
  ['a map', 'denoise.output', /Map/, () => gives(z.map(z.string(), z.number()))],
];
refuses('the schemas of what another worker serves', SCHEMAS);

const POLICIES: readonly Case[] = [
  ['inline', 'a.execution', /another worker/, () => under({ execution: 'inline' })],
  ['a hedge', 'a.hedge', /pool/, () => under({ hedge: { after: '1s' } })],
  ['a queue time', 'a.timeout.queue', /pool/, () => under({ timeout: { queue: '1s' } })],
  ['a first chunk', 'a.timeout.firstChunk', /pool/, () => under({ timeout: { firstChunk: '1s' } })],
  ['a cache', 'a.cache', /effects/, () => under({ cache: {} })],
  ['codes that are retried', 'a.retry.on', /non-retryable/, () => under({ retry: { on: ['BACKEND_ERROR'] } })],
  ['jitter', 'a.retry.backoff.jitter', /random/, () => under({ retry: { backoff: { jitter: 0.5 } } })],
  ['patience without an alternative', 'a.patience', /no effect/, () => under({ patience: '1s' })],
  [
    'patience with a workflow',
    'a.patience',
    /workflow/,
    () => used('workflow', {}, { patience: '1s', optional: true }),
  ],
  [
    'a fallback with another output',
    'a.fallback',
    /output/,
    () => under({ fallback: [activity({ ...OK, output: z.object({ m: z.number() }) })] }),
  ],
  ['a fallback of another kind', 'a.fallback', /workflow stage/, () => under({ fallback: [workflow(OK)] })],
];
refuses('policies of what another worker serves', POLICIES);
