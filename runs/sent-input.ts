import { isArtifactAlone } from '../pipelines/artifact.js';
import { isJsonObject, type Json, type JsonObject } from '../pipelines/json.js';
import { jsonHash } from '../pipelines/plan/hash.js';
import { type Leavable, onLeaveOf } from './leaving.js';
import type { Order } from './order.js';

/** An input as the pipeline's schema has made it, and what it has made it of. */
export interface CheckedInput {
  readonly input: JsonObject;
  readonly given: JsonObject;
}

export type OrderInput = Pick<Order, 'input' | 'sent'>;

/**
 * The input of an order. What was sent is hashed only where the request may have to be known again: by its key, or by a retry that says that it
 * is one.
 * @param by `retry` is absent where the client does not count its tries: its retries do not say that they are some
 */
export function orderInput({ input, given }: CheckedInput, by: Leavable & Pick<Order, 'retry'>): OrderInput {
  const isRetried = by.retry !== undefined && onLeaveOf(by) === 'continue';
  const isKnownAgain = by.idempotencyKey !== undefined || isRetried;
  return { input, ...(isKnownAgain && { sent: jsonHash(byContent(given)) }) };
}

/** Media are the same if their bytes and their type are: what else is known of them depends on who has looked at them. */
function byContent(value: Json): Json {
  if (isArtifactAlone(value)) return [value.sha256, value.mime];
  if (Array.isArray(value)) return value.map(byContent);
  if (!isJsonObject(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, byContent(part as Json)]));
}
