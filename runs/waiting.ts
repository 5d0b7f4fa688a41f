import type { WorkflowExecutionDescription } from '@temporalio/client';
import { WorkflowNotFoundError } from '@temporalio/common';
import { MOST_PAYLOAD_BYTES } from '../pipelines/json-limits.js';
import { fittingWaits, WAITING_QUERY, type Wait } from '../pipelines/run/index.js';
import type { RunDeps } from './deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** Most child runs that are queried for one run; each takes two calls to Temporal. */
export const MOST_CHILDREN = 32;

/** A run or one of its child runs. */
export interface Within {
  /** The id of the parent run, as the caller knows it. */
  readonly id: string;
  readonly workflowId: string;
}

/** The path of a child run as a prefix of its stages' paths: `far/deeper/`. */
export const prefixOf = ({ id, workflowId }: Within): string =>
  workflowId === id ? '' : `${workflowId.slice(id.length + 1)}/`;

type Temporal = Pick<RunDeps, 'temporal'>;

/**
 * The open waits of a run and its child runs, with paths relative to the run, shortened where they are too large. Queries each workflow, which takes a
 * worker.
 * @param children ids of the child runs, if known
 * @param most bytes of all together. Default: as many as one workflow answers with
 */
export async function waitingIn(
  deps: Temporal,
  id: string,
  children?: readonly string[],
  most = MOST_PAYLOAD_BYTES,
): Promise<readonly Wait[]> {
  const waits = await ask(deps, { id, workflowId: id }, { children: MOST_CHILDREN }, children);
  return fittingWaits(waits, most);
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

/** The ids of a run's running child runs; none if the run has just ended. */
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

/** The child runs that Temporal lists as pending; their ids are `<run>/<path of the step>`. */
export const pendingIn = (workflowId: string, { raw }: Pick<WorkflowExecutionDescription, 'raw'>): readonly string[] =>
  (raw.pendingChildren ?? [])
    .map((child) => child.workflowId ?? '')
    .filter((child) => child.startsWith(`${workflowId}/`));
