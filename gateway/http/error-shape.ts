import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ErrorCode, MillraceError } from '../../pipelines/errors.js';
import type { RunDocument } from '../../runs/document.js';
import { swallowRest } from '../input/upload.js';
import { sharedJson } from './document-turns.js';
import { headersOf, PROBLEM_TYPE, problemOf } from './problem.js';

/** An error in the format of one protocol. */
export interface ErrorAnswer {
  readonly status: number;
  readonly type: string;
  readonly body: object;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Error format of some paths. */
export interface ErrorShape {
  /** Whether it applies to an error at a path without its query. */
  speaks(path: string, code: ErrorCode): boolean;
  answer(error: MillraceError, request: FastifyRequest): ErrorAnswer;
}

/** Headers of the response that the error replaces. */
const OF_THE_BODY = ['etag', 'accept-ranges', 'content-disposition', 'content-length', 'cache-control'];

/** Responds with an error in the format of the path, by default a problem (RFC 9457). */
export function sendError(
  shapes: readonly ErrorShape[],
  error: MillraceError,
  request: FastifyRequest,
  reply: FastifyReply,
): void {
  const path = request.url.split('?', 1)[0] as string;
  const { status, type, body, headers } = (shapes.find((shape) => shape.speaks(path, error.code)) ?? PROBLEMS).answer(
    error,
    request,
  );
  Object.assign(request.notes, { code: error.code, error });
  for (const header of OF_THE_BODY) reply.removeHeader(header);
  swallowRest(request.raw, reply);
  reply
    .code(status)
    .headers({ ...headersOf(error, request.hint), ...headers })
    .type(type)
    .send(body);
}

/** The document of a run that many have waited for is made a text once. */
const withRun = (problem: object, run: RunDocument): Buffer =>
  Buffer.concat([Buffer.from(`${JSON.stringify(problem).slice(0, -1)},"run":`), sharedJson(run), Buffer.from('}')]);

const PROBLEMS: ErrorShape = {
  speaks: () => true,
  answer(error, request) {
    const { run, ...problem } = problemOf(error, request);
    const body = run === undefined ? problem : withRun(problem, run);
    return { status: problem.status, type: PROBLEM_TYPE, body };
  },
};
