import type { TakeMedia } from '../../media/index.js';
import { OPENAI_PARAMETERS } from '../../pipelines/definition/index.js';
import type { Json, JsonObject } from '../../pipelines/json.js';
import type { ChatMessage } from '../../pipelines/stages/index.js';
import type { GatewayDeps } from '../deps.js';
import { MediaIntake } from '../input/media-intake.js';
import { invalidParam } from './error-body.js';
import { type Model, parsed } from './models.js';

/** A message with its path in the request: `messages[2]`. */
export interface Turn {
  readonly message: ChatMessage;
  readonly param: string;
  /** Data URLs of its images. */
  readonly images?: readonly string[];
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
 * earlier ones as `history` and images as `images` if it has these fields. Anything without a field is rejected unless
 * the pipeline's author has listed it as ignored: no part of a request is dropped silently.
 */
export async function inputOf(model: Model, conversation: Conversation, deps: GatewayDeps, tenant: string) {
  const { turns, fields } = systemFor(model, conversation.turns);
  const given = {
    ...conversation.fields,
    ...fields,
    ...messagesFor(model, turns),
    ...parametersFor(model, conversation.parameters),
  };
  const images = await imagesFor(model, conversation.turns, deps, tenant);
  return parsed(model.form, { ...given, ...images }, (field) => {
    const found = conversation.parameters.find(({ name }) => (OPENAI_PARAMETERS.chat[name] ?? name) === field);
    if (found !== undefined) return found.param;
    const fromTurns = [model.face.input, model.face.system, 'history', 'images'];
    return fromTurns.includes(field) ? conversation.about : field;
  });
}

/** Where the author maps system messages to a field: their texts as that field, and the other turns. */
function systemFor({ face: { system } }: Model, turns: readonly Turn[]) {
  const said = system === undefined ? [] : turns.filter(({ message }) => message.role === 'system');
  if (system === undefined || said.length === 0) return { turns, fields: {} };
  const text = said.map(({ message }) => message.content).join('\n\n');
  return { turns: turns.filter((turn) => !said.includes(turn)), fields: { [system]: text } };
}

function messagesFor({ face, form, pipeline: { name } }: Model, turns: readonly Turn[]): JsonObject {
  if (face.list) return { [face.input]: asJson(turns) };
  const takesHistory = form.fields.has('history');
  const last = turns.at(-1);
  if (takesHistory && last?.message.role !== 'user' && face.optional) return { history: asJson(turns) };
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
  return { [face.input]: last.message.content, ...(kept.length > 0 && { history: asJson(kept) }) };
}

/**
 * The turns that an input of the model was made of, except those that the author has it ignore. Images of earlier turns
 * are not part of it.
 * @param instructions text of a system message before all others, which is left out
 */
export function turnsOfInput({ face, form }: Model, input: JsonObject, instructions: string, param: string): Turn[] {
  const said = input[face.input];
  const system = face.system === undefined ? undefined : input[face.system];
  const history = form.fields.has('history') ? input.history : undefined;
  const messages = [
    ...(typeof system === 'string' && system !== '' ? [{ role: 'system', content: system }] : []),
    ...(Array.isArray(history) ? history : []),
    ...(Array.isArray(said) ? said : typeof said === 'string' ? [{ role: 'user', content: said }] : []),
  ] as unknown as ChatMessage[];
  const [first, ...others] = messages;
  if (first?.role !== 'system' || !first.content.startsWith(instructions) || instructions === '')
    return messages.map((message) => ({ message, param }));
  const rest = first.content.slice(instructions.length).replace(/^\n\n/, '');
  const kept: ChatMessage[] = rest === '' ? [] : [{ role: 'system', content: rest }];
  return [...kept, ...others].map((message) => ({ message, param }));
}

const asJson = (turns: readonly Turn[]): Json => turns.map(({ message }) => message as unknown as JsonObject);

function parametersFor({ face, form, pipeline: { name } }: Model, parameters: readonly Parameter[]): JsonObject {
  const given = parameters.flatMap(({ param, name: parameter, value, neutral }): [string, Json][] => {
    const field = OPENAI_PARAMETERS.chat[parameter] ?? parameter;
    if (form.fields.has(field)) return [[field, value]];
    if (neutral || face.ignore.has(parameter)) return [];
    throw invalidParam(param, `"${name}" does not support it; leave it out`);
  });
  return Object.fromEntries(given);
}

const DATA_URL = /^data:(image\/[\w.+-]+);base64,/;

async function imagesFor(
  { form, pipeline: { name } }: Model,
  turns: readonly Turn[],
  deps: GatewayDeps,
  tenant: string,
): Promise<JsonObject> {
  const showing = turns.filter(({ images = [] }) => images.length > 0);
  if (showing.length === 0) return {};
  const [first] = showing;
  if (!form.has('images.0') || form.kindAt('images.0') !== 'image')
    throw invalidParam(first?.param ?? 'messages', `"${name}" does not accept images`);
  const last = turns.at(-1);
  const stray = showing.find((turn) => turn !== last);
  if (stray !== undefined) throw invalidParam(stray.param, 'images are accepted in the last message only');
  const values = (last?.images ?? []).map((url) => {
    const [prefix, mime] = DATA_URL.exec(url) ?? [];
    if (prefix === undefined || mime === undefined)
      throw invalidParam(
        last?.param ?? 'messages',
        'an image must be a data URL in base64: other addresses are not fetched',
      );
    return { base64: url.slice(prefix.length), mime };
  });
  const intake = new MediaIntake(deps.artifacts, tenant, deps.limits.maxAudioBytes);
  const take: TakeMedia = async (value, { path, kind }) =>
    ({ ...(await intake.fromJson(path, value, kind)) }) as unknown as Json;
  return { images: await form.withMedia('images', values, take) };
}
