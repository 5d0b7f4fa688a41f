import type { Connection } from '@temporalio/client';
import { allSteps, isStage } from '../../pipelines/plan/index.js';
import { traitsOf } from '../../pipelines/stages/index.js';
import { alternativesOf } from '../../placement/place.js';
import { pollersOf } from '../../temporal/pollers.js';
import { loadDeployment } from '../../workers/pipelines.js';
import type { Settings } from '../../workers/settings.js';
import { type Finding, pass, warn } from './finding.js';

/**
 * Whether a worker polls each queue of the pipelines' stages `activity` and `workflow`. A module that cannot be loaded
 * is reported by another check.
 */
export async function foreignFindings(connection: Connection, settings: Settings): Promise<Finding[]> {
  const deployment = await loadDeployment(settings).catch(() => undefined);
  const stages = (deployment?.pipelines ?? []).flatMap(({ plan }) => [...allSteps(plan)].filter(isStage));
  const uses = stages.flatMap((stage) => [stage, ...alternativesOf(stage)]);
  const foreign = uses.filter((use) => traitsOf(use)?.servedBy === 'temporal');
  const queues = new Map(foreign.map(({ kind, with: { queue } }) => [`${kind} ${String(queue)}`, { kind, queue }]));
  return await Promise.all(
    [...queues.values()].map(async ({ kind, queue }) => {
      const name = String(queue);
      const what = kind === 'workflow' ? 'workflows' : 'stages';
      const workers = await pollersOf(connection, settings.TEMPORAL_NAMESPACE, name, what);
      const polled = kind === 'workflow' ? 'workflows' : 'activities';
      if (workers.length > 0) return pass('temporal.foreign', name, `${workers.length} workers poll it for ${polled}`);
      const detail = `no worker polls the task queue "${name}" for ${polled}: stages wait there`;
      return warn('temporal.foreign', name, detail, 'start its worker, in the namespace of TEMPORAL_NAMESPACE');
    }),
  );
}
