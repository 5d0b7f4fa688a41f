import { type Decision, resumedPath } from '../../pipelines/run/index.js';
import { type ApprovalRequest, aboutOf } from './approval-request.js';
import type { Run } from './state.js';

/** The decision on the same subject at the same path in the runs that this one resumes, whether or not its item had begun again there, or does here. */
export function decidedBefore({ context, table }: Run, request: ApprovalRequest): Decision | undefined {
  const { stage, path } = request;
  const [, before] =
    Object.entries(context.decisions ?? {}).find(
      ([at, { about }]) => resumedPath(at) === resumedPath(path) && about === aboutOf(request),
    ) ?? [];
  if (before?.about === undefined) return undefined;
  const { about, tool, carriedBy, ...decision } = before;
  const of = { ...(tool !== undefined && { tool }), ...(carriedBy !== undefined && { carriedBy }) };
  table.decided(stage, { path, ...decision, about, ...of });
  return decision;
}
