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
}

/** What is allowed but rarely intended, with what to change. */
export const WARNINGS = {
  UNUSED_STAGE: 'read its output, return it, or remove the stage',
  UNUSED_INPUT: 'read it, or remove it from the input’s schema',
  CONSTANT_CACHE_KEY: 'derive the key from the input: otherwise every run gets the first one’s answer',
  CONSTANT_CONDITION: 'compare with a value of the run, or remove the branch',
  TOTAL_NOT_REACHED: 'give a shorter total, or more attempts',
  TOTAL_CUTS_RETRIES: 'give a longer total, a shorter attempt, or one attempt',
  LONG_INLINE_ATTEMPT: 'make it queued, or give it a shorter timeout.attempt',
  REPEATED_WRITE: 'remove the hedge: a second call of this method may repeat its effect',
  CACHED_WRITE: 'remove the cache: a hit would skip the write',
  SAME_FALLBACK: 'name another model, or give the stage more attempts instead',
} as const;
export type WarningCode = keyof typeof WARNINGS;

/** One line: pipeline, stage, code, message — what to change. */
export const findingLine = ({ pipeline, stage, code, message, remedy }: Finding): string =>
  `${pipeline} ${stage} ${code} ${message} — ${remedy}`;

/** The step named by a field of an error's details: `answer` for `answer.retry.attempts`. */
export const stageOf = (field: string): string => field.split(/[.[]/, 1)[0] || '-';
