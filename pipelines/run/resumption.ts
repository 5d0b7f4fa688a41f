/**
 * Ids of resumed runs. A resumed run is a new run whose id names its origin: `<run>-r1` continues `<run>`, `<run>-r2`
 * continues `<run>-r1`. A run's own id ends with a UUID or a hash, neither of which contains an `r`. So each run has
 * one resumption, however often it is requested, and stages need nothing but the id to recognize it.
 */
const RESUMPTION = /-r([1-9]\d*)$/;

/** Id of the run that resumes this one. */
export function resumptionOf(run: string): string {
  const number = Number(RESUMPTION.exec(run)?.[1] ?? 0);
  return `${originOf(run)}-r${number + 1}`;
}

/** Id of the run that this one resumes; undefined for a run that started from the beginning. */
export function resumedRun(run: string): string | undefined {
  const number = Number(RESUMPTION.exec(run)?.[1] ?? 0);
  if (number === 0) return undefined;
  return number === 1 ? originOf(run) : `${originOf(run)}-r${number - 1}`;
}

/** The runs that this one resumes, the latest first; none for a run that started from the beginning. */
export function* resumedRuns(run: string): Generator<string, void> {
  for (let before = resumedRun(run); before !== undefined; before = resumedRun(before)) yield before;
}

/** The first run of a chain of resumptions, which together run each step once. */
export const originOf = (run: string): string => run.replace(RESUMPTION, '');

/**
 * Splits a run id into the root run and the path of a child run in it: `<run>/<path>`; the path may be nested further.
 */
export function splitRun(run: string): { readonly root: string; readonly inside: string } {
  const at = run.indexOf('/');
  return at < 0 ? { root: run, inside: '' } : { root: run.slice(0, at), inside: run.slice(at + 1) };
}

/**
 * Identical in every attempt of a call of a run, and in every run that resumes it, so that a service can drop a call
 * that it has already carried out. `keyTag`: as in the context of the run.
 */
export function idempotencyKeyOf(
  { path, stage, keyTag }: { readonly path?: string; readonly stage: string; readonly keyTag?: string },
  run: string,
): string {
  const { root, inside } = splitRun(run);
  const origin = keyTag === undefined ? originOf(root) : `${originOf(root)}~${keyTag}`;
  return [origin, ...(inside === '' ? [] : [inside]), path ?? stage].join('/');
}

/**
 * A path without the marks of items that have begun again with another piece (`said[0~2]`): in a run that resumes this one they may begin at once with
 * that piece, or begin again where they have not here.
 */
export const resumedPath = (path: string): string => path.replaceAll('~2]', ']');
