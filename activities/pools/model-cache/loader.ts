import { setTimeout as sleep } from 'node:timers/promises';
import { MillraceError } from '../../../pipelines/errors.js';
import { limited } from '../../../runtime/limited.js';
import type { Logger } from '../../../telemetry/logger.js';
import type { Metrics } from '../../../telemetry/metrics.js';
import type { LoadState } from '../../connectors/connector.js';
import { answered, asFailure, carryOut, LOAD_MS } from './carry-out.js';
import type { ManagedModels } from './managed-models.js';
import { type KnownModel, planLoad } from './plan-load.js';
import { clockAfter, greedyDual, type Worth } from './policy.js';
import type { Observed, SharedModels } from './shared-models.js';
import type { StoreAccess } from './store-access.js';

/** Interval of looks at a model that another worker loads, and the longest wait for it: the next call waits again. */
const LOOK_MS = 100;
const LONGEST_WAIT_MS = 30_000;
/** Attempts to begin a load while other workers change what is loaded. */
const MOST_CONFLICTS = 50;

export interface LoaderParts {
  readonly connector: string;
  readonly endpoint: string;
  readonly metrics: Pick<Metrics, 'modelLoads' | 'modelLoadSeconds' | 'modelUnloads'>;
  readonly logger: Logger;
  readonly closing: AbortSignal;
  /** Default: `greedyDual`. */
  readonly worth?: Worth | undefined;
  readonly models: ManagedModels;
  readonly store: StoreAccess;
}

/** Loads models at one server, at most once at a time each. */
export class Loader {
  readonly #parts: LoaderParts;
  readonly #worth: Worth;
  readonly #running = new Map<string, Promise<void>>();

  constructor(parts: LoaderParts) {
    this.#parts = parts;
    this.#worth = parts.worth ?? greedyDual;
  }

  /**
   * Loads a model, in place of idle ones if there is no room. Rejects with `MODEL_NOT_LOADED` if the server cannot load it, with
   * `BACKEND_OVERLOADED` if too much memory is in use, and with `BACKEND_UNAVAILABLE` if the server is away or another client’s load takes long.
   * @param hint no call waits for it: others may have it unloaded at once
   */
  load(model: string, hint = false): Promise<void> {
    const running = this.#running.get(model) ?? this.#load(model, hint).finally(() => this.#running.delete(model));
    // Whoever started it may have gone.
    running.catch(() => undefined);
    this.#running.set(model, running);
    return running;
  }

