import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { readBody } from '../input/held-bodies.js';
import { expectModestJson } from '../input/json-size.js';
import { emptyBody } from '../input/upload.js';
import { utf8Text } from '../input/utf8-text.js';

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

const BYTE_ORDER_MARK = '\ufeff';

function jsonOf(bytes: Buffer, mayBeEmpty: boolean): Json {
  if (bytes.length > 0) {
    expectModestJson(bytes, 'body', { names: true });
    return parseJson(utf8Text(bytes, 'body', 'INVALID_JSON'), 'body');
  }
  if (mayBeEmpty) return {};
  throw emptyBody();
}

/** Throws `INVALID_JSON` naming `field`. A byte order mark, as Windows writes it before a file, is no part of the JSON (RFC 8259). */
export function parseJson(text: string, field: string): Json {
  try {
    return JSON.parse(text.startsWith(BYTE_ORDER_MARK) ? text.slice(1) : text) as Json;
  } catch (error) {
    const message = messageOf(error);
    throw new MillraceError('INVALID_JSON', `${field}: ${message}`, { fields: [{ field, message }] });
  }
}
