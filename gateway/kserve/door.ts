import { MillraceError } from '../../pipelines/errors.js';
import type { RunEvent } from '../../pipelines/run/index.js';
import { mayUse } from '../../runs/caller.js';
import { type Caller, requirePermission } from '../access/caller.js';
import type { GatewayDeps } from '../deps.js';
import { asMillraceError } from '../http/problem.js';
import { type InferAnswer, type InferCall, infer, inferFollowed } from './infer.js';
import { MODEL_VERSION, Models, type ServedModel } from './models.js';
import { Statistics } from './statistics.js';

/** Shared by both protocols of the door: the models and their statistics. */
export class Door {
  readonly models: Models;
  readonly statistics = new Statistics();

  constructor(readonly deps: GatewayDeps) {
    this.models = new Models(deps.pipelines);
  }

  /** A model that the caller may use. Throws `PIPELINE_NOT_FOUND` and `FORBIDDEN`. */
  model(caller: Caller, name: string, version = ''): ServedModel {
    requirePermission(caller, 'read');
    return this.models.find(name, version, (pipeline) => mayUse(caller, pipeline));
  }

  all(caller: Caller): ServedModel[] {
    requirePermission(caller, 'read');
    return this.models.all((pipeline) => mayUse(caller, pipeline));
  }

  /** Runs the model and counts the request. `onEvent` receives the run’s events while it runs, each after the one before. */
  async infer(call: InferCall, onEvent?: (event: RunEvent) => Promise<void>): Promise<InferAnswer> {
    const start = performance.now();
    const counted = { tenant: call.caller.tenant, model: call.model.pipeline.name };
    try {
      requirePermission(call.caller, 'run');
      const answer = await (onEvent ? inferFollowed(this.deps, call, onEvent) : infer(this.deps, call));
      this.statistics.succeeded(counted, performance.now() - start, answer.document);
      return answer;
    } catch (error) {
      this.statistics.failed(counted, performance.now() - start);
      throw error;
    }
  }

  /** Rows of the caller's tenant only. */
  statisticsOf({ tenant }: Caller, models: readonly ServedModel[]) {
    return models.map(({ pipeline }) => this.statistics.row({ tenant, model: pipeline.name }, MODEL_VERSION));
  }
}

/** An error in the form of this door; details of internal errors are only logged. */
export function publicError(error: unknown, requestId: string): MillraceError {
  const known = asMillraceError(error);
  if (known.code !== 'INTERNAL') return known;
  return new MillraceError(
    'INTERNAL',
    `the cause is in the gateway’s log under the request id ${requestId}`,
    {},
    { cause: error },
  );
}