  async #load(model: string, hint: boolean): Promise<void> {
    const { connector, endpoint, closing, metrics, logger } = this.#parts;
    const fields = { connector, model, endpoint };
    try {
      const loadMs = await this.#until(model, hint);
      if (loadMs === undefined) return;
      metrics.modelLoads.inc({ ...fields, outcome: 'ok' });
      metrics.modelLoadSeconds.observe({ model, endpoint }, loadMs / 1_000);
      logger.info({ ...fields, ms: Math.round(loadMs) }, 'model loaded');
    } catch (error) {
      const isFull = error instanceof MillraceError && error.code === 'BACKEND_OVERLOADED';
      if (isFull && !closing.aborted) metrics.modelLoads.inc({ ...fields, outcome: 'full' });
      throw error;
    }
  }

  /** Until the model is loaded. Returns how long that took in milliseconds, if it is this worker that has loaded it. */
  async #until(model: string, hint: boolean): Promise<number | undefined> {
    const { endpoint, closing, models, store } = this.#parts;
    const until = performance.now() + LONGEST_WAIT_MS;
    for (let conflicts = 0; conflicts < MOST_CONFLICTS; ) {
      const observed = await store.ask((shared) => shared.observe(model, models.bytesOf(model), hint));
      const states = await this.#states(model);
      if (!observed) return this.#loadAlone(model, states);
      const known = this.#known(observed);
      const failed = known.get(model)?.failed;
      if (failed !== undefined && !states.has(model)) throw new MillraceError('MODEL_NOT_LOADED', failed, { endpoint });
      const plan = planLoad({ model, states, known, budget: models.budget, worth: this.#worth });
      if (plan.next === 'full') throw full(model, endpoint);
      if (plan.next === 'wait') {
        if (performance.now() > until) throw slow(model, endpoint);
        await sleep(LOOK_MS, undefined, { signal: closing });
        continue;
      }
      const present = readyOf(states);
      if (plan.next === 'load') {
        const clock = clockAfter(observed.clock, plan.victims, this.#worth);
        const victims = plan.victims.map(({ name }) => name);
        const change = { model, victims, clock, present, hint };
        const begun = await store.ask(async (shared) => (await shared.begin(observed.gen, change)) && shared);
        if (begun) return this.#change(model, victims, begun);
      } else if (await store.ask((shared) => shared.settle(observed.gen, present))) return undefined;
      conflicts += 1;
      // Other workers change what is loaded at the same time.
      await sleep(LOOK_MS * Math.random(), undefined, { signal: closing });
    }
    throw slow(model, endpoint);
  }

  async #change(model: string, victims: readonly string[], shared: SharedModels): Promise<number> {
    const { connector, endpoint, closing, metrics, logger, models } = this.#parts;
    try {
      return await carryOut({
        ...{ model, victims, endpoint, closing, shared, repository: models.repositoryOf(model) },
        unloaded(victim) {
          metrics.modelUnloads.inc({ connector, model: victim, endpoint });
          logger.info({ connector, model: victim, endpoint, for: model }, 'model unloaded');
        },
      });
    } catch (error) {
      if (error instanceof MillraceError && error.code === 'MODEL_NOT_LOADED') {
        metrics.modelLoads.inc({ connector, model, endpoint, outcome: 'failed' });
        logger.error({ connector, model, endpoint, error: error.message }, 'model could not be loaded');
      }
      throw error;
    }
  }

  /** Without the store: only if there is room, and nothing is unloaded. */
  async #loadAlone(model: string, states: ReadonlyMap<string, LoadState>): Promise<number | undefined> {
    const { endpoint, closing, models } = this.#parts;
    const state = states.get(model);
    if (state === 'ready') return undefined;
    if (state === 'loading') throw slow(model, endpoint);
    if (models.used(states) + models.bytesOf(model) > models.budget) throw full(model, endpoint);
    const started = performance.now();
    try {
      await limited(LOAD_MS, closing, (signal) => models.repositoryOf(model).load(model, signal));
    } catch (error) {
      throw asFailure(error, { model, endpoint, closing });
    }
    return performance.now() - started;
  }

  async #states(model: string): Promise<ReadonlyMap<string, LoadState>> {
    const { endpoint, closing, models } = this.#parts;
    try {
      return await answered(closing, (signal) => models.states(signal));
    } catch (error) {
      throw asFailure(error, { model, endpoint, closing });
    }
  }

  /** What the store knows, with what this worker's configuration says. */
  #known({ known }: Observed): ReadonlyMap<string, KnownModel> {
    const { models } = this.#parts;
    return new Map(
      [...new Set([...known.keys(), ...models.names])].map((name) => {
        const { bytes, ...use } = known.get(name) ?? NEVER_USED;
        return [
          name,
          { ...use, bytes: models.has(name) ? models.bytesOf(name) : bytes, pinned: models.isPinned(name) },
        ];
      }),
    );
  }
}

const NEVER_USED = { bytes: 0, uses: 0, at: 0, clock: 0, held: false, wanted: false };

/** The models that can be called. */
export const readyOf = (states: ReadonlyMap<string, LoadState>): string[] =>
  [...states].filter(([, state]) => state === 'ready').map(([name]) => name);

const full = (model: string, endpoint: string) =>
  new MillraceError('BACKEND_OVERLOADED', `${model} at ${endpoint}: the models in use leave no memory for it`, {
    endpoint,
  });

const slow = (model: string, endpoint: string) =>
  new MillraceError('BACKEND_UNAVAILABLE', `${model} at ${endpoint}: it is still being loaded`, {
    endpoint,
    unsent: true,
  });
