import { z } from 'zod';
import { bare, mediaOf } from '../media.js';
import { type CallsToDo, callsIn } from '../stages/tool-calls.js';
import { invalid } from './invalid.js';
import { isOpenAiParameter, OPENAI_SURFACES, type OpenAiSurface } from './openai-parameters.js';

/**
 * How a pipeline is exposed to OpenAI clients, by endpoint. Without this option the names and types of its fields
 * decide; `false` does not expose it.
 */
export type OpenAiOption = false | { readonly [Kind in OpenAiSurface]?: FaceOption };

/** Fields to use where their names do not follow the convention, and request parameters to ignore. */
export interface FaceOption {
  /** Input field that receives the request's text or audio. */
  readonly input?: string;
  /** Output field that holds the answer. */
  readonly output?: string;
  /**
   * Request parameters that are dropped silently instead of refused: `temperature`, `voice`, …; for `chat` also
   * `system` (system messages) and `history` (all turns but the last).
   */
  readonly ignore?: readonly string[];
}

/** How requests of one surface map to the fields of a pipeline. */
export interface ModelFace {
  readonly input: string;
  /** The input is a list: of messages for `chat`, of texts for `embeddings`. */
  readonly list: boolean;
  /** The input field may be omitted. */
  readonly optional: boolean;
  readonly output: string;
  readonly ignore: ReadonlySet<string>;
  /** `chat` only: output fields with calls for the caller to execute, and with executed calls, found by schema. */
  readonly calls: readonly string[];
  readonly executed: readonly string[];
}
export type ModelFaces = Readonly<Partial<Record<OpenAiSurface, ModelFace>>>;

type Fields = Readonly<Record<string, z.ZodType>>;
type Test = (schema: z.ZodType) => boolean;

const isText: Test = (schema) => bare(schema) instanceof z.ZodString;
const isAudio: Test = (schema) => mediaOf(schema) === 'audio';
const isListOf =
  (test: Test): Test =>
  (schema) => {
    const inner = bare(schema);
    return inner instanceof z.ZodArray && test(inner.element as z.ZodType);
  };
const isMessage: Test = (schema) => {
  const inner = bare(schema);
  return inner instanceof z.ZodObject && ['role', 'content'].every((key) => Object.hasOwn(inner.shape, key));
};
const isVector: Test = isListOf((schema) => bare(schema) instanceof z.ZodNumber);

interface Convention {
  /** In order of precedence, with the type required of each. */
  readonly input: Readonly<Record<string, Test>>;
  readonly output: Readonly<Record<string, Test>>;
}

const named = (names: readonly string[], test: Test) => Object.fromEntries(names.map((name) => [name, test]));

