import { z } from 'zod';
import { code, pipeline } from '../../pipelines/index.js';

const shape = z.object({ n: z.number() });
const empty = code('empty', { input: shape, output: shape }, (input) => input);
const spare = code('spare', { input: shape, output: shape }, (input) => input);

const fourEmpty = (name: string, execution: 'queued' | 'inline') =>
  pipeline(name, { input: shape }, ({ input, stage }) => {
    const first = stage('first', empty, { n: input.n }, { execution });
    const second = stage('second', empty, { n: first.n }, { execution });
    const third = stage('third', empty, { n: second.n }, { execution });
    return { n: stage('fourth', empty, { n: third.n }, { execution }).n };
  });

export const fourEmptyQueued = fourEmpty('four-empty-queued', 'queued');
/** One segment. */
export const fourEmptyInline = fourEmpty('four-empty-inline', 'inline');

/** Six stages with a retry policy, timeouts and a fallback each. */
export const sixGuarded = pipeline('six-guarded', { input: shape }, ({ input, stage }) => {
  const policy = { retry: { attempts: 4 }, timeout: { attempt: '30s', total: '2m' }, fallback: [spare] } as const;
  const ids = ['one', 'two', 'three', 'four', 'five', 'six'] as const;
  const [first, ...rest] = ids;
  let last = stage(first, empty, { n: input.n }, policy);
  for (const id of rest) last = stage(id, empty, { n: last.n }, policy);
  return { n: last.n };
});
