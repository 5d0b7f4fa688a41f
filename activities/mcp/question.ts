import { z } from 'zod';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { type Elicited, type Question, visibleText } from '../../pipelines/run/index.js';

/** Asks a person while a call is open. */
export type Ask = (question: Question) => Promise<Elicited>;

/** Questions that are asked together. */
const MOST_QUESTIONS = 8;
/** Fields of a form. */
const MOST_FIELDS = 32;
/** Choices of a field. */
const MOST_CHOICES = 200;
/** Longest message, in UTF-16 units: a person reads it. */
const LONGEST_MESSAGE = 4_000;
/** Longest address that a person is sent to, in UTF-16 units. */
const LONGEST_URL = 2_000;
/** Longest JSON of a form’s schema, in UTF-16 units: the run's history and every list of waits have it. */
const LONGEST_SCHEMA = 16_000;

const name = z
  .string()
  .min(1)
  .max(128)
  .regex(/^(?!__proto__$)/);
const word = z.string().max(500);
/** Shown to a person as it is: characters that change how it looks are shown by their numbers. */
const shown = (most: number) => z.string().max(most).transform(visibleText);
const named = { title: shown(200).optional(), description: shown(2_000).optional() };
const size = z.number().min(0);
const plain = z.array(word).min(1).max(MOST_CHOICES);
const titled = z
  .array(z.object({ const: word, title: shown(500) }))
  .min(1)
  .max(MOST_CHOICES);
const list = {
  minItems: size.optional(),
  maxItems: size.optional(),
  default: z.array(word).max(MOST_CHOICES).optional(),
};

/** The fields that the protocol has. Other keywords are left out: the server checks its answers itself. */
const field = z.union([
  z.object({
    type: z.literal('array'),
    ...named,
    ...list,
    items: z.object({ type: z.literal('string'), enum: plain }),
  }),
  z.object({ type: z.literal('array'), ...named, ...list, items: z.object({ anyOf: titled }) }),
  z.object({
    type: z.literal('string'),
    ...named,
    enum: plain,
    enumNames: z.array(shown(500)).max(MOST_CHOICES).optional(),
    default: word.optional(),
  }),
  z.object({ type: z.literal('string'), ...named, oneOf: titled, default: word.optional() }),
  z.object({
    type: z.literal('string'),
    ...named,
    minLength: size.optional(),
    maxLength: size.optional(),
    format: z.enum(['email', 'uri', 'date', 'date-time']).optional(),
    default: z.string().max(2_000).optional(),
    // A choice that is none of those above is no text.
    enum: z.never().optional(),
    oneOf: z.never().optional(),
  }),
  z.object({
    type: z.enum(['number', 'integer']),
    ...named,
    minimum: z.number().optional(),
    maximum: z.number().optional(),
    default: z.number().optional(),
  }),
  z.object({ type: z.literal('boolean'), ...named, default: z.boolean().optional() }),
]);

const form = z.object({
  mode: z.literal('form').optional(),
  message: z.string().max(LONGEST_MESSAGE),
  requestedSchema: z
    .object({
      type: z.literal('object'),
      properties: z.record(name, field).refine((all) => Object.keys(all).length <= MOST_FIELDS, {
        message: `has more than ${MOST_FIELDS} fields`,
      }),
      required: z.array(name).max(MOST_FIELDS).optional(),
    })
    .refine(({ properties, required = [] }) => required.every((each) => Object.hasOwn(properties, each)), {
      message: 'requires a field that it does not have',
    })
    .refine((schema) => JSON.stringify(schema).length <= LONGEST_SCHEMA, {
      message: `has more than ${LONGEST_SCHEMA} characters`,
    }),
});

const link = z.object({
  mode: z.literal('url'),
  message: z.string().max(LONGEST_MESSAGE),
  url: z.url({ protocol: /^https?$/ }).max(LONGEST_URL),
});

/** The question in the parameters of an `elicitation/create`. Throws `TOOL_FAILED` for one that a person cannot be asked. */
export function questionIn(params: unknown): Question {
  const isLink = isJsonObject(params) && params.mode === 'url';
  const read = (isLink ? link : form).safeParse(params);
  if (!read.success) {
    const [issue] = read.error.issues;
    const where = issue?.path.join('.') || 'params';
    throw unaskable(`${where}: ${issue?.message ?? 'is not of the protocol'}`);
  }
  const { message } = read.data;
  if ('url' in read.data) return { message, url: read.data.url };
  // Without keys that are undefined.
  return { message, schema: JSON.parse(JSON.stringify(read.data.requestedSchema)) as JsonObject };
}

const requests = z.record(
  z.string().min(1).max(200),
  z.looseObject({ method: z.string(), params: z.looseObject({}).optional() }),
);

/** The questions of a result that needs input, by the server’s keys. Throws `TOOL_FAILED` for what a person cannot be asked. */
export function questionsIn(given: unknown): Readonly<Record<string, Question>> {
  const read = requests.safeParse(given ?? {});
  if (!read.success) throw unaskable('its requests are not of the protocol');
  const all = Object.entries(read.data);
  if (all.length > MOST_QUESTIONS) throw unaskable(`${all.length} questions at once, more than ${MOST_QUESTIONS}`);
  const other = all.find(([, { method }]) => method !== 'elicitation/create');
  if (other) throw unaskable(`${other[1].method} is not offered`);
  return Object.fromEntries(all.map(([key, { params }]) => [key, questionIn(params as Json)]));
}

const unaskable = (why: string): MillraceError =>
  new MillraceError('TOOL_FAILED', `the tool asks what a person cannot be asked: ${why}`);
