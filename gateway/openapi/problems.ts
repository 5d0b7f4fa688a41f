import { ERRORS, type ErrorCode, errorRow } from '../../pipelines/errors.js';
import type { AnswerDoc, RouteDoc, Schema } from './route-doc.js';
import { component } from './schemas.js';

/** Errors of every route that is not `open`: its caller is authenticated first. */
const OF_CALLERS: readonly ErrorCode[] = ['UNAUTHENTICATED', 'ISSUER_UNAVAILABLE', 'FORBIDDEN', 'RATE_LIMITED'];
/** Errors of every route: an invalid HTTP request, and an internal error. */
const OF_ALL: readonly ErrorCode[] = ['INVALID_HEADER', 'INTERNAL'];
/** Errors of routes that read a body. */
export const OF_BODIES: readonly ErrorCode[] = [
  'INVALID_JSON',
  'BODY_TOO_LARGE',
  'BODY_MEMORY_FULL',
  'UNSUPPORTED_CONTENT_TYPE',
  'REQUEST_TIMEOUT',
];
/** Errors of routes about one run. */
export const OF_RUNS: readonly ErrorCode[] = ['RUN_NOT_FOUND', 'OVERLOADED', 'ORCHESTRATOR_UNAVAILABLE'];

/** Codes that no response has: they are used in logs, pipeline definitions and the command line. */
const NEVER_OF_A_RUN: ReadonlySet<string> = new Set<ErrorCode>([
  'REQUEST_ABORTED',
  'INVALID_PIPELINE',
  'INVALID_SETTING',
  'GATEWAY_UNAVAILABLE',
  ...(Object.keys(ERRORS).filter((code) => code.startsWith('STACK_')) as ErrorCode[]),
  ...(['ROUTE_NOT_FOUND', 'METHOD_NOT_ALLOWED', 'RANGE_NOT_SATISFIABLE', 'RUN_NOT_FOUND', 'RUN_ENDED'] as const),
  ...(['NOT_WAITING', 'ALREADY_DECIDED'] as const),
  'NOT_RESUMABLE',
  'RECORD_INCOMPLETE',
  ...(['RUN_NOT_ENDED', 'NO_WEBHOOK', 'WEBHOOK_UNDELIVERED'] as const),
]);

/** Errors of a run whose end the caller waits for; new codes are included unless they are excluded here. */
export const OF_WAITED_RUNS = (Object.keys(ERRORS) as ErrorCode[]).filter((code) => !NEVER_OF_A_RUN.has(code));

/** The codes of a route, in the order of the error table. */
export function problemsOf({ problems = [], body, path }: RouteDoc, open: boolean): readonly ErrorCode[] {
  const all = new Set<ErrorCode>([
    ...problems,
    ...OF_ALL,
    ...(open ? [] : OF_CALLERS),
    ...(body ? OF_BODIES : []),
    // A path segment that is too long or cannot be decoded.
    ...(path ? (['ROUTE_NOT_FOUND'] as const) : []),
  ]);
  return (Object.keys(ERRORS) as ErrorCode[]).filter((code) => all.has(code));
}

/** The error responses of a route, by status. */
export function problemAnswers(doc: RouteDoc, open: boolean): Record<number, AnswerDoc> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of problemsOf(doc, open)) {
    const status = doc.problemStatus?.(code) ?? errorRow(code).status;
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return Object.fromEntries([...byStatus].map(([status, codes]) => [status, answerOf(doc, codes)]));
}

function answerOf({ problemContent }: RouteDoc, codes: readonly ErrorCode[]): AnswerDoc {
  const description = codes.map((code) => `\`${code}\`: ${errorRow(code).title}`).join('\n\n');
  const schema: Schema = { allOf: [component('Problem'), { properties: { code: { enum: codes } } }] };
  return { description, content: problemContent ?? { 'application/problem+json': { schema } } };
}
