import type { RunContext } from '../../pipelines/run/index.js';

/** Owner of the conversations of a run's agents; child runs inherit it from the run that was called. */
export const sessionsOf = ({ sessionsOf: given, plan }: RunContext): string => given ?? plan.name;
