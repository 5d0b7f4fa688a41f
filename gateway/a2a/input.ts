import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import type { CheckedInput } from '../../runs/sent-input.js';
import type { GatewayDeps } from '../deps.js';
import { MediaIntake, type Sender } from '../input/media-intake.js';
import { readJsonFields, readJsonInput } from '../input/read-input.js';
import { inputOf, type Turn } from '../openai/conversation.js';
import { invalidParam } from '../openai/error-body.js';
import type { Model } from '../openai/models.js';
import { contentOf } from '../openai/sent-parts.js';
import type { Agent } from './agents.js';
import { ProtocolError, RPC } from './errors.js';
import type { Sent } from './message.js';

/** What a message goes on from. */
export interface Going {
  readonly context: string;
  readonly before: readonly Turn[];
}

/**
 * The input of a pipeline from a message: texts and files are what the user says to a chat model, with data as further fields;
 * data alone are the whole input. Throws `INVALID_INPUT` naming the part, and errors of media.
 */
export async function inputFrom(
  deps: GatewayDeps,
  sender: Sender,
  { agent, sent }: { readonly agent: Agent; readonly sent: Sent },
  { context, before }: Going,
): Promise<CheckedInput> {
  const { form, pipeline, model, memory } = agent;
  const { said } = sent;
  const session: JsonObject = memory === 'session' ? { session: context } : {};
  const given = fieldsIn(sent);
  const intake = new MediaIntake(deps.artifacts, sender, deps.limits);
  if (said.length === 0) return await readJsonInput({ ...session, ...given }, form, intake);
  if (!model) {
    const message = `"${pipeline.name}" is no chat model: send its input as one data part`;
    throw invalidFields('INVALID_INPUT', [{ field: 'message.parts', message }]);
  }
  for (const part of said) {
    if (part.type === 'text' || agent.takes.has(part.type)) continue;
    const message = `"${pipeline.name}" does not take ${part.type} parts; its card lists what it takes`;
    throw new ProtocolError(RPC.contentTypeNotSupported, 'INVALID_INPUT', message, 'message.parts');
  }
  expectFurther(model, given, sent.contextId !== undefined && memory === 'history');
  const fields = { ...session, ...(await readJsonFields(given, form, intake)) };
  const param = 'message.parts';
  const own: Turn = { param, message: { role: 'user', ...contentOf(said, param) } };
  return await inputOf(model, { about: param, turns: [...before, own], parameters: [], fields }, deps, sender);
}

/** Throws `INVALID_INPUT` for data with a field that the text or the context gives: one of the two would be lost. */
function expectFurther({ face }: Model, given: JsonObject, hasHistory: boolean): void {
  const taken = [face.input, ...(hasHistory ? ['history'] : [])].find((field) => Object.hasOwn(given, field));
  if (taken !== undefined) throw invalidParam(`message.parts.data.${taken}`, 'is given by the message or its context');
}

function fieldsIn({ data }: Sent): JsonObject {
  const [first, second] = data;
  if (second)
    throw invalidParam(second.param, 'is the second data part: a message has at most one, an object of fields');
  if (first === undefined) return {};
  if (!isJsonObject(first.value)) throw invalidParam(first.param, 'must be an object: fields of the input');
  return first.value;
}
