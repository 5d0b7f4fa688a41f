import { z } from 'zod';
import { canonicalJson, type Json, type JsonObject } from '../json.js';
import { MOST_FACTS } from '../plan/agent.js';
import { REASONING_EFFORTS } from '../stages/chat.js';
import { extraSchema } from '../stages/extra.js';
import { GENERATED, MOST_GENERATED } from '../stages/generate.js';
import type { StageUse } from '../stages/kind.js';
import type { MediaWork } from '../stages/media-work.js';
import {
  A_LANGUAGE,
  type Bounds,
  FITS,
  FRAMES,
  IMAGE_SIDE,
  LANGUAGE,
  LONGEST_PART,
  LONGEST_PART_MS,
  MARGIN,
  MOST_FRAME_PIXELS,
  MOST_RETRIEVED,
  TILE,
  VIDEO_SIDE,
} from '../stages/option-bounds.js';
import { isDefinedKind } from '../stages/traits.js';
import { invalid } from './invalid.js';

const NAME_OF_TOOL = /^[A-Za-z0-9_-]{1,64}$/;
const count = z.int('must be a whole number').min(1, 'must be 1 or more');
const within = ({ least, most }: Bounds) =>
  z.int('must be a whole number').min(least, `must be ${least} or more`).max(most, `must be ${most} or less`);
const tool = z.looseObject({ name: z.string().regex(NAME_OF_TOOL, 'must be a name of letters, digits, _ and -') });
/** A format is null where the schema was not made with `tensor()`. */
const described = z.looseObject({ dtype: z.string() }, 'must be described with tensor()');
const tensors = z.record(z.string(), described);
const inputTensors = z.record(
  z.string(),
  z.union([z.strictObject({ image: z.literal(true) }), described], 'must be described with tensor() or image()'),
);

/** An agent that needs more turns is a program, not a stage. */
const MOST_TURNS = 1_000;
/** A model that sees more tools at once chooses worse than one that searches. */
const MOST_SHOWN = 64;
/** No agent works in a shorter context, and no part of a result is worth reading below. */
const LEAST_CONTEXT = 512;
const LEAST_RESULT = 200;
const price = z.number('must be a number').min(0, 'must be 0 or more');
const budget = z.looseObject({
  tokens: count.optional(),
  ms: count.optional(),
  cost: z.number('must be a number').gt(0, 'must be above 0').optional(),
  price: z.strictObject({ input: price, output: price }).optional(),
});

const unique = (message: string) => (all: readonly unknown[]) => new Set(all).size === all.length || message;

const text = z.string().min(1, 'must not be empty');

const splitting = z.looseObject({
  longestMs: z.number(LONGEST_PART).min(LONGEST_PART_MS.least, LONGEST_PART).max(LONGEST_PART_MS.most, LONGEST_PART),
});

/** A size with one side or both. */
const sized = (bounds: Bounds) =>
  z
    .looseObject({
      width: within(bounds).optional(),
      height: within(bounds).optional(),
      fit: z.enum(FITS, `must be one of ${FITS.join(', ')}`).optional(),
    })
    .refine(({ width, height }) => width !== undefined || height !== undefined, {
      path: ['width'],
      message: 'or height must be given',
    });

/** Rules for options of `media`, by operation. */
const MEDIA: Readonly<Partial<Record<MediaWork, z.ZodType>>> = {
  frames: z.looseObject({
    everyMs: z
      .int('must be whole milliseconds')
      .min(FRAMES.everyMs.least, 'must be 1 ms or more')
      .max(FRAMES.everyMs.most, 'must be 24 hours or less')
      .optional(),
    most: within(FRAMES.most).optional(),
    width: within(FRAMES.width).optional(),
  }),
  resize: sized(IMAGE_SIDE),
  'resize-video': sized(VIDEO_SIDE).refine(({ width = 0, height = 0 }) => width * height <= MOST_FRAME_PIXELS, {
    path: ['width'],
    message: `times height must be ${MOST_FRAME_PIXELS} pixels or less`,
  }),
  crop: z.looseObject({ margin: within(MARGIN).optional() }),
  tile: z
    .looseObject({ size: within(TILE), overlap: within({ least: 0, most: TILE.most }).optional() })
    .refine(({ size, overlap = 0 }) => overlap < size, { path: ['overlap'], message: 'must be less than size' }),
  split: splitting,
};

