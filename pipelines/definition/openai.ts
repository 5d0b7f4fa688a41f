import { z } from 'zod';
import { bare } from '../media.js';
import { type CallsToDo, callsIn } from '../stages/tool-calls.js';
import { invalid, unknownOption } from './invalid.js';
import { CONVENTIONS, type Fields, find, isText, needsMore, type Shapes } from './openai-conventions.js';
import { isOpenAiParameter, OPENAI_SURFACES, type OpenAiSurface } from './openai-parameters.js';

/**
 * How a pipeline is exposed to OpenAI clients, by endpoint. Default: by the names and types of its fields. `false`: it
 * is not exposed.
 */
export type OpenAiOption = false | { readonly [Kind in OpenAiSurface]?: FaceOption };

/** Fields to use where their names do not follow the convention, and request parameters to ignore. */
export interface FaceOption {
  /** Input field that receives the request's text, prompt or audio. */
  readonly input?: string;
  /** Output field that holds the answer. */
  readonly output?: string;
  /** `chat` only: input field that receives the text of the system messages, joined by blank lines. */
  readonly system?: string;
  /**
   * Request parameters that are dropped silently instead of refused: `temperature`, `voice`, …; for `chat` also
   * `system` (system messages), `history` (all turns but the last) and `name` (names of speakers).
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
  /** `chat` only: the input field for the text of system messages. */
  readonly system?: string;
  /** The voices that a speech pipeline accepts; with one or none any name is accepted. Absent: any text. */
  readonly voices?: readonly string[];
  /** `chat` only: output fields with calls for the caller to execute, and with executed calls, found by schema. */
  readonly calls: readonly string[];
  readonly executed: readonly string[];
}
export type ModelFaces = Readonly<Partial<Record<OpenAiSurface, ModelFace>>>;

/**
 * The surfaces of a pipeline, from its fields or the author's option. Throws `INVALID_PIPELINE` where the option
 * does not match the fields.
 */
export function modelFaces(input: z.ZodObject, output: z.ZodType, option: OpenAiOption | undefined): ModelFaces {
  if (option === false) return {};
  const shapes = shapesOf(input, output);
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

const shapesOf = (input: z.ZodObject, output: z.ZodType): Shapes => ({
  input: input.shape as Fields,
  output: (bare(output) as z.ZodObject).shape as Fields,
});

/** The field of a chat model's output with its answer as audio; undefined if it has none. */
export const spokenField = ({ output }: { readonly output: z.ZodType }): string | undefined => {
  const inner = bare(output);
  return inner instanceof z.ZodObject
    ? find('speech', 'output', { input: {}, output: inner.shape as Fields })
    : undefined;
};

/** Why a pipeline without surfaces has none, and what to change, in one line. */
export function whyNoModel(input: z.ZodObject, output: z.ZodType, option: OpenAiOption | undefined): string {
  if (option === false) return 'its definition says openai: false';
  const shapes = shapesOf(input, output);
  const [near] = OPENAI_SURFACES.map((kind) => nearness(kind, shapes)).sort((a, b) => b.met - a.met);
  if (near === undefined || near.met === 0)
    return 'no input and output fields have names and types of the convention; map them, e.g. openai: { chat: { input, output } }';
  return near.why;
}

/** How many sides of a surface a pipeline has, half of one where only the name is another, and what it lacks. */
function nearness(kind: OpenAiSurface, shapes: Shapes): { readonly met: number; readonly why: string } {
  const [input, output] = [find(kind, 'input', shapes), find(kind, 'output', shapes)];
  if (input !== undefined && output !== undefined) {
    const missing = needsMore(kind, shapes, input);
    if (missing === undefined) return { met: 0, why: '' };
    return { met: 2, why: `${kind} requests ${lacks(missing)}` };
  }
  if (input === undefined && output === undefined) return { met: 0, why: '' };
  const side = input === undefined ? 'input' : 'output';
  const names = Object.keys(CONVENTIONS[kind][side]);
  const wrong = names.find((name) => Object.hasOwn(shapes[side], name));
  const lack =
    wrong === undefined
      ? `no ${side} field is named ${names.join(', ')}`
      : `the ${side} field "${wrong}" has another type`;
  const fits = Object.values(CONVENTIONS[kind][side]);
  const onlyNamed = Object.values(shapes[side]).some((schema) => fits.some((test) => test(schema)));
  const why = `for ${kind} ${lack}; name the field with openai: { ${kind}: { ${side} } }`;
  return { met: onlyNamed ? 1.5 : 1, why };
}

const lacks = (field: string) => `do not supply the input’s field "${field}"; give it a default or make it optional`;

function conventional(kind: OpenAiSurface, shapes: Shapes): ModelFace | undefined {
  const [input, output] = [find(kind, 'input', shapes), find(kind, 'output', shapes)];
  if (input === undefined || output === undefined || needsMore(kind, shapes, input) !== undefined) return undefined;
  // A pipeline that answers text with text and audio, or with text and images, is a conversation, and no model of those alone.
  if ((kind === 'speech' || kind === 'images') && find('chat', 'output', shapes) !== undefined) return undefined;
  return face(kind, shapes, input, output, []);
}

function declared(kind: OpenAiSurface, shapes: Shapes, option: FaceOption): ModelFace {
  const where = `openai.${kind}`;
  const known = ['input', 'output', 'ignore', ...(kind === 'chat' ? ['system'] : [])];
  const unknown = Object.keys(option).find((key) => !known.includes(key));
  if (unknown !== undefined) throw unknownOption(where, unknown, known);
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
  if (missing !== undefined) throw invalid(where, `requests ${lacks(missing)}`);
  const { system } = option;
  if (system !== undefined) {
    const schema = Object.hasOwn(shapes.input, system) ? shapes.input[system] : undefined;
    if (schema === undefined) throw invalid(`${where}.system`, `the pipeline’s input has no field "${system}"`);
    if (system === input) throw invalid(`${where}.system`, `"${system}" receives the user’s messages`);
    if (!isText(schema)) throw invalid(`${where}.system`, `"${system}" is not a text`);
  }
  const ignore = option.ignore ?? [];
  const stray = ignore.find((name) => !isOpenAiParameter(kind, name));
  if (stray !== undefined) throw invalid(`${where}.ignore`, `"${stray}" is not a request parameter`);
  return { ...face(kind, shapes, input, output, ignore), ...(system !== undefined && { system }) };
}

function face(
  kind: OpenAiSurface,
  shapes: Shapes,
  input: string,
  output: string,
  ignore: readonly string[],
): ModelFace {
  const schema = shapes.input[input] as z.ZodType;
  const list = (kind === 'chat' || kind === 'embeddings') && !isText(schema);
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
    ...((kind === 'speech' || kind === 'chat') && voicesOf(shapes.input.voice)),
    calls: fieldsWith('execute'),
    executed: fieldsWith('none'),
  };
}

/** The voices of a pipeline by its field `voice`; without the field it has its own voice only. */
function voicesOf(field: z.ZodType | undefined): Pick<ModelFace, 'voices'> {
  if (field === undefined) return { voices: [] };
  const inner = bare(field);
  if (inner instanceof z.ZodEnum) return { voices: inner.options.map(String) };
  return inner instanceof z.ZodLiteral ? { voices: [...inner.values].map(String) } : {};
}
