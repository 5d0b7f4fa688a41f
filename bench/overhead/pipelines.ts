import { z } from 'zod';
import { code, pipeline } from '../../pipelines/index.js';

const shape = z.object({ n: z.number() });
const empty = code('empty', { input: shape, output: shape }, (input) => input);

const fourEmpty = (name: string, execution: 'queued' | 'inline') =>
  pipeline(name, { input: shape }, ({ input, stage }) => {
    const first = stage('first', empty, { n: input.n }, { execution });
    const second = stage('second', empty, { n: first.n }, { execution });
    const third = stage('third', empty, { n: second.n }, { execution });
    return { n: stage('fourth', empty, { n: third.n }, { execution }).n };
  });

export const fourEmptyQueued = fourEmpty('four-empty-queued', 'queued');
export const fourEmptyInline = fourEmpty('four-empty-inline', 'inline');
