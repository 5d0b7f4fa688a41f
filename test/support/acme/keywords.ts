import { z } from 'zod';
import { defineKind } from '../../../pipelines/index.js';

/** The words that matter in a text. */
export const keywords = defineKind({
  name: 'acme/keywords',
  input: z.object({ text: z.string() }),
  output: z.object({ keywords: z.array(z.object({ word: z.string(), score: z.number() })) }),
  effects: 'none',
  options: z.object({ most: z.int().min(1).max(100).default(5) }),
  policy: { timeout: { attempt: '10s' } },
  example: (serial) => ({ text: `text ${serial} about boats and grain` }),
});
