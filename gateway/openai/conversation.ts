import type { TakeMedia } from '../../media/index.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { allSteps, isStage, type Plan } from '../../pipelines/plan/index.js';
import type { ChatMessage } from '../../pipelines/stages/index.js';
import type { GatewayDeps } from '../deps.js';
import { whyNotFetched } from '../input/fetched-media.js';
import { MediaIntake, type Sender } from '../input/media-intake.js';
import { invalidParam } from './error-body.js';
import { type Model, parsed } from './models.js';
import { addressesOf, wholeText } from './sent-parts.js';
import { MOST_THOUGHTS, withThoughts } from './sent-thoughts.js';

/** A message with its path in the request: `messages[2]`. */
export interface Turn {
  readonly message: ChatMessage;
  readonly param: string;
  /** Id of an audio answer whose text it is. */
  readonly spoken?: string;
}

/** A parameter that affects the answer. */
export interface Parameter {
  /** Its name in the request: `max_completion_tokens`. */
  readonly param: string;
  /** Key of `OPENAI_PARAMETERS.chat`. */
  readonly name: string;
  /** Its value in the form of the input field. */
  readonly value: Json;
  /** Whether it states the default: a pipeline that does not support it may ignore it. */
  readonly neutral?: boolean;
}

/** The parameters that a request has, of those that it may have. */
export const givenParameters = (
  all: readonly (Omit<Parameter, 'value'> & { readonly value: unknown })[],
): readonly Parameter[] => all.filter(({ value }) => value !== undefined && value !== null) as Parameter[];

/** The request to a model, common to OpenAI's chat completions and responses. */
export interface Conversation {
  /** The request's name of the messages. */
  readonly about: string;
  readonly turns: readonly Turn[];
  readonly parameters: readonly Parameter[];
  /** Further fields of the input. */
  readonly fields?: JsonObject;
}

/**
 * Converts a conversation to a pipeline's input: all messages if it takes `messages`, the last one if it takes a text,
 * earlier ones as `history`, and media as `parts` or `images` if it has these fields. Anything without a field is
 * rejected unless the pipeline's author has listed it as ignored: no part of a request is dropped silently but what the
 * model itself thought before, where messages cannot have `reasoning`.
 */
export async function inputOf(model: Model, conversation: Conversation, deps: GatewayDeps, sender: Sender) {
  const { turns, fields } = systemFor(model, namedFor(model, conversation.turns));
  const given: JsonObject = {
    ...conversation.fields,
    ...fields,
    ...messagesFor(model, turns),
    ...parametersFor(model, conversation.parameters),
  };
  expectFetched(conversation.turns, deps.limits.mediaOrigins);
  const stored = await withMedia(model, given, deps, sender).catch((error: unknown) => {
    throw aboutTurns(error, conversation.about);
  });
  return parsed(model.form, stored, (field) => {
    const found = conversation.parameters.find(({ name }) => (OPENAI_PARAMETERS.chat[name] ?? name) === field);
    if (found !== undefined) return found.param;
    const fromTurns = [model.face.input, model.face.system, 'history', 'images', 'parts'];
    return fromTurns.includes(field) ? conversation.about : field;
  });
}

/** Throws `INVALID_INPUT` with the message whose media have an address that is not fetched. */
function expectFetched(turns: readonly Turn[], origins: readonly string[] = []): void {
  for (const { message, param } of turns) {
    for (const address of addressesOf(message)) {
      const why = whyNotFetched(address, origins);
      if (why !== undefined) throw invalidParam(param, why);
    }
  }
}

/** The list of messages among the fields of an input. */
const listField = ({ face }: Model): string => (face.list ? face.input : 'history');

/**
 * The turns with the names of their speakers, or without those that the pipeline has no place for if its author has them
 * ignored; otherwise throws `INVALID_INPUT`. A message that becomes a text has no name.
 */
function namedFor(model: Model, turns: readonly Turn[]): readonly Turn[] {
  const { face, form, pipeline } = model;
  const named = turns.filter(({ message }) => message.name !== undefined);
  if (named.length === 0) return turns;
  const hasNames = form.has(`${listField(model)}.0.name`);
  const last = turns.at(-1);
  const keeps = (turn: Turn): boolean => {
    const isText = turn.message.role === 'system' ? face.system !== undefined : turn === last && !isListed(model);
    return hasNames && !isText;
  };
  const stray = named.find((turn) => !keeps(turn));
  if (stray === undefined) return turns;
  if (!face.ignore.has('name'))
    throw invalidParam(`${stray.param}.name`, `"${pipeline.name}" takes no name of this message; leave it out`);
  return turns.map((turn) => {
    const { name: _, ...message } = turn.message;
    return keeps(turn) ? turn : { ...turn, message };
  });
}

