import { messageOf } from '../../../pipelines/errors.js';
import type { Logger } from '../../../telemetry/logger.js';
import type { EndpointConfig, PoolConfig } from '../models.js';
import type { Discovery } from './discovery.js';
import { search } from './search.js';

/** Interval between two searches, in milliseconds. */
const EVERY_MS = 5_000;

export interface DiscovererParts {
  readonly name: string;
  readonly config: PoolConfig;
  readonly discovery: Discovery;
  readonly logger: Logger;
  readonly closing: AbortSignal;
  readonly everyMs?: number | undefined;
  /** Called with the endpoints, also when they have not changed. */
  readonly found: (endpoints: readonly EndpointConfig[]) => void;
  /** Called when the first search has failed: until one succeeds there are no endpoints. */
  readonly failed: (error: unknown) => void;
}

/**
 * Searches for a pool's endpoints again and again. A search that fails changes nothing: the endpoints found last are
 * used on, because a broken resolver does not make servers disappear.
 */
export class Discoverer {
  readonly #parts: DiscovererParts;
  #known = false;
  #lastError: string | undefined;
  /** Resolves when the first search has ended, at the latest after 10 s. Never rejects. */
  readonly searched: Promise<void>;

  constructor(parts: DiscovererParts) {
    this.#parts = parts;
    this.searched = this.#search();
  }

  /** Never rejects. */
  async #search(): Promise<void> {
    const { name, config, discovery, logger, closing, everyMs = EVERY_MS, found, failed } = this.#parts;
    if (closing.aborted) return;
    try {
      const endpoints = await search(discovery, config, closing);
      if (closing.aborted) return;
      this.#known = true;
      this.#lastError = undefined;
      found(endpoints);
    } catch (error) {
      if (closing.aborted) return;
      const text = messageOf(error);
      if (text !== this.#lastError) logger.warn({ model: name, error: text }, 'endpoints cannot be discovered');
      this.#lastError = text;
      if (!this.#known) failed(error);
    }
    setTimeout(() => void this.#search(), everyMs * (0.9 + Math.random() / 5)).unref();
  }
}
