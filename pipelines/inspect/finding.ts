/** An error, or a probable mistake, in a definition. */
export interface Finding {
  readonly level: 'error' | 'warning';
  /** Name of the pipeline; `-` if unknown. */
  readonly pipeline: string;
  /** Id of the stage or step; `input` or `output`; `-` for the whole pipeline. */
  readonly stage: string;
  /** A code of the error table, or of `WARNINGS`. */
  readonly code: string;
  readonly message: string;
  /** What to change. */
  readonly remedy: string;
  /** Place in the author's code: `pipelines.ts:12:5`. */
  readonly at?: string;
}

/** Probable mistakes in the source of a definition, which its plan does not show. */
export const SOURCE_WARNINGS = {
  REFERENCE_TESTED: 'branch with when(); inside a condition use and(), or(), not(), has()',
  REFERENCE_COMPARED: 'compare with eq(), ne(), lt(), …; has() tells whether a value is present',
  REFERENCE_DEFAULT: 'use either(), or .default() in the schema of the input',
  REFERENCE_IN_FUNCTION: 'give the value to the stage as a field of its input',
  FROZEN_VALUE: 'take the value from the input, or compute it in a code() function',
  CAUGHT_STAGE: 'give the stage a fallback or optional: true; it fails in a run, not here',
  STATE_IN_FUNCTION: 'keep it in a store, or return it: each worker has its own copy, and retries change it again',
  NOT_SCANNED: 'look there yourself for conditions that test a reference',
} as const;

/** What is allowed but rarely intended, with what to change. */
export const WARNINGS = {
  UNUSED_STAGE: 'read its output, return it, or remove the stage',
  UNUSED_INPUT: 'read it, or remove it from the input’s schema',
  CONSTANT_CACHE_KEY: 'derive the key from the input: otherwise every run gets the first one’s answer',
  CONSTANT_CONDITION: 'compare with a value of the run, or remove the branch',
  TOTAL_NOT_REACHED: 'give a shorter total or more attempts, unless waits may take that long',
  TOTAL_CUTS_RETRIES: 'give a longer total, a shorter attempt, or one attempt',
  LONG_INLINE_ATTEMPT: 'make it queued, or give it a shorter timeout.attempt',
  REPEATED_WRITE: 'remove the hedge: a second call of this method may repeat its effect',
  CACHED_WRITE: 'remove the cache: a hit would skip the write',
  SAME_FALLBACK: 'name another model, or give the stage more attempts instead',
  LATE_ANSWER: 'pass said.sentences, which are there while the agent works, or text for the answer alone',
  ...SOURCE_WARNINGS,
} as const;
export type WarningCode = keyof typeof WARNINGS;

/** One line: pipeline, stage, code, message (place) — what to change. */
export const findingLine = ({ pipeline, stage, code, message, remedy, at }: Finding): string =>
  `${pipeline} ${stage} ${code} ${message}${at === undefined ? '' : ` (${at})`} — ${remedy}`;

/** The step named by a field of an error's details: `answer` for `answer.retry.attempts`. */
export const stageOf = (field: string): string => field.split(/[.[]/, 1)[0] || '-';
