import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { readBody } from '../input/held-bodies.js';
import { expectModestJson } from '../input/json-size.js';
import { emptyBody } from '../input/upload.js';

/**
 * Makes the routes of this scope accept only JSON, of as many values as an input may have: they are counted before they are made.
 * @param mayBeEmpty a request without a body has the value `{}`
 */
export function takeJson(app: FastifyInstance, { mayBeEmpty = false } = {}): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) =>
    jsonOf(await readBody(request, payload), mayBeEmpty),
  );
}

function jsonOf(bytes: Buffer, mayBeEmpty: boolean): Json {
  if (bytes.length > 0) {
    expectModestJson(bytes, 'body', { names: true });
    return parseJson(bytes.toString('utf8'), 'body');
  }
  if (mayBeEmpty) return {};
  throw emptyBody();
}

/** Throws `INVALID_JSON` naming `field`. */
export function parseJson(text: string, field: string): Json {
  try {
    return JSON.parse(text) as Json;
  } catch (error) {
    const message = messageOf(error);
    throw new MillraceError('INVALID_JSON', `${field}: ${message}`, { fields: [{ field, message }] });
  }
}
