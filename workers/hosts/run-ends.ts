import type { InjectedSinks } from '@temporalio/worker';
import { splitRun } from '../../pipelines/run/index.js';
import { boundedLabel } from '../../telemetry/bounded-label.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { RunSinks } from '../../workflows/run-end.js';

/**
 * Ends that are remembered, the oldest go first. A workflow whose last task Temporal has refused, as when a signal came meanwhile,
 * ends again within seconds.
 */
const MOST_REMEMBERED = 10_000;

/**
 * Counts runs as their workflows end, whatever has run them. A child run is a part of its run. A run that is terminated, or that
 * Temporal itself ends in want of a worker, ends without its workflow, and is not counted.
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
          const [oldest] = counted;
          if (counted.size > MOST_REMEMBERED && oldest !== undefined) counted.delete(oldest);
          const labels = { pipeline: labelOf(workflowType), status };
          runs.inc(labels);
          // Two machines' clocks: the start is by Temporal's.
          runSeconds.observe(labels, Math.max(0, Date.now() - startedAt) / 1_000);
        },
      },
    },
  };
}
