import { z } from 'zod';
import { bare, mediaOf } from '../media.js';
import type { OpenAiSurface } from './openai-parameters.js';

/** The names and types of fields by which a pipeline is a model of OpenAI's. */

export type Fields = Readonly<Record<string, z.ZodType>>;
type Test = (schema: z.ZodType) => boolean;

/** Whichever branch of a `when`, or contender of a `race`, the value comes from. */
const inEach =
  (test: Test): Test =>
  (schema) => {
    const inner = bare(schema);
    return inner instanceof z.ZodUnion ? (inner.options as z.ZodType[]).every(inEach(test)) : test(inner);
  };
export const isText: Test = inEach((schema) => schema instanceof z.ZodString);
const isAudio: Test = inEach((schema) => mediaOf(schema) === 'audio');
const isImage: Test = inEach((schema) => mediaOf(schema) === 'image');
const isListOf = (test: Test): Test =>
  inEach((schema) => schema instanceof z.ZodArray && test(schema.element as z.ZodType));
const isMessage: Test = inEach(
  (schema) => schema instanceof z.ZodObject && ['role', 'content'].every((key) => Object.hasOwn(schema.shape, key)),
);
const isVector: Test = isListOf((schema) => bare(schema) instanceof z.ZodNumber);

interface Convention {
  /** In order of precedence, with the type required of each. */
  readonly input: Readonly<Record<string, Test>>;
  readonly output: Readonly<Record<string, Test>>;
}

const named = (names: readonly string[], test: Test) => Object.fromEntries(names.map((name) => [name, test]));

export const CONVENTIONS: Readonly<Record<OpenAiSurface, Convention>> = {
  chat: {
    input: { messages: isListOf(isMessage), ...named(['prompt', 'question', 'message', 'text'], isText) },
    output: named(['text', 'reply', 'answer'], isText),
  },
  embeddings: {
    input: { texts: isListOf(isText), text: isText, tokens: isListOf(isVector) },
    output: { embeddings: isListOf(isVector), embedding: isVector },
  },
  transcription: {
    input: named(['audio', 'speech', 'file'], isAudio),
    output: named(['text', 'transcript'], isText),
  },
  speech: {
    input: named(['text', 'input'], isText),
    output: named(['audio', 'speech'], isAudio),
  },
  images: {
    input: named(['prompt', 'text'], isText),
    output: { images: isListOf(isImage), image: isImage },
  },
};

export interface Shapes {
  readonly input: Fields;
  readonly output: Fields;
}

export function find(kind: OpenAiSurface, side: 'input' | 'output', shapes: Shapes): string | undefined {
  const fields = shapes[side];
  return Object.entries(CONVENTIONS[kind][side]).find(
    ([name, test]) => Object.hasOwn(fields, name) && test(fields[name] as z.ZodType),
  )?.[0];
}

/** A required field that not every request of the surface supplies. Every speech request supplies a voice. */
export const needsMore = (kind: OpenAiSurface, { input }: Shapes, taken: string): string | undefined =>
  Object.entries(input).find(
    ([name, schema]) => name !== taken && !schema.isOptional() && !(kind === 'speech' && name === 'voice'),
  )?.[0];
