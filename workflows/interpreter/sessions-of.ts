import type { RunContext } from '../../pipelines/run/index.js';

/** Whose conversations the agents of a run take part in; child runs get it from the run that was asked for. */
export const sessionsOf = ({ sessionsOf: given, plan }: RunContext): string => given ?? plan.name;
