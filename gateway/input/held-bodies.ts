import type { IncomingMessage } from 'node:http';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { bytesIn } from '../../pipelines/bytes-in.js';
import { MillraceError } from '../../pipelines/errors.js';
import type { Json } from '../../pipelines/json.js';
import { callerOf } from '../access/caller.js';
import { Blocks } from './blocks.js';
import { type BodyBudget, type HeldBody, MOST_INPUT_BYTES } from './body-budget.js';
import { Filling } from './filling.js';
import { joined } from './joined.js';
import type { Sender } from './media-intake.js';
import { readPacer } from './read-pacer.js';
import { joinFor } from './small-pieces.js';

declare module 'fastify' {
  interface FastifyRequest {
    /** The request's share of the memory for bodies; released after the response. */
    held: HeldBody;
  }
}

/** Opens a share of the budget for every authenticated request. */
export function holdBodies(app: FastifyInstance, budget: BodyBudget): void {
  app.decorateRequest('held');
  app.addHook('onRequest', async (request, reply) => {
    const tenant = request.caller?.tenant;
    if (tenant !== undefined) {
      readPacer.seen(tenant);
      joinFor(tenant, request.raw);
    }
    const held = budget.open(tenant ?? '');
    request.held = held;
    const release = () => held.release();
    reply.raw.once('finish', release).once('close', release);
  });
}

/**
 * An authenticated request whose media are stored.
 * @param gone aborts when its client has left
 */
export const senderOf = (request: FastifyRequest, gone: AbortSignal): Sender => ({
  tenant: callerOf(request).tenant,
  held: request.held,
  gone,
});

/**
 * Reads the whole body into memory and counts it as it arrives. Throws `BODY_TOO_LARGE` above the route's limit (before
 * reading, if the length is announced), and the errors of the budget.
 */
export async function readBody(request: FastifyRequest, payload: IncomingMessage): Promise<Buffer> {
  const { held } = request;
  const most = request.routeOptions.bodyLimit ?? request.server.initialConfig.bodyLimit ?? 0;
  const announced = Number(request.headers['content-length'] ?? Number.NaN);
  if (announced > most) throw tooLong(most);
  if (announced > 0) held.expect(announced);
  try {
    return await received(payload, held, { most, announced });
  } catch (error) {
    held.release();
    throw error;
  }
}

/**
 * Frees the body of a request of which the inputs of its runs have been made: the response may take long. Media are in the store by then. Whoever
 * calls it holds nothing else of the body: neither in variables of a function that waits for a run, nor in what such a function calls later.
 * @param left what it holds all the same
 */
export function forgetBody(request: FastifyRequest, runs = 1, left?: Json): void {
  request.body = undefined;
  request.held.keep(runs * MOST_INPUT_BYTES + bytesIn(left));
}

interface Lengths {
  /** The route's limit, in bytes. */
  readonly most: number;
  /** `Content-Length`; NaN if absent. */
  readonly announced: number;
}

/** Uses events: the stream's iterator would close the connection, which the response needs. */
function received(payload: IncomingMessage, held: HeldBody, { most, announced }: Lengths): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const filling = Number.isNaN(announced) ? undefined : new Filling(announced);
    const blocks = new Blocks();
    let size = 0;
    const leave = () => payload.off('data', take).off('end', end).off('error', fail).off('close', gone);
    const fail = (error: unknown) => {
      leave();
      reject(error);
    };
    const gone = () =>
      fail(new MillraceError('REQUEST_ABORTED', 'the client disconnected before the body had arrived'));
    const take = (piece: Buffer) => {
      size += piece.length;
      try {
        if (size > most) throw tooLong(most);
        if (size > announced) throw otherLength();
        held.take(piece.length);
        readPacer.came(payload, piece.length, { tenant: held.tenant, size });
        (filling ?? blocks).push(piece);
      } catch (error) {
        fail(error);
      }
    };
    const end = () => {
      leave();
      if (size < announced) reject(otherLength());
      else resolve(filling ? filling.whole() : joined(blocks.take(), size));
    };
    payload.on('data', take).on('end', end).on('error', fail).on('close', gone);
    payload.resume();
  });
}

function otherLength(): MillraceError {
  const message = 'the length of the body differs from Content-Length';
  return new MillraceError('INVALID_HEADER', message, { fields: [{ field: 'Content-Length', message }] });
}

function tooLong(most: number): MillraceError {
  const message = `the body is above the limit of ${most} bytes`;
  return new MillraceError('BODY_TOO_LARGE', message, { fields: [{ field: 'body', message }] });
}
