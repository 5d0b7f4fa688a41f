import { MillraceError } from '../../pipelines/errors.js';
import type { StageCall } from '../../pipelines/run/index.js';
import { CALL_KINDS, codeName, type DefinedKinds, isDefinedKind, kindNamed } from '../../pipelines/stages/index.js';
import type { CodeStage } from '../../pipelines/stages/kind.js';

/** Looks up a function by its name and version. */
export interface Functions {
  get(name: string, version?: string): CodeStage | undefined;
}

/** What a worker has of its deployment. */
export interface Known {
  readonly code: Functions;
  /** The kinds made with `defineKind`. Absent: none. */
  readonly kinds?: DefinedKinds;
}

/** What a call needs and a worker does not have. */
export interface Lack {
  readonly code: 'CODE_NOT_FOUND' | 'KIND_NOT_FOUND';
  readonly what: string;
}

type Needs = Pick<StageCall, 'kind' | 'model' | 'codeVersion'>;

/** Undefined if the worker has the version of the function and the definition of the kind that a call needs. */
export function lackOf({ code, kinds }: Known, { kind, model, codeVersion }: Needs): Lack | undefined {
  if (!kindNamed(kind, kinds) && !Object.hasOwn(CALL_KINDS, kind)) return lackOfKind(kind);
  if (kind !== 'code' || codeVersion === undefined || code.get(model, codeVersion)) return undefined;
  return { code: 'CODE_NOT_FOUND', what: `code ${codeName(model, codeVersion)}` };
}

/** A kind that is not made with `defineKind` is one of another release. */
export const lackOfKind = (kind: string): Lack => ({
  code: 'KIND_NOT_FOUND',
  what: isDefinedKind(kind) ? `definition of the kind "${kind}"` : `stage kind "${kind}", which is of another release`,
});

/**
 * Another worker may have it. A call of a kind waits in its queue and uses no attempt; one of a function is taken to
 * the queues of its version.
 */
export const lacking = ({ code, what }: Lack): MillraceError =>
  new MillraceError(code, `this worker has no ${what}`, code === 'KIND_NOT_FOUND' ? { unsent: true } : {});
