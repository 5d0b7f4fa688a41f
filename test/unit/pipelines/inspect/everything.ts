import { z } from 'zod';
import { chat, code, either, eq, gte, type Pipeline, pipeline, semantic, text } from '../../../../pipelines/index.js';

const one = z.object({ n: z.number() });
const add = code('add', { input: one, output: one }, ({ n }) => ({ n: n + 1 }));
const inner = pipeline('inner', { input: one, deadline: '1m' }, ({ input, stage }) => ({
  n: stage('add', add, { n: input.n }, { execution: 'inline' }).n,
}));

/** One of everything that can be drawn and explained. */
export const everything = pipeline(
  'everything',
  { input: z.object({ n: z.number(), q: z.string(), list: z.array(z.number()) }), deadline: '10m' },
  ({ input, stage, when, each, repeat, race, run }) => {
    const first = stage('first', add, { n: input.n }, { execution: 'inline' });
    const second = stage('second', add, { n: first.n }, { execution: 'inline' });
    const answer = stage(
      'answer',
      chat({ model: 'assistant' }),
      { prompt: text`${input.q} "${second.n}" #1 <b>` },
      {
        cache: semantic({ key: input.q, ttl: '1h' }),
        retry: { attempts: 2, backoff: { initial: '20s' } },
        timeout: { attempt: '6m' },
        hedge: { percentile: 95 },
        fallback: [chat({ model: 'small' })],
        degrade: [
          { below: '20s', to: chat({ model: 'assistant', maxTokens: 16 }) },
          { below: '5s', to: 'cached' },
        ],
        reserve: '30s',
      },
    );
    const branch = when(
      'branch',
      eq(answer.finish, 'stop'),
      () => stage('third', add, { n: second.n }).n,
      () => input.n,
    );
    const all = each('all', input.list, (n) => stage('fourth', add, { n }).n, { concurrency: 2 });
    const end = repeat('again', { n: branch }, (state) => ({ n: stage('fifth', add, { n: state.n }).n }), {
      until: (state) => gte(state.n, 9),
      atMost: 5,
    });
    const fast = race('fast', {
      left: () => stage('sixth', add, { n: end.n }).n,
      right: () => stage('seventh', add, { n: end.n }).n,
    });
    const child = run('child', inner, { n: fast.value }, { as: 'child' });
    const here = run('here', inner, { n: child.n });
    return { all, n: either(here.n, 0), text: answer.text };
  },
) as unknown as Pipeline;
