import type { WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { WAITING_QUERY, type Wait } from '../pipelines/run/index.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** Child runs of one run that are asked in all, each for two calls of Temporal. */
export const MOST_CHILDREN = 32;

/** A run, or a child run of it. */
export interface Within {
  /** The run that the caller knows. */
  readonly id: string;
  readonly workflowId: string;
}

/** Where a child run stands in the run, as a prefix of its stages' paths: `far/deeper/`. */
export const prefixOf = ({ id, workflowId }: Within): string =>
  workflowId === id ? '' : `${workflowId.slice(id.length + 1)}/`;

type Temporal = Pick<RunDeps, 'temporal'>;

/**
 * What a run and its child runs wait for people to decide, with paths from the run. Each is asked itself, which takes a worker.
 * @param children those of the run, where they are known
 */
export async function waitingIn(deps: Temporal, id: string, children?: readonly string[]): Promise<readonly Wait[]> {
  return await ask(deps, { id, workflowId: id }, { children: MOST_CHILDREN }, children);
}

async function ask(
  deps: Temporal,
  of: Within,
  left: { children: number },
  known?: readonly string[],
): Promise<readonly Wait[]> {
  const prefix = prefixOf(of);
  const waits = await deps.temporal.workflow.getHandle(of.workflowId).query<readonly Wait[]>(WAITING_QUERY);
  const own = waits.map((wait) => ({ ...wait, path: `${prefix}${wait.path}` }));
  const children = (known ?? (await childrenOf(deps, of.workflowId))).slice(0, left.children);
  left.children -= children.length;
  const below = await Promise.all(
    children.map((workflowId) => ask(deps, { id: of.id, workflowId }, left).catch(() => [])),
  );
  return [...own, ...below.flat()];
}

/** The ids of the child runs under way of a run; of one that has just ended, none. */
export async function childrenOf({ temporal }: Temporal, workflowId: string): Promise<readonly string[]> {
  try {
    return pendingIn(
      workflowId,
      await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
        temporal.workflow.getHandle(workflowId).describe(),
      ),
    );
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw fromTemporal(error, workflowId);
  }
}

/** Those of them that Temporal lists as pending, under ids that are the run's and their step's path. */
export const pendingIn = (workflowId: string, { raw }: Pick<WorkflowExecutionDescription, 'raw'>): readonly string[] =>
  (raw.pendingChildren ?? [])
    .map((child) => child.workflowId ?? '')
    .filter((child) => child.startsWith(`${workflowId}/`));
