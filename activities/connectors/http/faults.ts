import { type ErrorCode, MillraceError } from '../../../pipelines/errors.js';
import { isJsonObject, type Json, type JsonObject } from '../../../pipelines/json.js';
import type { Answer } from '../exchange.js';
import { codeOfStatus, HttpFault, shortened } from '../http-fault.js';
import { parseJson, valueAt } from '../json-values.js';
import { retryAfterMs } from '../retry-after.js';
import { isNotReady } from '../unsent.js';
import type { Api, Rule } from './api.js';
import { holds } from './condition.js';
import type { Scope } from './template.js';

/** Where servers of the field have the message of a failure: the first that has something. */
const MESSAGES = [
  ...[
    '/body/error/message',
    '/body/error',
    '/body/message',
    '/body/detail/0/msg',
    '/body/detail',
    '/body/errorMessage',
  ],
  ...['/body/errors/0/message', '/body/errors/0', '/body/msg', '/body/reason', '/body'],
];

/** Of an answer that rules look into, in characters: what a server says of itself, or of a failure, is shorter. */
const LONGEST_FAILURE = 1_024 * 1_024;

/** What rules and templates see of an answer. A body that is no JSON is a text. */
export function answerScope({ status, headers }: Pick<Answer, 'status' | 'headers'>, text: string): Scope {
  const shown = text.slice(0, LONGEST_FAILURE);
  let body: Json;
  try {
    body = parseJson(shown, (problem) => new MillraceError('INVALID_OUTPUT', problem));
  } catch {
    body = shown;
  }
  return { status, headers: Object.fromEntries(headers), body, text: shown };
}

/** The first rule that fits an answer. */
export const ruleFor = (rules: readonly Rule[], scope: Scope): Rule | undefined =>
  rules.find(({ status, when = [] }) => {
    const given = Number(scope.status);
    return [status].flat().some((each) => fits(each, given)) && [when].flat().every((each) => holds(each, scope));
  });

const fits = (wanted: number | string, status: number): boolean =>
  typeof wanted === 'number' ? wanted === status : wanted === `${Math.floor(status / 100)}xx`;

/** The error of a failed answer. Without a rule its status decides. */
export function failureOf({ errors, message }: Pick<Api, 'errors' | 'message'>, answer: Answer): MillraceError {
  const text = answer.body.toString('utf8');
  const scope = answerScope(answer, text);
  const detail = shortened(messageIn(scope, message ?? MESSAGES));
  const fault = new HttpFault(answer, detail);
  const rule = ruleFor(errors, scope);
  return errorOf(rule, fault, rule?.code ?? codeOfStatus(fault));
}

/** The error that an answer of a successful status has inside; undefined if there is none. */
export function failureWithin(
  { errors, message }: Pick<Api, 'errors' | 'message'>,
  scope: Scope,
  headers: Headers,
): MillraceError | undefined {
  const rule = ruleFor(errors, scope);
  if (!rule) return undefined;
  const detail = shortened(messageIn(scope, message ?? MESSAGES));
  return errorOf(rule, new HttpFault({ status: Number(scope.status), headers }, detail), rule.code);
}

/** Members that servers have for failures alone. */
const ABOUT_FAILURES = MESSAGES.filter((pointer) => /error|detail/.test(pointer));

/**
 * What an answer says of a failure that no rule knows: servers report failures as successes too. Empty if it says nothing.
 */
export const saidWithin = ({ message }: Pick<Api, 'message'>, scope: Scope): string =>
  shortened(
    messageIn(
      scope,
      (message ?? ABOUT_FAILURES).filter((pointer) => pointer !== '/body'),
    ),
  );

/** The status under which rules see the failure of a job that is an object: that of "failed dependency". */
const OF_A_JOB = 424;

/** The error of a job whose failure is an object and no answer. */
export function failureOfJob(
  { errors, message }: Pick<Api, 'errors' | 'message'>,
  { headers, body }: Pick<Answer, 'headers' | 'body'>,
): MillraceError {
  const scope = answerScope({ status: OF_A_JOB, headers }, body.toString('utf8'));
  const rule = ruleFor(errors, scope);
  const detail = shortened(messageIn(scope, message ?? MESSAGES));
  return new MillraceError(rule?.code ?? 'BACKEND_ERROR', `the job failed: ${detail}`, {
    ...(rule?.retryAfterMs !== undefined && { retryAfterMs: rule.retryAfterMs }),
  });
}

function errorOf(rule: Rule | undefined, fault: HttpFault, code: ErrorCode): MillraceError {
  const unsent = code === 'BACKEND_UNAVAILABLE' && (rule?.unsent ?? isNotReady(fault.status, fault.detail));
  const wait = fault.retryAfterMs ?? rule?.retryAfterMs;
  return new MillraceError(code, fault.message, {
    ...(wait !== undefined && { retryAfterMs: wait }),
    ...(unsent && { unsent: true as const }),
  });
}

function messageIn(scope: Scope, pointers: readonly string[]): string {
  for (const pointer of pointers) {
    const value = valueAt(scope as JsonObject, pointer);
    if (value === undefined || value === null || value === '') continue;
    if (isJsonObject(value) && pointer !== '/body' && Object.keys(value).length === 0) continue;
    return lastLine(typeof value === 'string' ? value : JSON.stringify(value));
  }
  return '';
}

/** Of a Python traceback the last line says what happened. */
function lastLine(text: string): string {
  const trimmed = text.trim();
  return trimmed.startsWith('Traceback ') ? (trimmed.split('\n').at(-1) ?? trimmed) : trimmed;
}

/** The wait that an answer asks for, in milliseconds. */
export const waitOf = (headers: Headers): number | undefined => retryAfterMs(headers, Date.now());
