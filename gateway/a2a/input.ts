import { invalidFields } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type JsonObject } from '../../pipelines/json.js';
import type { GatewayDeps } from '../deps.js';
import { MediaIntake } from '../input/media-intake.js';
import { readJsonInput } from '../input/read-input.js';
import { inputOf, type Turn } from '../openai/conversation.js';
import { invalidParam } from '../openai/error-body.js';
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
  tenant: string,
  { agent, sent }: { readonly agent: Agent; readonly sent: Sent },
  { context, before }: Going,
): Promise<JsonObject> {
  const { form, pipeline, model, memory } = agent;
  const { said } = sent;
  const session: JsonObject = memory === 'session' ? { session: context } : {};
  const fields = { ...session, ...fieldsIn(sent) };
  if (said.length === 0)
    return await readJsonInput(fields, form, new MediaIntake(deps.artifacts, tenant, deps.limits.maxAudioBytes));
  if (!model) {
    const message = `"${pipeline.name}" is no chat model: send its input as one data part`;
    throw invalidFields('INVALID_INPUT', [{ field: 'message.parts', message }]);
  }
  for (const part of said) {
    if (part.type === 'text' || agent.takes.has(part.type)) continue;
    const message = `"${pipeline.name}" does not take ${part.type} parts; its card lists what it takes`;
    throw new ProtocolError(RPC.contentTypeNotSupported, 'INVALID_INPUT', message, 'message.parts');
  }
  const param = 'message.parts';
  const own: Turn = { param, message: { role: 'user', ...contentOf(said, param) } };
  return await inputOf(model, { about: param, turns: [...before, own], parameters: [], fields }, deps, tenant);
}

function fieldsIn({ data }: Sent): JsonObject {
  const [first, second] = data;
  if (second)
    throw invalidParam(second.param, 'is the second data part: a message has at most one, an object of fields');
  if (first === undefined) return {};
  if (!isJsonObject(first.value)) throw invalidParam(first.param, 'must be an object: fields of the input');
  return first.value;
}