/** Rules for options that types do not enforce: options reach the plan as written. */
const OPTIONS: Readonly<Record<string, z.ZodType>> = {
  chat: z.looseObject({
    maxTokens: count,
    temperature: z.number('must be a number').min(0, 'must be 0 or more').max(2, 'must be 2 or less'),
    topP: z.number('must be a number').gt(0, 'must be above 0').max(1, 'must be 1 or less').optional(),
    topK: count.optional(),
    minP: z.number('must be a number').min(0, 'must be 0 or more').max(1, 'must be 1 or less').optional(),
    logprobs: z.int('must be a whole number').min(0, 'must be 0 or more').max(20, 'must be 20 or less').optional(),
    reasoningEffort: z.enum(REASONING_EFFORTS, `must be one of ${REASONING_EFFORTS.join(', ')}`).optional(),
    thinkingTokens: z.int('must be a whole number').min(0, 'must be 0 or more').optional(),
    constrain: z
      .union(
        [
          z.strictObject({ choice: z.array(text).min(1) }),
          z.strictObject({ regex: text }),
          z.strictObject({ grammar: text }),
        ],
        'must be { choice: […] }, { regex: … } or { grammar: … }',
      )
      .optional(),
    onOverflow: z.enum(['fail', 'drop-oldest', 'summarize'], 'must be "fail", "drop-oldest" or "summarize"').optional(),
    extra: extraSchema.optional(),
    stop: z.array(text).optional(),
    tools: z.array(tool).min(1, 'is empty; leave it out').optional(),
  }),
  agent: z.looseObject({
    maxTokens: count,
    temperature: z.number('must be a number').min(0, 'must be 0 or more').max(2, 'must be 2 or less'),
    tools: z.array(tool),
    maxTurns: count.max(MOST_TURNS, `must be ${MOST_TURNS} or less`),
    onLimit: z.enum(['answer', 'fail'], 'must be "answer" or "fail"'),
    budget: budget.optional(),
    session: z.looseObject({ summarizeOver: count }).optional(),
    memory: z.looseObject({ facts: count.max(MOST_FACTS, `must be ${MOST_FACTS} or less`) }).optional(),
    context: z
      .looseObject({
        tokens: count.min(LEAST_CONTEXT, `must be ${LEAST_CONTEXT} or more`).optional(),
        resultCharacters: count.min(LEAST_RESULT, `must be ${LEAST_RESULT} or more`),
      })
      .optional(),
    toolSearch: z
      .looseObject({
        embedder: z.string().min(1, 'must name a pool'),
        shown: count.max(MOST_SHOWN, `must be ${MOST_SHOWN} or less`),
      })
      .optional(),
    wrongTurns: count,
  }),
  transcribe: z.looseObject({
    language: z.string().regex(LANGUAGE, A_LANGUAGE).optional(),
    segments: z.enum(['segments', 'words'], 'must be "segments" or "words"').optional(),
  }),
  embed: z.looseObject({ as: z.enum(['query', 'passage'], 'must be "query" or "passage"').optional() }),
  classify: z.looseObject({
    labels: z.array(z.string().min(1, 'must not be empty')).min(2, 'needs two labels or more'),
  }),
  detect: z.looseObject({
    labels: z.array(z.string().min(1, 'must not be empty')).min(1, 'is empty; leave it out').optional(),
    threshold: z.number('must be a number').optional(),
  }),
  generate: z.looseObject({
    makes: z.enum(GENERATED, `must be one of ${GENERATED.join(', ')}`),
    count: count.max(MOST_GENERATED, `must be ${MOST_GENERATED} or less`).optional(),
    options: z.record(z.string(), z.json(), 'must be an object').optional(),
  }),
  split: splitting,
  infer: z.looseObject({ inputs: inputTensors, outputs: tensors }),
  rerank: z.looseObject({ top: count.optional() }),
  retrieve: z.looseObject({
    k: count.max(MOST_RETRIEVED, `must be ${MOST_RETRIEVED} or less`),
    minScore: z.number().min(-1, 'must be -1 or more').max(1, 'must be 1 or less').optional(),
    embedder: z.string().min(1, 'must name a pool'),
  }),
  upsert: z.looseObject({ embedder: z.string().min(1, 'must name a pool') }),
  http: z.looseObject({ path: z.string().startsWith('/', 'must begin with "/": it is below the pool’s base URL') }),
};

/** Lists whose entries must be unique, by kind. */
const DISTINCT: Readonly<Record<string, (options: JsonObject) => readonly [string, readonly unknown[]]>> = {
  classify: ({ labels }) => ['labels', labels as readonly string[]],
  chat: (options) => ['tools', namesOf(options)],
  agent: (options) => ['tools', namesOf(options)],
};

const namesOf = ({ tools }: JsonObject): readonly string[] =>
  ((tools ?? []) as unknown as readonly { name: string }[]).map(({ name }) => name);

/** Options whose names differ from those in the plan, which says their unit. */
const AUTHORED: Readonly<Record<string, string>> = { everyMs: 'every', longestMs: 'longest' };

const rulesOf = (kind: string, options: JsonObject | undefined): z.ZodType | undefined =>
  kind === 'media' ? MEDIA[options?.work as MediaWork] : OPTIONS[kind];

/** Checks the options of a stage kind. Throws `INVALID_PIPELINE` naming the stage and the option. */
export function checkUse(id: string, { kind, model, with: options }: StageUse<never, never>): void {
  if (typeof model !== 'string' || model.trim() === '')
    throw invalid(`${id}.model`, 'must name the pool or function that serves the stage');
  if (isDefinedKind(kind)) return;
  const [issue] = rulesOf(kind, options)?.safeParse(options).error?.issues ?? [];
  if (issue) throw invalid([id, ...issue.path.map((part) => AUTHORED[String(part)] ?? part)].join('.'), issue.message);
  const [name, all] = DISTINCT[kind]?.(options) ?? ['', []];
  const twice = unique('has the same name twice')(all);
  if (typeof twice === 'string') throw invalid(`${id}.${name}`, twice);
}

/** Options that a stage's alternatives must share with it, by kind: readers of the output depend on them. */
const SHARED: Readonly<Record<string, readonly string[]>> = {
  chat: ['schema', 'logprobs'],
  agent: ['schema'],
  classify: ['labels'],
  infer: ['inputs', 'outputs'],
  generate: ['makes'],
  activity: ['output'],
  workflow: ['output'],
};

/** The option by which an alternative would change the stage's output; undefined when it is compatible. */
export const notShared = (kind: string, own: JsonObject, other: JsonObject): string | undefined =>
  (SHARED[kind] ?? []).find((option) => option in own && setOf(own[option]) !== setOf(other[option]));

/** The order of labels differs between models; only the set is compared. */
const setOf = (value: Json | undefined): string | undefined =>
  value === undefined ? undefined : canonicalJson(Array.isArray(value) ? [...value].sort() : value);