const CONVENTIONS: Readonly<Record<OpenAiSurface, Convention>> = {
  chat: {
    input: { messages: isListOf(isMessage), ...named(['prompt', 'question', 'message', 'text'], isText) },
    output: named(['text', 'reply', 'answer'], isText),
  },
  embeddings: {
    input: { texts: isListOf(isText), text: isText },
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
};

/**
 * The surfaces of a pipeline, from its fields or the author's option. Throws `INVALID_PIPELINE` where the option
 * does not match the fields.
 */
export function modelFaces(input: z.ZodObject, output: z.ZodType, option: OpenAiOption | undefined): ModelFaces {
  if (option === false) return {};
  const shapes = { input: input.shape as Fields, output: (bare(output) as z.ZodObject).shape as Fields };
  if (option === undefined) {
    const found = OPENAI_SURFACES.map((kind) => [kind, conventional(kind, shapes)] as const);
    return Object.fromEntries(found.filter(([, face]) => face !== undefined));
  }
  if (typeof option !== 'object' || option === null) throw invalid('openai', 'must be false or an object');
  const unknown = Object.keys(option).find((kind) => !(OPENAI_SURFACES as readonly string[]).includes(kind));
  if (unknown !== undefined)
    throw invalid(`openai.${unknown}`, `is not a surface; the surfaces are ${OPENAI_SURFACES.join(', ')}`);
  const said = Object.entries(option) as [OpenAiSurface, FaceOption][];
  return Object.fromEntries(said.map(([kind, face]) => [kind, declared(kind, shapes, face)]));
}

interface Shapes {
  readonly input: Fields;
  readonly output: Fields;
}

function conventional(kind: OpenAiSurface, shapes: Shapes): ModelFace | undefined {
  const [input, output] = [find(kind, 'input', shapes), find(kind, 'output', shapes)];
  if (input === undefined || output === undefined || needsMore(kind, shapes, input) !== undefined) return undefined;
  // A pipeline that answers text with both text and audio is a conversation, not speech synthesis.
  if (kind === 'speech' && find('chat', 'output', shapes) !== undefined) return undefined;
  return face(kind, shapes, input, output, []);
}

function declared(kind: OpenAiSurface, shapes: Shapes, option: FaceOption): ModelFace {
  const where = `openai.${kind}`;
  const unknown = Object.keys(option).find((key) => !['input', 'output', 'ignore'].includes(key));
  if (unknown !== undefined)
    throw invalid(`${where}.${unknown}`, 'is not an option; the options are input, output, ignore');
  const field = (side: 'input' | 'output'): string => {
    const name = option[side] ?? find(kind, side, shapes);
    const known = Object.keys(CONVENTIONS[kind][side]).join(', ');
    if (name === undefined) throw invalid(`${where}.${side}`, `must name the field: none is called ${known}`);
    const schema = Object.hasOwn(shapes[side], name) ? shapes[side][name] : undefined;
    if (schema === undefined) throw invalid(`${where}.${side}`, `the pipeline’s ${side} has no field "${name}"`);
    if (!Object.values(CONVENTIONS[kind][side]).some((test) => test(schema)))
      throw invalid(`${where}.${side}`, `"${name}" has a different type than ${known} have by convention`);
    return name;
  };
  const [input, output] = [field('input'), field('output')];
  const missing = needsMore(kind, shapes, input);
  if (missing !== undefined)
    throw invalid(
      where,
      `requests do not supply the input’s field "${missing}"; give it a default or make it optional`,
    );
  const ignore = option.ignore ?? [];
  const stray = ignore.find((name) => !isOpenAiParameter(kind, name));
  if (stray !== undefined) throw invalid(`${where}.ignore`, `"${stray}" is not a request parameter`);
  return face(kind, shapes, input, output, ignore);
}

function face(
  kind: OpenAiSurface,
  shapes: Shapes,
  input: string,
  output: string,
  ignore: readonly string[],
): ModelFace {
  const schema = shapes.input[input] as z.ZodType;
  const list = bare(schema) instanceof z.ZodArray;
  const fieldsWith = (todo: CallsToDo) =>
    Object.entries(kind === 'chat' ? shapes.output : {})
      .filter(([, field]) => callsIn(field) === todo)
      .map(([name]) => name);
  return {
    input,
    list,
    optional: schema.isOptional(),
    output,
    ignore: new Set(ignore),
    calls: fieldsWith('execute'),
    executed: fieldsWith('none'),
  };
}

function find(kind: OpenAiSurface, side: 'input' | 'output', shapes: Shapes): string | undefined {
  const fields = shapes[side];
  return Object.entries(CONVENTIONS[kind][side]).find(
    ([name, test]) => Object.hasOwn(fields, name) && test(fields[name] as z.ZodType),
  )?.[0];
}

/** A required field that not every request of the surface supplies. Every speech request supplies a voice. */
const needsMore = (kind: OpenAiSurface, { input }: Shapes, taken: string): string | undefined =>
  Object.entries(input).find(
    ([name, schema]) => name !== taken && !schema.isOptional() && !(kind === 'speech' && name === 'voice'),
  )?.[0];
