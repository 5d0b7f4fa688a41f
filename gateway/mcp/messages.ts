import type { FastifyRequest } from 'fastify';
import { invalidField } from '../../pipelines/invalid-fields.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import type { Caller } from '../access/caller.js';
import { expectModest } from '../input/input-size.js';

/** The first version of the protocol without batches; versions are dates. */
const WITHOUT_BATCHES = '2025-06-18';

/** Most messages of a batch: each may be a run, and responses are sent only after all have started. */
const MOST_MESSAGES = 20;

/** Longest id of a request and longest token of its progress, in characters: both are sent again with the messages of its stream. */
const LONGEST_ID = 256;

/**
 * Most values of a request beside the arguments of tools, which their pipelines read. The SDK reads its messages several times, by unions
 * and loose objects: 100,000 values take it seconds.
 */
const MOST_VALUES = 10_000;

/** Throws `INVALID_INPUT` for more values than clients send beside the arguments of tools. */
export function expectModestMessages({ body }: Pick<FastifyRequest, 'body'>): void {
  expectModest([body as Json].flat().map(withoutArguments), 'body', MOST_VALUES);
}

function withoutArguments(message: Json): Json {
  if (!isJsonObject(message) || message.method !== 'tools/call' || !isJsonObject(message.params)) return message;
  return { ...message, params: { ...message.params, arguments: null } };
}

/** Throws `INVALID_INPUT` for a message with a longer id. */
export function expectShortIds({ body }: Pick<FastifyRequest, 'body'>): void {
  for (const message of [body as Json].flat()) {
    if (!isJsonObject(message)) continue;
    const { id, params } = message;
    const meta = isJsonObject(params) ? params._meta : undefined;
    const token = isJsonObject(meta) ? meta.progressToken : undefined;
    const isLong = (given: Json | undefined) => typeof given === 'string' && given.length > LONGEST_ID;
    const field = isLong(id) ? 'id' : isLong(token) ? 'params._meta.progressToken' : undefined;
    if (field !== undefined) throw invalidField(field, `must have at most ${LONGEST_ID} characters`);
  }
}

/**
 * The number of messages in a request. The protocol of 2025-03-26, which clients may still request, has batches; a
 * request of a later version must be one message. Throws `INVALID_INPUT` for a batch in a version without, for one that is
 * too long, and for one with two requests of one id: their responses could not be told apart, and one would never be sent.
 */
export function messagesIn({ body, headers }: Pick<FastifyRequest, 'body' | 'headers'>): number {
  if (!Array.isArray(body)) return 1;
  const { 'mcp-protocol-version': version } = headers;
  const refuse = (message: string) => invalidField('body', message);
  if (typeof version === 'string' && version >= WITHOUT_BATCHES) {
    throw refuse(`must be one message: version ${WITHOUT_BATCHES} and later of the protocol have no batches`);
  }
  if (body.length > MOST_MESSAGES) throw refuse(`must be a batch of at most ${MOST_MESSAGES} messages`);
  const ids = body.flatMap((message: Json) =>
    isJsonObject(message) && 'method' in message && 'id' in message ? [JSON.stringify(message.id)] : [],
  );
  const twice = ids.find((id, i) => ids.indexOf(id) !== i);
  if (twice !== undefined) throw refuse('must be a batch whose requests have ids of their own');
  return Math.max(1, body.length);
}

/**
 * Throws `INVALID_INPUT` for a batch of more messages than the caller may send at once: `RATE_LIMITED` would have a client try it again
 * for ever.
 */
export function expectWithinRate({ rate }: Caller, messages: number): void {
  if (rate === undefined || messages <= rate.limit) return;
  const most = `count as requests, and the ${rate.of} may make ${rate.limit}`;
  throw invalidField('body', `is a batch of ${messages} messages, which ${most}`);
}
