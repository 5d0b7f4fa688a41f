import type { Decision } from '../../pipelines/run/index.js';
import { type Asked, aboutOf } from './asked.js';
import type { Run } from './state.js';

/** The decision on the same subject at the same path in the run that this one resumes. */
export function decidedBefore({ context, table }: Run, asked: Asked): Decision | undefined {
  const { stage, path } = asked;
  const before = context.decisions?.[path];
  if (before === undefined || before.about !== aboutOf(asked)) return undefined;
  const { about, ...decision } = before;
  table.decided(stage, { path, ...decision, about });
  return decision;
}
