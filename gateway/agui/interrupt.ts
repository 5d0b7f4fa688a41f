import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { isJsonObject, type Json } from '../../pipelines/json.js';
import { decisionOf } from '../rest/decision.js';
import type { AnswerOfRun } from '../waiting/decide-as.js';
import type { Asked, NeedsInput } from '../waiting/follow-call.js';
import { lacksForm, shownSubject } from '../waiting/shown.js';
import type { RunInput } from './run-input.js';

const FORM = /^([a-z0-9-]{1,128}):(\d{1,19}-\d{1,19}):([\x21-\x39\x3b-\x7e]{1,100})$/;

/**
 * A wait as an interrupt. Its id names the run, the place in its events and the wait: any gateway can go on. Where the fields of a form are left out, an
 * approval is not offered.
 */
export function interruptOf({ run, after }: NeedsInput, wait: Asked) {
  const { nonce, call, question, until, shortened } = wait;
  const metadata = {
    ...(question && { question }),
    ...(call && { tool: call.tool, arguments: call.arguments ?? null, digest: call.digest }),
    ...(shortened && { shortened }),
  };
  return {
    id: `${run}:${after}:${nonce}`,
    reason: question === undefined ? 'approval' : 'question',
    message: shownSubject(wait),
    responseSchema: {
      type: 'object',
      properties: {
        approved: { type: 'boolean', ...(lacksForm(wait) && { const: false }) },
        ...(question?.schema && { content: question.schema }),
      },
      required: ['approved'],
    },
    expiresAt: until,
    ...(Object.keys(metadata).length > 0 && { metadata: metadata as unknown as JsonObject }),
  };
}

/** Answers to a run's interrupts. */
export interface Resumption {
  readonly run: string;
  readonly after: string;
  readonly answers: readonly AnswerOfRun[];
}

/** What a client resumes; undefined if it starts a run. Throws `INVALID_INPUT` for ids that are not of this door. */
export function resumptionOf({ resume }: RunInput): Resumption | undefined {
  if (resume.length === 0) return undefined;
  const read = resume.map(({ interruptId, status, payload }, i) => {
    const [, run, after, nonce] = FORM.exec(interruptId) ?? [];
    const field = `resume.${i}`;
    if (run === undefined || after === undefined || nonce === undefined)
      throw invalidFields('INVALID_INPUT', [
        { field: `${field}.interruptId`, message: 'is not an interrupt of this server' },
      ]);
    // A cancelled interrupt is a rejection: the client has no further way to answer it.
    if (status === 'cancelled') return { run, after, answer: { nonce, approved: false } satisfies AnswerOfRun };
    const { approved, ...given } =
      status === 'resolved' && isJsonObject(payload as Json) ? (payload as JsonObject) : ({} as JsonObject);
    if (typeof approved !== 'boolean')
      throw invalidFields('INVALID_INPUT', [{ field: `${field}.payload.approved`, message: 'must be true or false' }]);
    const decision = { ...decisionOf({ ...given, nonce }, approved, `${field}.payload`), approved } as AnswerOfRun;
    return { run, after, answer: decision };
  });
  const [first] = read as [(typeof read)[number]];
  const stray = read.findIndex(({ run }) => run !== first.run);
  if (stray >= 0)
    throw invalidFields('INVALID_INPUT', [
      { field: `resume.${stray}`, message: 'belongs to another run than the first interrupt' },
    ]);
  return { run: first.run, after: first.after, answers: read.map(({ answer }) => answer) };
}
