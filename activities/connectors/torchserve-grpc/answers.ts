import { type ServiceError, status } from '@grpc/grpc-js';
import { type Answer, tooLong } from '../exchange.js';

/**
 * What TorchServe's REST API would have answered in place of a failed gRPC call, so that one set of rules tells the codes
 * of both (the preset `torchserve`). Answers of the server end with the name of their Java exception, in a line of its own;
 * they are those of release 0.12.0. Throws what `fetch` would have thrown if the server has not answered.
 */
export function answerOf(error: ServiceError): Answer {
  const { code, details } = error;
  if (TOKEN_REFUSED.test(details)) return answer(400, 'InvalidKeyException', details);
  const [, message, exception] = ANSWERED.exec(details) ?? [];
  if (message !== undefined && exception !== undefined) {
    const type = exception.split('.').at(-1) ?? exception;
    return answer(BY_EXCEPTION.get(type) ?? statusOf(code, message), type, message);
  }
  if (code === status.RESOURCE_EXHAUSTED && /received message larger/i.test(details)) throw tooLong();
  if (code === status.RESOURCE_EXHAUSTED) return answer(413, 'MessageTooLarge', details);
  if (WITHOUT_EXCEPTION.has(code)) return answer(statusOf(code, details), status[code], details);
  throw new TypeError('fetch failed', { cause: new Error(details, { cause: error }) });
}

/** Of any status: releases before 0.12 end such a call as one that its client has cancelled. */
const TOKEN_REFUSED = /^token authoriz?ation failed/i;

/** "Model not found: m", and in the next line "org.pytorch.serve.archive.model.ModelNotFoundException" or "…Exception.()". */
const ANSWERED = /^([\s\S]*)\n([\w.$]{1,200}Exception)(?:\.\(\))?\s*$/;

/** These have the status INTERNAL, whatever they say. */
const BY_EXCEPTION: ReadonlyMap<string, number> = new Map([
  ['ModelNotFoundException', 404],
  ['ModelVersionNotFoundException', 404],
  ['BadRequestException', 400],
]);

/** Statuses that a server gives without an exception's name: of a method that it does not have, or of a handler that has thrown. */
const WITHOUT_EXCEPTION: ReadonlySet<status> = new Set([
  // Not by this client: TorchServe does so with a message that is larger than its max_request_size.
  status.CANCELLED,
  status.INVALID_ARGUMENT,
  status.UNAUTHENTICATED,
  status.PERMISSION_DENIED,
  status.NOT_FOUND,
  status.UNIMPLEMENTED,
  status.UNKNOWN,
]);

/** TorchServe's own table, the other way round (frontend/server, `GRPCUtils.getGRPCStatusCode`). */
const STATUSES: Partial<Record<status, number>> = {
  [status.INVALID_ARGUMENT]: 400,
  [status.FAILED_PRECONDITION]: 400,
  [status.UNAUTHENTICATED]: 401,
  [status.PERMISSION_DENIED]: 403,
  [status.NOT_FOUND]: 404,
  [status.ABORTED]: 409,
  [status.OUT_OF_RANGE]: 416,
  [status.RESOURCE_EXHAUSTED]: 429,
  [status.UNIMPLEMENTED]: 501,
  [status.UNAVAILABLE]: 503,
  [status.DEADLINE_EXCEEDED]: 504,
};

function statusOf(code: status, message: string): number {
  // Of these REST tells the status, and gRPC only that it was an internal error.
  if (/\bno worker\b/i.test(message)) return 503;
  if (/^(out of resources|system out of memory)/i.test(message)) return 507;
  return STATUSES[code] ?? 500;
}

const answer = (code: number, type: string, message: string): Answer => ({
  status: code,
  headers: new Headers({ 'content-type': 'application/json' }),
  body: Buffer.from(JSON.stringify({ code, type, message })),
});
