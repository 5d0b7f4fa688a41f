import type { FastifyRequest } from 'fastify';
import { isJsonObject, type Json, type JsonObject } from '../../pipelines/json.js';
import { forgetBody } from '../input/held-bodies.js';

/** The method of a message; undefined if it has none. */
export const methodOf = (message: Json): unknown => (isJsonObject(message) ? message.method : undefined);

/** The calls of tools among the messages of a body. */
export const callsIn = (body: Json): readonly Json[] =>
  [body].flat().filter((message) => methodOf(message) === 'tools/call');

/**
 * The arguments of the calls in a request. They are needed until the inputs of their runs have been made. The SDK holds a message until it is
 * answered, with the same arguments that the body has: they are emptied.
 */
export class GivenArguments {
  readonly #request: FastifyRequest;
  #unread: number;

  constructor(request: FastifyRequest) {
    this.#request = request;
    this.#unread = callsIn(request.body as Json).length;
  }

  /**
   * The arguments of one of the calls have been read. After the last one the body is no longer counted, but for what its messages have beside
   * their arguments.
   * @param all what holds them
   */
  read(...all: readonly JsonObject[]): void {
    for (const given of all) for (const name of Object.keys(given)) Reflect.deleteProperty(given, name);
    this.#unread -= 1;
    const body = this.#request.body as Json | undefined;
    if (this.#unread === 0 && body !== undefined) forgetBody(this.#request, callsIn(body).length, body);
  }
}
