import type { Decision } from '../../pipelines/plan/index.js';
import type { Asked } from './approve.js';
import { sha256 } from './digest.js';
import type { Run } from './state.js';

/** What a decision is about, to be told from all else: an agent's call by its arguments, which its words may not have in full. */
export const aboutOf = ({ subject, call }: Pick<Asked, 'subject' | 'call'>): string => call?.digest ?? sha256(subject);

/** What was decided of the same at the same place in the run that this one resumes. */
export function decidedBefore({ context, table }: Run, asked: Asked): Decision | undefined {
  const { stage, path } = asked;
  const before = context.decisions?.[path];
  if (before === undefined || before.about !== aboutOf(asked)) return undefined;
  const { about, ...decision } = before;
  table.decided(stage, { path, ...decision, about });
  return decision;
}
