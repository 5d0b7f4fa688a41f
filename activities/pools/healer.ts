import type { Redis } from 'ioredis';
import { type ErrorCode, MillraceError, messageOf } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import type { Logger } from '../../telemetry/logger.js';
import type { Metrics } from '../../telemetry/metrics.js';
import type { Endpoint } from './endpoint.js';
import { turnToRepair } from './repair-turn.js';

/** Longest canary: a model that is merely busy usually answers within it. */
const PROBE_TIMEOUT_MS = 10_000;
/** Longest repair: loading large weights onto a GPU takes a minute. */
const HEAL_TIMEOUT_MS = 120_000;
/** Wait after a repair that did not help, doubled each time: a reload costs the other models on the device. */
const PAUSE_MS = { first: 10_000, longest: 300_000 };

export interface HealerParts {
  /** The model's name in metrics and logs. */
  readonly name: string;
  readonly connector: string;
  readonly model: string;
  readonly kind: string;
  /** Others own the servers: a broken model is only kept out until they have repaired it. */
  readonly off: boolean;
  /** Where workers agree on whose turn it is to repair. Absent: this one repairs alone. */
  readonly redis?: Redis | undefined;
  readonly metrics: Metrics;
  readonly logger: Logger;
  /** Aborted when the pool closes. */
  readonly closing: AbortSignal;
  /** Called when an endpoint's state has changed. */
  readonly changed: () => void;
}

/**
 * Repairs models at their endpoints: canary, repair, canary; in the background, at most one repair at a time per
 * endpoint.
 */
export class Healer {
  readonly #parts: HealerParts;
  readonly #pauses = new Map<Endpoint, { until: number; ms: number }>();

  constructor(parts: HealerParts) {
    this.#parts = parts;
  }

  /** Sets an endpoint’s counts of repairs to 0, so that the first repair is an increase. */
  countFromZero({ url, backend }: Endpoint): void {
    if (backend.heal === undefined) return;
    const { name, connector, off, metrics } = this.#parts;
    for (const outcome of off ? ['off'] : ['ok', 'failed', 'refused']) {
      metrics.heals.inc({ connector, model: name, endpoint: url, outcome }, 0);
    }
  }

  /** The smallest real call. Throws what the backend throws. */
  probe(endpoint: Endpoint): Promise<void> {
    const { model, kind, closing } = this.#parts;
    return limited(PROBE_TIMEOUT_MS, closing, (signal) => endpoint.backend.probe(model, kind, signal));
  }

  /**
   * Starts a repair unless one is in progress, the backend does not support it, or the last one failed recently. A
   * canary runs first, because another worker may have repaired the model: the repair starts only if the canary fails
   * with one of `codes` or gets no answer.
   */
  start(endpoint: Endpoint, codes: readonly ErrorCode[] = ['BACKEND_BROKEN']): void {
    const paused = (this.#pauses.get(endpoint)?.until ?? 0) > performance.now();
    const { off, closing } = this.#parts;
    const known = off && endpoint.broken;
    if (endpoint.backend.heal === undefined || endpoint.healing || paused || known || closing.aborted) return;
    endpoint.healing = true;
    void this.#run(endpoint, codes).finally(() => {
      endpoint.healing = false;
      this.#parts.changed();
    });
  }

  /** Never rejects. */
  async #run(endpoint: Endpoint, codes: readonly ErrorCode[]): Promise<void> {
    const { name, connector, off, metrics, logger, closing } = this.#parts;
    const started = performance.now();
    const found = await this.#failure(endpoint);
    if (found === undefined || closing.aborted) return;
    if (found === 'no answer' ? endpoint.succeededAt > started : !codes.includes(found)) return;
    const fields = { model: name, connector, endpoint: endpoint.url };
    if (off) return this.#leave(endpoint, 'off', 'model is broken; its pool leaves repairs to others (heal: off)');
    logger.warn({ ...fields, code: found }, 'model is broken, repairing it');
    try {
      const repaired = await limited(HEAL_TIMEOUT_MS, closing, (signal) => this.#repair(endpoint, signal));
      if (!repaired) return;
      await this.probe(endpoint);
      endpoint.verified();
      this.#pauses.delete(endpoint);
      metrics.heals.inc({ connector, model: name, endpoint: endpoint.url, outcome: 'ok' });
      logger.info({ ...fields, ms: Math.round(performance.now() - started) }, 'model repaired');
    } catch (error) {
      if (closing.aborted) return;
      if (endpoint.backend.heal === undefined) {
        const text = 'this server does not allow clients to repair its models: restart it';
        return this.#leave(endpoint, 'refused', text, error);
      }
      const ms = Math.min((this.#pauses.get(endpoint)?.ms ?? PAUSE_MS.first / 2) * 2, PAUSE_MS.longest);
      this.#pauses.set(endpoint, { until: performance.now() + ms, ms });
      metrics.heals.inc({ connector, model: name, endpoint: endpoint.url, outcome: 'failed' });
      logger.error({ ...fields, error: messageOf(error), nextInMs: ms }, 'model could not be repaired');
    }
  }

  /** Repairs the model when it is this worker's turn. False: another worker has repaired it meanwhile. */
  async #repair(endpoint: Endpoint, signal: AbortSignal): Promise<boolean> {
    const { connector, model, redis } = this.#parts;
    const turn = await turnToRepair(redis, `${connector} ${endpoint.url} ${model}`, signal);
    try {
      if (turn.waited && (await this.#failure(endpoint)) === undefined) return false;
      await endpoint.backend.heal?.(model, signal);
      return true;
    } finally {
      turn.end();
    }
  }

  /** Keeps the endpoint out; its canary continues and detects a repair by another client. */
  #leave(endpoint: Endpoint, outcome: 'off' | 'refused', text: string, error?: unknown): void {
    const { name, connector, metrics, logger } = this.#parts;
    endpoint.broken = true;
    metrics.heals.inc({ connector, model: name, endpoint: endpoint.url, outcome });
    logger.error(
      { model: name, connector, endpoint: endpoint.url, ...(error !== undefined && { error: messageOf(error) }) },
      text,
    );
  }

  /**
   * Code of the canary's error; undefined if it succeeds. A missing answer alone is no proof: a dead process fails its
   * waiting calls at one per second, and a live one may be busy, but then calls succeed.
   */
  async #failure(endpoint: Endpoint): Promise<ErrorCode | 'no answer' | undefined> {
    try {
      await this.probe(endpoint);
      endpoint.verified();
      return undefined;
    } catch (error) {
      return error instanceof MillraceError ? error.code : 'no answer';
    }
  }
}
