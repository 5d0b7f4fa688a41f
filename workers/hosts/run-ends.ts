import type { InjectedSinks } from '@temporalio/worker';
import { keepNewest } from '../../pipelines/keep-newest.js';
import { splitRun } from '../../pipelines/run/index.js';
import { boundedLabel } from '../../telemetry/bounded-label.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { RunSinks } from '../../workflows/run-end.js';

/**
 * Number of ends that are remembered; the oldest are dropped first. A workflow whose last task Temporal has rejected,
 * for example because a signal arrived, ends again within seconds.
 */
const MOST_REMEMBERED = 10_000;

/**
 * Counts runs as their workflows end, on any host. A child run is part of its run. A run that is terminated, or that
 * Temporal ends for lack of a worker, ends without its workflow and is not counted.
 */
export function runSinks({ runs, runSeconds }: Pick<Metrics, 'runs' | 'runSeconds'>): InjectedSinks<RunSinks> {
  const counted = new Set<string>();
  const labelOf = boundedLabel();
  return {
    runs: {
      ended: {
        fn({ workflowId, runId, workflowType }, status, startedAt) {
          if (splitRun(workflowId).inside !== '' || counted.has(runId)) return;
          counted.add(runId);
          keepNewest(counted, MOST_REMEMBERED);
          const labels = { pipeline: labelOf(workflowType), status };
          runs.inc(labels);
          // By the clocks of two machines: the start is by Temporal's.
          runSeconds.observe(labels, Math.max(0, Date.now() - startedAt) / 1_000);
        },
      },
    },
  };
}