/** Whether the last message may be one of a list like those before it. */
const isListed = ({ face, form }: Model): boolean => face.list || (face.optional && form.fields.has('history'));

/** Where the author maps system messages to a field: their texts as that field, and the other turns. */
function systemFor({ face: { system } }: Model, turns: readonly Turn[]) {
  const said = system === undefined ? [] : turns.filter(({ message }) => message.role === 'system');
  if (system === undefined || said.length === 0) return { turns, fields: {} };
  const text = said.map(({ message }) => message.content).join('\n\n');
  return { turns: turns.filter(({ message }) => message.role !== 'system'), fields: { [system]: text } };
}

function messagesFor(model: Model, turns: readonly Turn[]): JsonObject {
  const { face, form } = model;
  const { name } = model.pipeline;
  if (face.list) return { [face.input]: listed(model, face.input, turns) };
  const takesHistory = form.fields.has('history');
  const last = turns.at(-1);
  // A prompt has no name.
  const isPrompt = last?.message.role === 'user' && last.message.name === undefined;
  if (takesHistory && !isPrompt && face.optional) return { history: listed(model, 'history', turns) };
  if (last === undefined || last.message.role !== 'user')
    throw invalidParam(last?.param ?? 'messages', `the last message must be the user’s: "${name}" takes a single text`);
  const before = turns.slice(0, -1);
  const kept = before.filter(({ message, param }) => {
    const what = message.role === 'system' ? 'system' : 'history';
    if (face.ignore.has(what)) return false;
    if (takesHistory) return true;
    const takes = what === 'system' ? 'no system messages' : 'no earlier turns';
    throw invalidParam(param, `"${name}" takes ${takes}: it gets the user’s last message only`);
  });
  return { ...promptFor(model, last), ...(kept.length > 0 && { history: listed(model, 'history', kept) }) };
}

/** Whether the messages of a list have `parts`. */
const takesParts = ({ form }: Pick<Model, 'form'>, list: string): boolean => form.has(`${list}.0.parts.0`);

function listed(model: Model, list: string, turns: readonly Turn[]): Json {
  const stray = takesParts(model, list) ? undefined : turns.find(({ message }) => message.parts);
  if (stray === undefined) {
    const messages = turns.map(({ message }) => message);
    const most = model.form.lacks(`${list}.0`, 'reasoning') ? 0 : MOST_THOUGHTS;
    return withThoughts(messages, most) as unknown as Json;
  }
  const what = named(stray);
  const where = model.face.list ? '' : ' in earlier messages';
  throw invalidParam(stray.param, `"${model.pipeline.name}" does not accept ${what}${where}`);
}

/** The last message: its media as `images` where these are all that it has behind its text, otherwise as `parts`. */
function promptFor({ face, form, pipeline: { name } }: Model, last: Turn): JsonObject {
  const { content, parts = [] } = last.message;
  if (parts.length === 0) return { [face.input]: content };
  const images = parts.flatMap((part) => (part.type === 'image' ? [part.image as unknown as Json] : []));
  const takesImages = form.has('images.0') && form.kindAt('images.0') === 'image';
  const plain = parts.every((part) => part.type === 'image' && part.detail === undefined);
  if (takesImages && plain && (content !== '' || !form.has('parts.0'))) return { [face.input]: content, images };
  if (form.has('parts.0')) return { [face.input]: content, parts: parts as unknown as Json };
  const onlyImages = parts.every(({ type }) => type === 'image' || type === 'text');
  if (takesImages && onlyImages) return { [face.input]: wholeText(last.message), images };
  throw invalidParam(last.param, `"${name}" does not accept ${named(last)}`);
}

const KINDS = { image: 'images', audio: 'audio', video: 'videos', file: 'files' } as const;
const named = ({ message: { parts = [] } }: Turn): string =>
  [...new Set(parts.flatMap(({ type }) => (type === 'text' ? [] : [KINDS[type]])))].join(' and ');

/**
 * The turns that an input of the model was made of, except those that the author has it ignore. Media are part of it if
 * the model takes them in earlier turns.
 * @param instructions text of a system message before all others, which is left out
 */
