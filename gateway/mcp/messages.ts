import type { FastifyRequest } from 'fastify';
import { invalidFields } from '../../pipelines/invalid-fields.js';

/** The first version of the protocol without batches; versions are dates. */
const WITHOUT_BATCHES = '2025-06-18';

/** Most messages of a batch: each may be a run, and none of them is answered before all have begun. */
const MOST_MESSAGES = 20;

/**
 * How many messages a request brings. The protocol of 2025-03-26, which clients may still ask for, has batches; a request of
 * a later version must be one message. Throws `INVALID_INPUT` for a batch where there is none, and for one of more messages
 * than are taken at once.
 */
export function messagesIn({ body, headers }: Pick<FastifyRequest, 'body' | 'headers'>): number {
  if (!Array.isArray(body)) return 1;
  const { 'mcp-protocol-version': version } = headers;
  const refuse = (message: string) => invalidFields('INVALID_INPUT', [{ field: 'body', message }]);
  if (typeof version === 'string' && version >= WITHOUT_BATCHES) {
    throw refuse(`must be one message: version ${WITHOUT_BATCHES} and later of the protocol have no batches`);
  }
  if (body.length > MOST_MESSAGES) throw refuse(`must be a batch of at most ${MOST_MESSAGES} messages`);
  return Math.max(1, body.length);
}
