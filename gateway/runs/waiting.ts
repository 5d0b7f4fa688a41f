import { WorkflowNotFoundError } from '@temporalio/common';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import { WAITING_QUERY } from '../../pipelines/plan/index.js';
import type { GatewayDeps } from '../deps.js';
import { fromTemporal, TEMPORAL_DEADLINE_MS } from './orchestrator.js';

/** Child runs of one run that are asked at a time, each for three calls of Temporal; of a run with more the stage is to be named. */
const MOST_CHILDREN = 32;

/** A stage that waits for a person. */
export interface WaitingStage {
  /** From the run that was asked on: behind the steps that are child runs, its path in its own. */
  readonly path: string;
  /** The workflow that it is in. */
  readonly workflowId: string;
  /** Its path there. */
  readonly inside: string;
}

/**
 * The stages of a run and of its child runs that wait for a decision. A run is asked itself, which takes a worker; its child
 * runs are those that Temporal lists as pending, under ids that are the run's and their step's path.
 * @param stage where one is named: of the child runs only those that it can be in are asked
 */
export async function waitingIn(deps: GatewayDeps, id: string, stage?: string): Promise<readonly WaitingStage[]> {
  return await ask(deps, { id, workflowId: id, stage });
}

interface Asked {
  /** The run that the caller knows. */
  readonly id: string;
  readonly workflowId: string;
  readonly stage: string | undefined;
}

async function ask(deps: GatewayDeps, { id, workflowId, stage }: Asked): Promise<readonly WaitingStage[]> {
  const prefix = workflowId.slice(id.length + 1);
  const own = (await waitingOf(deps, workflowId)).map((inside) => ({
    path: prefix === '' ? inside : `${prefix}/${inside}`,
    workflowId,
    inside,
  }));
  if (stage !== undefined && own.some(({ path }) => path === stage)) return own;
  const all = await childrenOf(deps, workflowId);
  const children =
    stage === undefined ? all : all.filter((child) => stage.startsWith(`${child.slice(id.length + 1)}/`));
  if (children.length > MOST_CHILDREN) {
    const message = `must be given: the run has ${children.length} child runs, too many to ask them all`;
    throw invalidFields('INVALID_INPUT', [{ field: 'stage', message }]);
  }
  const below = await Promise.all(children.map((child) => ask(deps, { id, workflowId: child, stage })));
  return [...own, ...below.flat()];
}

async function waitingOf({ temporal }: GatewayDeps, workflowId: string): Promise<readonly string[]> {
  try {
    return await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.getHandle(workflowId).query<readonly string[]>(WAITING_QUERY),
    );
  } catch (error) {
    const message = 'no worker says what the run waits for; try again';
    throw new MillraceError('ORCHESTRATOR_UNAVAILABLE', message, {}, { cause: error });
  }
}

/** The ids of its child runs; of one that has just ended, none. */
async function childrenOf({ temporal }: GatewayDeps, workflowId: string): Promise<readonly string[]> {
  try {
    const { raw } = await temporal.withDeadline(Date.now() + TEMPORAL_DEADLINE_MS, () =>
      temporal.workflow.getHandle(workflowId).describe(),
    );
    const ids = (raw.pendingChildren ?? []).map((child) => child.workflowId ?? '');
    return ids.filter((child) => child.startsWith(`${workflowId}/`));
  } catch (error) {
    if (error instanceof WorkflowNotFoundError) return [];
    throw fromTemporal(error, workflowId);
  }
}
