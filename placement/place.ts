import { MillraceError } from '../pipelines/errors.js';
import type { Placement, Plan, StagePlacement } from '../pipelines/plan/index.js';

/** What placing needs to know of a pool. */
export interface PoolDescription {
  readonly connector: string;
  readonly devices: readonly string[];
}

/** Kinds that call no model server, and where they run instead. */
const LOCAL_KINDS: Readonly<Record<string, Omit<StagePlacement, 'queue'>>> = {
  code: { connector: 'code', device: 'worker' },
  approve: { connector: 'workflow', device: 'person' },
};

/**
 * Says for each stage of a plan which connector, devices and task queue it runs on. Throws `MODEL_NOT_CONFIGURED` when a
 * stage, or a stage's cache, names a model that no pool serves.
 */
export function place(plan: Plan, poolOf: (model: string) => PoolDescription | undefined, queue: string): Placement {
  const describe = (model: string, field: string): PoolDescription => {
    const pool = poolOf(model);
    if (pool) return pool;
    throw new MillraceError(
      'MODEL_NOT_CONFIGURED',
      `pipeline "${plan.name}", ${field}: no pool serves the model "${model}"`,
      {
        fields: [{ field, message: `unknown model "${model}"` }],
      },
    );
  };
  return Object.fromEntries(
    plan.stages.map((stage) => {
      if (stage.cache) describe(stage.cache.embedder, `${stage.id}.cache.embedder`);
      const local = LOCAL_KINDS[stage.kind];
      if (local) return [stage.id, { ...local, queue }];
      const { connector, devices } = describe(stage.model, `${stage.id}.model`);
      return [stage.id, { connector, device: devices.join(','), queue }];
    }),
  );
}
