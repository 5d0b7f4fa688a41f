/** A mistake in a module of pipelines, and the message that its author gets, by what finds it. */
export interface Mistake {
  readonly mistake: string;
  /** Lines of a definition's body, from line 3 of the module on. */
  readonly body?: string;
  /** A module instead, from line 2 on. */
  readonly module?: string;
  /** Part of the compiler's message. */
  readonly types?: string;
  /** The error when the module is loaded. */
  readonly definition?: string;
  /** A line of `millrace validate`. */
  readonly validate?: string;
}

/** What every module of the table imports and defines, on one line. */
export const prelude = (millrace: string, zod: string): string =>
  [
    `import * as m from '${millrace}'`,
    `import { agent, approve, chat, code, embed, eq, pipeline, semantic, text, transcribe } from '${millrace}'`,
    `import { z } from '${zod}'`,
    'const inText = { input: z.object({ text: z.string() }), output: z.object({ text: z.string() }) }',
    "const shout = code('shout', inText, ({ text }) => ({ text: text.toUpperCase() }))",
    "const ask = chat({ model: 'assistant' })",
    'const INPUT = { text: z.string(), count: z.number(), flag: z.boolean(), words: z.array(z.string()), hint: z.string().optional() }',
    'void [m, agent, approve, embed, eq, semantic, text, transcribe, shout, ask]',
  ].join('; ');

export const sourceOf = ({ body, module = '' }: Mistake): string =>
  body === undefined
    ? module
    : `export const p = pipeline('p', { input: z.object(INPUT) }, ({ input, stage, when, each, repeat, race, run }) => {
${body}
});`;
