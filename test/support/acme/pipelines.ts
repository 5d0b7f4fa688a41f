import { z } from 'zod';
import { pipeline } from '../../../pipelines/index.js';
import { keywords } from './keywords.js';

const input = z.object({ text: z.string() });

export const tagged = pipeline('tagged', { input }, ({ input, stage }) => {
  const found = stage('find', keywords({ model: 'words', most: 2 }), { text: input.text });
  return { keywords: found.keywords };
});

export const taggedInline = pipeline('tagged-inline', { input }, ({ input, stage }) => {
  const found = stage('find', keywords({ model: 'words', most: 2 }), { text: input.text }, { execution: 'inline' });
  return { keywords: found.keywords };
});
