/**
 * A run that was resumed is a run of its own, whose id says which: `<run>-r1` goes on where `<run>` has ended, `<run>-r2` where
 * that one has. What a run's own id ends with, a UUID or a hash, has no `r`. So there is one resumption of a run, whoever
 * asks for it and how often, and nothing besides its id has to be carried along for stages to know.
 */
const RESUMPTION = /-r([1-9]\d*)$/;

/** The id of the run that goes on where this one has ended. */
export function resumptionOf(run: string): string {
  const number = Number(RESUMPTION.exec(run)?.[1] ?? 0);
  return `${originOf(run)}-r${number + 1}`;
}

/** The id of the run where this one goes on; undefined for one that has begun at its start. */
export function resumedRun(run: string): string | undefined {
  const number = Number(RESUMPTION.exec(run)?.[1] ?? 0);
  if (number === 0) return undefined;
  return number === 1 ? originOf(run) : `${originOf(run)}-r${number - 1}`;
}

/** The first run of those that go on where another has ended: all of them do the same, each step once. */
export const originOf = (run: string): string => run.replace(RESUMPTION, '');

/** A run and where in it a child run stands: `<run>/<path>`, of which each part may have one more. */
export function splitRun(run: string): { readonly root: string; readonly inside: string } {
  const at = run.indexOf('/');
  return at < 0 ? { root: run, inside: '' } : { root: run.slice(0, at), inside: run.slice(at + 1) };
}
