import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { audio, chat, code, MillraceError, type Pipeline, pipeline } from '../../../../pipelines/index.js';

/**
 * One definition for each mistake that an author can make. JavaScript authors and casts make mistakes that the compiler
 * refuses to others, so most of these are written without types. Each must be refused before anything runs, by the name of
 * the stage, with a message that says what to change.
 */

/** The traced function's argument, and whatever an author does with it, without types. */
// biome-ignore lint/suspicious/noExplicitAny: what the compiler would refuse is what is tested
export type Anything = any;
export type Body = (trace: Anything) => unknown;

export const INPUT = z.object({
  q: z.string(),
  n: z.number(),
  speech: audio(),
  words: z.array(z.string()),
  hint: z.string().optional(),
  'a.b': z.string(),
});
export const define = (body: Body, options: object = {}) =>
  pipeline('p', { input: INPUT, ...options } as Anything, body as Anything) as unknown as Pipeline;
export const one = (use: Anything, input: unknown, options?: Anything) =>
  define(({ stage }) => ({ out: stage('a', use, input, options) }));

export const upper = code(
  'upper',
  { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) },
  (i) => i,
);
export const ask = chat({ model: 'assistant' });
export const TEXT = { text: 'x' };
export const PROMPT = { prompt: 'x' };
export const chatWith = (options: object) => one(chat({ model: 'assistant', ...options } as Anything), PROMPT);
export const policy = (options: object) => one(ask, PROMPT, options);

export type Case = readonly [mistake: string, field: string, text: RegExp, define: () => Pipeline];

/** What a definition is refused with. */
export function refusal(act: () => unknown): MillraceError {
  try {
    act();
  } catch (error) {
    expect(error).toBeInstanceOf(MillraceError);
    return error as MillraceError;
  }
  throw new Error('it was accepted');
}

/** A test for each: refused while it is defined, by the name of its stage. */
export function refuses(what: string, cases: readonly Case[]): void {
  describe(`a definition with mistakes in ${what}`, () => {
    it.each(cases)('%s', (_, field, text, definition) => {
      const { code, message, details } = refusal(definition);
      expect(code).toBe('INVALID_PIPELINE');
      expect(details.fields?.[0]?.field).toBe(field);
      expect(message).toMatch(text);
      expect(details.pipeline).toMatch(/^(p|Voice|other)$/);
    });
  });
}
