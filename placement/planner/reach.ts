import type { FieldError } from '../../pipelines/errors.js';
import { invalidFields } from '../../pipelines/invalid-fields.js';
import type { Load, SimulatedStage } from '../simulator/index.js';
import type { NamedStage } from './drafts.js';
import { attainableMs, type LeastTimes } from './least-times.js';
import { runsByPipeline, valuesOf } from './own-runs.js';
import { longestPaths } from './paths.js';
import type { Objective } from './problem.js';

/** What times may be off by. */
const ROUNDING = 1e-9;

/**
 * Throws `SLO_UNREACHABLE` if more runs of a pipeline than may be late take longer than an objective for whole runs allows, even on idle devices. It names the
 * least objective that they may meet, and what the stages take of the run that decides.
 */
export function checkReach(
  { p95Ms, p99Ms }: Objective,
  times: LeastTimes,
  stages: readonly SimulatedStage[],
  named: readonly NamedStage[],
  load: Load,
): void {
  const several = runsByPipeline(load).map(({ runs }) => runs);
  const pipelines = several.length > 0 ? several : [Int32Array.from(times.wholeMs.keys())];
  const demands = (
    [
      ['--slo-p95', p95Ms, 0.95],
      ['--slo-p99', p99Ms, 0.99],
    ] as const
  ).flatMap((demand) => pipelines.map((runs) => [...demand, runs] as const));
  for (const [option, ms, share, runs] of demands) {
    if (ms === undefined) continue;
    const wholeMs = valuesOf(times.wholeMs, runs);
    const failing = wholeMs.filter(Number.isNaN).length;
    const least = attainableMs(wholeMs, share, failing);
    if (ms >= least * (1 - ROUNDING)) continue;
    const run = runs[wholeMs.indexOf(least)] ?? -1;
    const own = times.stagesMs(run);
    const paths = longestPaths(stages, own, (v) => times.isIdle(v, run));
    const on = named.flatMap(({ stage, pipeline }, v) =>
      (own[v] ?? 0) > 0 && (paths[v] ?? 0) >= least * (1 - ROUNDING) ? [{ stage, pipeline, v }] : [],
    );
    const fields = on.map(({ stage, pipeline, v }): FieldError => {
      const best = times.fastest(v, run);
      const where = best?.source.at([best.profile.batching === 'dynamic' ? 'latency' : 'prefill']) ?? stage.id;
      return { field: where, message: `${pipeline.name}/${stage.id} takes ${Math.round(own[v] ?? 0)} ms at best` };
    });
    const about = Math.ceil(least * (1 - ROUNDING));
    const message = `${ms} ms is less than the ${about} ms that the stages of ${on[0]?.pipeline.name ?? ''} take one after the other on idle devices: allow more than ${about} ms, or profile faster variants or devices`;
    throw invalidFields('SLO_UNREACHABLE', [{ field: option, message }, ...fields]);
  }
}
