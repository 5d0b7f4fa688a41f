import type { LoadState } from '../../connectors/connector.js';
import { isDue, type Schedule } from '../schedule.js';

/** Interval of looks at what should be loaded. */
const EVERY_MS = 5_000;
const MINUTE_MS = 60_000;
/** Minutes that are made up for when a worker stood still. */
const MOST_MINUTES = 5;

export interface Kept {
  readonly name: string;
  readonly pinned: boolean;
  /** When it is loaded, whether or not a call has asked for it. */
  readonly prefetch?: Schedule | undefined;
}

export interface UpkeepParts {
  readonly states: () => Promise<ReadonlyMap<string, LoadState>>;
  /** Never rejects. */
  readonly load: (model: string) => Promise<void>;
  readonly closing: AbortSignal;
  /** Milliseconds since the epoch. */
  readonly now?: () => number;
}

/** Loads what should be loaded without a call: pinned models, at once and whenever they are missing, and those whose time has come. */
export class Upkeep {
  readonly #parts: UpkeepParts;
  readonly #kept = new Set<Kept>();
  #timer: NodeJS.Timeout | undefined;
  /** The last minute that was looked at. */
  #minute: number;

  constructor(parts: UpkeepParts) {
    this.#parts = parts;
    this.#minute = this.#now;
  }

  get #now(): number {
    return Math.floor((this.#parts.now ?? Date.now)() / MINUTE_MS);
  }

  add(model: Kept): void {
    if (!model.pinned && !model.prefetch) return;
    this.#kept.add(model);
    this.#next(0);
  }

  remove(model: Kept): void {
    this.#kept.delete(model);
  }

  #next(ms: number): void {
    if (this.#timer !== undefined || this.#kept.size === 0 || this.#parts.closing.aborted) return;
    this.#timer = setTimeout(() => {
      void this.look().finally(() => {
        this.#timer = undefined;
        this.#next(EVERY_MS);
      });
    }, ms).unref();
  }

  /** Once. Never rejects. */
  async look(): Promise<void> {
    const { states, load, closing } = this.#parts;
    const now = this.#now;
    const from = Math.max(this.#minute + 1, now - MOST_MINUTES);
    this.#minute = now;
    const minutes = Array.from({ length: Math.max(0, now - from + 1) }, (_, i) => new Date((from + i) * MINUTE_MS));
    const wanted = [...this.#kept].filter(
      ({ pinned, prefetch }) => pinned || (prefetch && minutes.some((minute) => isDue(prefetch, minute))),
    );
    if (wanted.length === 0 || closing.aborted) return;
    try {
      const there = await states();
      // One at a time: those that are pinned fit together, and the others may take each other's place.
      for (const { name } of wanted) if (!there.has(name)) await load(name);
    } catch {
      // The server is away: at the next look it may be back. A model whose time came meanwhile is loaded by its first call.
    }
  }
}