export function turnsOfInput({ face, form }: Model, input: JsonObject, instructions: string, param: string): Turn[] {
  const said = input[face.input];
  const system = face.system === undefined ? undefined : input[face.system];
  const history = form.fields.has('history') ? input.history : undefined;
  const media = takesParts({ form }, 'history') ? mediaOf(input) : [];
  const parts = media.length > 0 ? { parts: media } : {};
  const messages = [
    ...(typeof system === 'string' && system !== '' ? [{ role: 'system', content: system }] : []),
    ...(Array.isArray(history) ? history : []),
    ...(Array.isArray(said) ? said : typeof said === 'string' ? [{ role: 'user', content: said, ...parts }] : []),
  ] as unknown as ChatMessage[];
  const [first, ...others] = messages;
  if (first?.role !== 'system' || !first.content.startsWith(instructions) || instructions === '')
    return messages.map((message) => ({ message, param }));
  const rest = first.content.slice(instructions.length).replace(/^\n\n/, '');
  const kept: ChatMessage[] = rest === '' ? [] : [{ role: 'system', content: rest }];
  return [...kept, ...others].map((message) => ({ message, param }));
}

/** The media of a prompt, as parts of its message. */
const mediaOf = ({ images, parts }: JsonObject): Json[] => [
  ...(Array.isArray(images) ? images.map((image): Json => ({ type: 'image', image })) : []),
  ...(Array.isArray(parts) ? parts : []),
];

function parametersFor(model: Model, parameters: readonly Parameter[]): JsonObject {
  const { face, form, pipeline } = model;
  expectChoosable(model, parameters);
  // Where there is no field for the choice, an empty list has the same effect: the model can call nothing.
  const passes = form.fields.has(fieldOf(TOOL_CHOICE)) || face.ignore.has(TOOL_CHOICE);
  const forbids = !passes && choiceIn(parameters)?.value === 'none';
  const given = parameters.flatMap(({ param, name: parameter, value, neutral }): [string, Json][] => {
    const field = fieldOf(parameter);
    if (form.fields.has(field)) return [[field, forbids && parameter === TOOLS ? [] : value]];
    if (neutral || face.ignore.has(parameter)) return [];
    throw invalidParam(param, `"${pipeline.name}" does not support it; leave it out`);
  });
  return Object.fromEntries(given);
}

/**
 * Throws `INVALID_INPUT` for a `tool_choice` that the request’s tools cannot fulfil, where the model is offered no others: without tools it
 * would be passed over, and a tool that is not offered cannot be called.
 */
function expectChoosable({ form, pipeline }: Model, parameters: readonly Parameter[]): void {
  const choice = choiceIn(parameters);
  if (choice === undefined || choice.value === 'auto' || choice.value === 'none') return;
  if (![TOOLS, TOOL_CHOICE].every((name) => form.fields.has(fieldOf(name)))) return;
  const tools = (parameters.find(({ name }) => name === TOOLS)?.value ?? []) as readonly JsonObject[];
  if (tools.length === 0 && !offersTools(pipeline.plan))
    throw invalidParam(choice.param, 'requires tools: the request has none');
  const wanted = isJsonObject(choice.value) ? choice.value.name : undefined;
  if (wanted === undefined || tools.length === 0 || tools.some(({ name }) => name === wanted)) return;
  throw invalidParam(choice.param, `names "${String(wanted)}", which is not among the request’s tools`);
}

const TOOLS = 'tools';
const TOOL_CHOICE = 'tool_choice';

const choiceIn = (parameters: readonly Parameter[]): Parameter | undefined =>
  parameters.find(({ name }) => name === TOOL_CHOICE);

/** The input field of a parameter. */
const fieldOf = (parameter: string): string => OPENAI_PARAMETERS.chat[parameter] ?? parameter;

/** Whether a stage of the pipeline has tools of its own, which a request’s own would replace. */
const offersTools = (plan: Plan): boolean =>
  [...allSteps(plan)].some((step) =>
    isStage(step)
      ? Array.isArray(step.with.tools) && step.with.tools.length > 0
      : step.kind === 'pipeline' && step.run === 'child',
  );

/** Media come with the messages, whatever field of the pipeline they are for; the message says which of them it is. */
function aboutTurns(error: unknown, about: string): unknown {
  if (!(error instanceof MillraceError) || !error.details.fields) return error;
  const fields = error.details.fields.map(({ message }) => ({ field: about, message }));
  const message = fields.map((each) => `${each.field}: ${each.message}`).join('; ');
  return new MillraceError(error.code, message, { ...error.details, fields }, { cause: error });
}

/** The input with its media stored, for the sender's tenant. */
async function withMedia({ face, form }: Model, given: JsonObject, deps: GatewayDeps, sender: Sender) {
  const intake = new MediaIntake(deps.artifacts, sender, deps.limits);
  const take: TakeMedia = async (value, { path, kind }) =>
    ({ ...(await intake.fromJson(path, value, kind)) }) as unknown as Json;
  const stored: Record<string, Json> = { ...given };
  for (const field of new Set([face.input, 'history', 'images', 'parts'])) {
    const value = given[field];
    if (typeof value === 'object' && value !== null) stored[field] = await form.withMedia(field, value, take);
  }
  return stored;
}
