import { z } from 'zod';
import { approve, code, pipeline } from '../../pipelines/index.js';

const shape = z.object({ n: z.number() });
const empty = code('empty', { input: shape, output: shape }, (input) => input);
const begin = code('begin', { input: shape, output: shape.extend({ subject: z.string() }) }, ({ n }) => ({
  n,
  subject: `Go on with ${n}?`,
}));
const decided = z.object({ n: z.number(), go: z.boolean() });
const goOn = code('goOn', { input: decided, output: shape }, ({ n }) => ({ n }));

/** One inline stage that does nothing. */
export const emptyPipeline = pipeline('empty', { input: shape }, ({ input, stage }) => ({
  n: stage('only', empty, { n: input.n }, { execution: 'inline' }).n,
}));

/** The same before and after a decision, so that a run lasts as long as the bench needs. */
export const heldPipeline = pipeline('held', { input: shape, deadline: '10m' }, ({ input, stage }) => {
  const first = stage('first', begin, { n: input.n }, { execution: 'inline' });
  const wait = stage('wait', approve({ timeout: '5m', otherwise: false }), { subject: first.subject });
  return { n: stage('last', goOn, { n: first.n, go: wait.approved }, { execution: 'inline' }).n };
});

/** The events that each follower of a run must get, in this order, each once. */
export const EVENTS_OF: Readonly<Record<'empty' | 'held', readonly string[]>> = {
  empty: ['stage.started only', 'stage.finished only', 'run'],
  held: [
    'stage.started first',
    'stage.finished first',
    'stage.waiting wait',
    'stage.decided wait',
    'stage.started last',
    'stage.finished last',
    'run',
  ],
};
