import type { ModelsConfig } from '../../activities/pools/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { invalidField } from '../../pipelines/invalid-fields.js';
import type { JsonObject } from '../../pipelines/json.js';
import { type Graph, graphsOf, isStage, type Plan, type StagePlan } from '../../pipelines/plan/index.js';
import type { Inventory } from '../../placement/inventory/index.js';
import { nearest } from '../../placement/source/index.js';
import { shapeOf } from '../../placement/workload/index.js';

/** What a profile without `--variant` is of: the model that the pool names. */
const DEFAULT_VARIANT = 'default';

/** A model at the endpoint where it is to be measured. */
export interface Target {
  /** The pool's name and configuration; its `model` is the server's name of the variant to measure. */
  readonly model: string;
  readonly pool: ModelsConfig[string];
  /** Stages that it serves. */
  readonly stages: readonly string[];
  /** Options of the first of them. */
  readonly with: JsonObject;
  readonly endpoint: ModelsConfig[string]['endpoints'][number];
  /** As the inventory names it. */
  readonly deviceKind: string;
}

/** The device kind behind an endpoint: one for all, or from the inventory. */
export type Kinds = { readonly deviceKind: string } | { readonly inventory: Inventory };

/**
 * The profiles that a pipeline needs: each model that a pool serves, at its first endpoint on each kind of device.
 * `only`: of these stages. `variant`: of this way of serving them, by the servers' names where pools have `variants`. Throws `INVALID_INPUT`
 * for an unknown stage, for a pool with variants that has not this one, and for an endpoint whose device the inventory does not state,
 * `MODEL_NOT_CONFIGURED` for a model without a pool, `INVALID_PIPELINE` if no pool serves any of its stages.
 */
export function targetsOf(
  plan: Plan,
  models: ModelsConfig,
  kinds: Kinds,
  only: readonly string[] = [],
  variant = DEFAULT_VARIANT,
): readonly Target[] {
  const { stages } = shapeOf(plan);
  const ids = stages.map(({ id }) => id);
  for (const id of only) {
    if (ids.includes(id)) continue;
    const message = `no pool serves a stage "${id}" of ${plan.name}${nearest(id, ids)}`;
    throw new MillraceError('INVALID_INPUT', `--stage: ${message}`, { fields: [{ field: '--stage', message }] });
  }
  const wanted = stages.filter(({ id }) => only.length === 0 || only.includes(id));
  const plans = [...stagePlans(plan)];
  return [...new Set(wanted.map(({ model }) => model))].flatMap((model): Target[] => {
    const named = models[model];
    if (named === undefined) {
      const known = Object.keys(models).join(', ') || 'none';
      const message = `no pool serves a model "${model}" (configured: ${known})`;
      throw new MillraceError('MODEL_NOT_CONFIGURED', message, { fields: [{ field: model, message }] });
    }
    const pool = { ...named, model: servedAs(model, named, variant) };
    const served = wanted.filter((stage) => stage.model === model).map(({ id }) => id);
    const found = plans.find((stage) => stage.model === model && stage.kind === pool.kind);
    const seen = new Set<string>();
    return pool.endpoints.flatMap((endpoint): Target[] => {
      const deviceKind = 'deviceKind' in kinds ? kinds.deviceKind : kindAt(kinds.inventory, endpoint);
      if (seen.has(deviceKind)) return [];
      seen.add(deviceKind);
      return [{ model, pool, stages: served, with: found?.with ?? {}, endpoint, deviceKind }];
    });
  });
}

/** The model's name at its servers: that of the variant. A pool without variants, or the default one, has its own. */
function servedAs(model: string, { model: own, variants = {} }: Target['pool'], variant: string): string {
  const names = Object.keys(variants);
  if (Object.hasOwn(variants, variant)) return variants[variant]?.model ?? own;
  if (names.length === 0 || variant === DEFAULT_VARIANT) return own;
  const message = `the pool "${model}" has no variant "${variant}"${nearest(variant, names)}: add variants.${variant} with the model’s name at its servers to the models file, or name the stages of other models by --stage`;
  throw invalidField('--variant', message);
}

/** Every stage of a plan and of its nested plans. */
function* stagePlans(graph: Graph): Generator<StagePlan> {
  for (const step of graph.stages) {
    if (isStage(step)) yield step;
    else if (step.kind === 'pipeline' && step.run === 'child') yield* stagePlans(step.plan);
    else for (const inner of graphsOf(step)) yield* stagePlans(inner);
  }
}

/** The device is taken from the endpoint's label, else from the inventory's list of endpoints. */
function kindAt({ devices, endpoints }: Inventory, { url, device: label }: Target['endpoint']): string {
  const listed = endpoints.find((each) => each.url === url)?.device;
  const found = devices.find(({ id }) => id === label) ?? devices.find(({ id }) => id === listed);
  if (found) return found.kind;
  const message = `it does not state where ${url} runs: it has neither a device "${label}" nor an endpoint with this url; add one, or pass --device-kind`;
  throw new MillraceError('INVALID_INPUT', `--cluster: ${message}`, { fields: [{ field: '--cluster', message }] });
}
