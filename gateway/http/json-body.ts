import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { withoutMark } from '../../runtime/without-mark.js';
import { refuseEncoded } from '../input/content-encoding.js';
import { expectExact, noteInexact } from '../input/exact-numbers.js';
import { readBody } from '../input/held-bodies.js';
import { expectModestJson } from '../input/json-size.js';
import { emptyBody } from '../input/upload.js';
import { utf8Text } from '../input/utf8-text.js';

/**
 * Makes the routes of this scope accept only JSON, of as many values as an input may have: they are counted before they are made.
 * @param mayBeEmpty a request without a body has the value `{}`
 * @param exact integers that a number does not hold are refused, or noted for the door's own refusal
 */
export function takeJson(app: FastifyInstance, { mayBeEmpty = false, exact = false }: Partial<Taking> = {}): void {
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('application/json', async (request: FastifyRequest, payload: IncomingMessage) => {
    refuseEncoded(request.headers);
    return jsonOf(await readBody(request, payload), { mayBeEmpty, exact });
  });
}

interface Taking {
  readonly mayBeEmpty: boolean;
  readonly exact: boolean | 'noted';
}

function jsonOf(bytes: Buffer, { mayBeEmpty, exact }: Taking): Json {
  if (bytes.length > 0) {
    expectModestJson(bytes, 'body', { names: true });
    const text = utf8Text(bytes, 'body', 'INVALID_JSON');
    if (exact === true) return parseExactJson(text, 'body');
    const value = parseJson(text, 'body');
    if (exact === 'noted') noteInexact(value, withoutMark(text));
    return value;
  }
  if (mayBeEmpty) return {};
  throw emptyBody();
}

/** Throws `INVALID_JSON` naming `field`. */
function parseJson(text: string, field: string): Json {
  try {
    return JSON.parse(withoutMark(text)) as Json;
  } catch (error) {
    const message = messageOf(error);
    throw new MillraceError('INVALID_JSON', `${field}: ${message}`, { fields: [{ field, message }] });
  }
}

/**
 * As `parseJson`; throws `INVALID_INPUT` for an integer that a number does not hold.
 * @param path of the value: see `expectExact`
 */
export function parseExactJson(text: string, field: string, path?: string): Json {
  const value = parseJson(text, field);
  expectExact(value, withoutMark(text), path);
  return value;
}
