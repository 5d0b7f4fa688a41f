/** Something that is wrong with a definition, or probably is. */
export interface Finding {
  readonly level: 'error' | 'warning';
  /** Name of the pipeline; `-` where it is not known. */
  readonly pipeline: string;
  /** Id of the stage or step; `input` or `output`; `-` where the whole pipeline is meant. */
  readonly stage: string;
  /** A code of the error table, or of `WARNINGS`. */
  readonly code: string;
  readonly message: string;
  /** What to change. */
  readonly remedy: string;
}

/** What is allowed and hardly ever meant, with what to change. */
export const WARNINGS = {
  UNUSED_STAGE: 'read its output, return it, or leave the stage out',
  UNUSED_INPUT: 'read it, or take it out of the input’s schema',
  CONSTANT_CACHE_KEY: 'make the key of what the caller sends: every run would get the first one’s answer',
  CONSTANT_CONDITION: 'compare with something that a run decides, or leave the branch out',
  TOTAL_NOT_REACHED: 'give a shorter total, or more attempts',
  TOTAL_CUTS_RETRIES: 'give a longer total, a shorter attempt, or one attempt',
  LONG_INLINE_ATTEMPT: 'make it queued, or give it a shorter timeout.attempt',
  REPEATED_WRITE: 'leave the hedge out: a second call of this method may do its work twice',
  CACHED_WRITE: 'leave the cache out: a hit would not do the work',
  SAME_FALLBACK: 'name another model, or give the stage more attempts instead',
} as const;
export type WarningCode = keyof typeof WARNINGS;

/** One line: pipeline, stage, code, message — what to change. */
export const findingLine = ({ pipeline, stage, code, message, remedy }: Finding): string =>
  `${pipeline} ${stage} ${code} ${message} — ${remedy}`;

/** The step that a field of an error's details names: `answer` of `answer.retry.attempts`. */
export const stageOf = (field: string): string => field.split(/[.[]/, 1)[0] || '-';
