import type { RunContext } from '../../pipelines/run/index.js';

/** Whose conversations a run's agents take part in; child runs inherit it from the run that was called. */
export const sessionsOf = ({ sessionsOf: given, plan }: RunContext): string => given ?? plan.name;
