import {
  type CryptoKey,
  createLocalJWKSet,
  errors,
  type JSONWebKeySet,
  type JWTVerifyGetKey,
  type LocalJWKSet,
} from 'jose';
import { MillraceError, messageOf } from '../../../pipelines/errors.js';
import type { Logger } from '../../../telemetry/logger.js';
import { RationedWarnings } from '../../../telemetry/warnings.js';

/** How often the keys are read again, in milliseconds: a key that the provider has withdrawn is accepted for this long. */
const FRESH_MS = 600_000;
/** The same after the provider could not be read. */
const RETRY_MS = 10_000;
/**
 * Least time between two reads for keys that are not known, in milliseconds. Anybody can send tokens that name such keys; without
 * it each would be a request to the provider.
 */
const COOLDOWN_MS = 30_000;

/** Reads the keys of a provider until the signal aborts. */
type Source = (signal: AbortSignal) => Promise<JSONWebKeySet>;

/**
 * The keys of a provider. They are read at once and then in intervals, and when a token names a key that is not known, since
 * providers rotate their keys. While the provider cannot be read, the known keys stay valid.
 */
export class ProviderKeys {
  readonly #source: Source;
  readonly #logger: Logger;
  readonly #warnings: RationedWarnings;
  readonly #closing = new AbortController();
  #known: LocalJWKSet | undefined;
  #reading: Promise<void> | undefined;
  #readAt = Number.NEGATIVE_INFINITY;
  /** Whether the last read has failed. */
  #away = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(source: Source, logger: Logger) {
    this.#source = source;
    this.#logger = logger;
    this.#warnings = new RationedWarnings(logger);
    void this.#read();
  }

  /**
   * The key that has signed a token. Throws `ISSUER_UNAVAILABLE` if it is not known and the provider cannot be read, and jose’s
   * errors if the provider does not have it.
   */
  readonly keyOf: JWTVerifyGetKey<CryptoKey> = async (header, token) => {
    const find = async () => {
      try {
        return await this.#known?.(header, token);
      } catch (error) {
        if (error instanceof errors.JWKSNoMatchingKey) return undefined;
        throw error;
      }
    };
    const known = await find();
    if (known) return known;
    await this.#readAgain();
    const found = await find();
    if (found) return found;
    throw this.#away ? unavailable() : new errors.JWKSNoMatchingKey();
  };

  /** Throws `ISSUER_UNAVAILABLE` while the provider cannot be read. */
  async check(): Promise<void> {
    if (this.#away) throw unavailable();
  }

  close(): void {
    this.#closing.abort();
    clearTimeout(this.#timer);
  }

  /** Waits for a read in progress; begins one if it may. */
  async #readAgain(): Promise<void> {
    // After a failure only the timer reads: requests would otherwise wait for a provider that does not answer.
    const mayRead = !this.#away && performance.now() - this.#readAt >= COOLDOWN_MS;
    await (mayRead ? this.#read() : this.#reading);
  }

  #read(): Promise<void> {
    this.#reading ??= this.#renew().finally(() => {
      this.#reading = undefined;
    });
    return this.#reading;
  }

  /** Never rejects. */
  async #renew(): Promise<void> {
    const { signal } = this.#closing;
    try {
      const keys = await this.#source(signal);
      const first = this.#known === undefined;
      this.#known = createLocalJWKSet(keys);
      if (first || this.#away) this.#logger.info({ keys: keys.keys.length }, 'keys of the identity provider read');
      this.#away = false;
    } catch (error) {
      this.#away = true;
      if (!signal.aborted) this.#warn(error);
    }
    if (signal.aborted) return;
    this.#readAt = performance.now();
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#read(), this.#away ? RETRY_MS : FRESH_MS).unref();
  }

  #warn(error: unknown): void {
    const kept = this.#known === undefined ? 'tokens are rejected' : 'those already known stay valid';
    const fields = { code: 'ISSUER_UNAVAILABLE', why: messageOf(error) };
    this.#warnings.warn('issuer', fields, `the keys of the identity provider cannot be read; ${kept}`);
  }
}

const unavailable = () =>
  new MillraceError(
    'ISSUER_UNAVAILABLE',
    'the keys of the identity provider cannot be read: tokens of keys that are not known yet are rejected',
    { retryAfterMs: RETRY_MS },
  );
