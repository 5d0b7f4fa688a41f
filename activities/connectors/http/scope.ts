import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { Call, CallContext } from '../connector.js';
import { type Conversation, promptOf, refuseMore, turnsOf } from '../conversation.js';
import { embeddedKind, expectTexts } from '../embedded-items.js';
import { generationOf } from '../generated.js';
import type { Api } from './api.js';
import type { Scope } from './template.js';

/** What the templates of a call see. Throws `CAPABILITY_MISSING` for a conversation with more than text. */
export function scopeOf(call: Call, api: Api, context: CallContext): Scope {
  const { kind, model, input, with: options } = call.kind === 'generate' ? generating(call, api) : call;
  const given: JsonObject = { ...options, ...input };
  return {
    model,
    kind,
    input,
    with: options,
    given,
    values: { ...api.values },
    call: callOf(context),
    ...textsOf(call, given, api),
  };
}

/** With the count and the options that count: those of the input are part of them. */
function generating(call: Call, { accepts }: Api): Call {
  const { count, options } = generationOf(call, accepts);
  const { count: _, options: __, ...input } = call.input;
  return { ...call, with: { ...call.with, count, options }, input };
}

function textsOf({ kind, input }: Call, given: JsonObject, { prompt = 'plain' }: Api): Record<string, Json> {
  switch (kind) {
    case 'chat': {
      const conversation = given as Conversation;
      refuseMore(conversation);
      const messages = turnsOf(conversation).map(({ role, content }) => ({ role, content }));
      return { messages, prompt: promptOf(conversation, prompt) };
    }
    case 'embed':
      return embeddedOf(given);
    case 'classify':
      return classifiedOf(given);
    case 'synthesize':
      return { prompt: Array.isArray(given.text) ? given.text.join(' ') : (given.text ?? '') };
    case 'rerank': {
      const pairs = pairsOf(given);
      return { pairs, texts: pairs.map(({ text }) => text) };
    }
    case 'infer': {
      const [only, ...more] = Object.values(input);
      return only !== undefined && more.length === 0 ? { tensor: only } : {};
    }
    default:
      return {};
  }
}

/** The texts as a list; of media there are none. */
function embeddedOf(given: JsonObject): Record<string, Json> {
  expectTexts(given);
  const isMedium = given.texts === undefined && ![undefined, 'text'].includes(embeddedKind(given));
  return isMedium ? {} : { texts: given.texts ?? [given.text ?? ''] };
}

/** The texts as a list, and those that have a second one as pairs; of media there are none. */
function classifiedOf({ text, textPair, texts, pairs }: JsonObject): Record<string, Json> {
  if (pairs !== undefined) return { pairs };
  if (texts !== undefined) return { texts };
  if (text === undefined) return {};
  return { texts: [text], ...(textPair !== undefined && { pairs: [{ text, textPair }] }) };
}

/** Each passage with its query: a joined call has several queries. */
function pairsOf({
  pairs,
  passages,
  query = '',
}: JsonObject): readonly { readonly query: Json; readonly text: Json }[] {
  const each = (passage: Json) => ({ query, text: isJsonObject(passage) ? (passage.text ?? '') : '' });
  return (pairs as unknown as ReturnType<typeof pairsOf>) ?? (passages as readonly Json[]).map(each);
}

/** What a server may want to know of a call; what is not known is absent. */
function callOf({ idempotencyKey, tenant, priority, affinity, traceparent, endsAt }: CallContext): JsonObject {
  const leftMs = endsAt === undefined ? undefined : Math.max(1, Math.floor(endsAt - performance.now()));
  const all = {
    idempotencyKey,
    tenant,
    priority,
    affinity,
    traceparent,
    leftMs,
    leftS: leftMs && Math.ceil(leftMs / 1_000),
  };
  return Object.fromEntries(Object.entries(all).filter(([, value]) => value !== undefined)) as JsonObject;
}
