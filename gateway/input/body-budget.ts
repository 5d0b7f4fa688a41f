import { Gauge, type Registry } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import type { GatewayLimits } from '../deps.js';

/** `Retry-After` of a rejected request, in milliseconds: memory is freed within seconds. */
const RETRY_AFTER_MS = 1_000;

/**
 * Most bytes of a body that are counted after its media are stored and its run has started, until the response:
 * Temporal accepts no larger input.
 */
export const MOST_INPUT_BYTES = 2 * 1024 * 1024;

/**
 * Limits the bytes of request bodies that this process holds in memory, in total and per tenant, over all doors, so
 * that concurrent requests cannot exhaust the memory. Bodies that are streamed into the artifact store do not count.
 */
export class BodyBudget {
  readonly #most: number;
  readonly #mostOfTenant: number;
  readonly #ofTenants = new Map<string, number>();
  #held = 0;

  constructor(limits: Pick<GatewayLimits, 'maxBodyMemoryBytes' | 'maxTenantBodyMemoryBytes'>, registry?: Registry) {
    this.#most = limits.maxBodyMemoryBytes ?? Number.POSITIVE_INFINITY;
    this.#mostOfTenant = Math.min(limits.maxTenantBodyMemoryBytes ?? Number.POSITIVE_INFINITY, this.#most);
    const held = () => this.#held;
    if (registry)
      new Gauge({
        name: 'millrace_body_bytes_held',
        help: 'Bytes of requests’ bodies that the gateway holds in memory',
        registers: [registry],
        collect() {
          this.set(held());
        },
      });
  }

  /** Bytes that are held now. */
  get held(): number {
    return this.#held;
  }

  /** The body of one request, initially empty. */
  open(tenant: string): HeldBody {
    return new HeldBody(this, tenant);
  }

  /**
   * Throws `BODY_TOO_LARGE` if the body exceeds the tenant's limit by itself, and `BODY_MEMORY_FULL` if there is no
   * room for it now.
   * @param own bytes that the body holds already
   */
  expect(tenant: string, bytes: number, own: number): void {
    if (own + bytes > this.#mostOfTenant) throw tooLarge(own + bytes, this.#mostOfTenant);
    if ((this.#ofTenants.get(tenant) ?? 0) + bytes > this.#mostOfTenant)
      throw full(
        `with this body the tenant’s bodies in memory exceed ${this.#mostOfTenant} bytes (MILLRACE_TENANT_BODY_MEMORY_BYTES)`,
      );
    if (this.#held + bytes > this.#most)
      throw full(`with this body all bodies in memory exceed ${this.#most} bytes (MILLRACE_MAX_BODY_MEMORY_BYTES)`);
  }

  /** Adds bytes; negative to remove. */
  count(tenant: string, bytes: number): void {
    this.#held += bytes;
    const left = (this.#ofTenants.get(tenant) ?? 0) + bytes;
    if (left > 0) this.#ofTenants.set(tenant, left);
    else this.#ofTenants.delete(tenant);
  }
}

/** What one request holds of the budget. `release` must be called when nothing of its body is kept any more. */
export class HeldBody {
  readonly #budget: BodyBudget;
  readonly #tenant: string;
  #bytes = 0;
  #released = false;

  constructor(budget: BodyBudget, tenant: string) {
    this.#budget = budget;
    this.#tenant = tenant;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Throws like `take` without taking: for an announced length, which may never arrive. */
  expect(bytes: number): void {
    this.#budget.expect(this.#tenant, bytes, this.#bytes);
  }

  /** Counts bytes before they are kept. Throws `BODY_TOO_LARGE` and `BODY_MEMORY_FULL`. */
  take(bytes: number): void {
    if (this.#released) throw new MillraceError('REQUEST_ABORTED', 'the request is over');
    this.expect(bytes);
    this.#bytes += bytes;
    this.#budget.count(this.#tenant, bytes);
  }

  /** Releases bytes that are no longer kept. */
  give(bytes: number): void {
    const given = Math.min(bytes, this.#bytes);
    this.#bytes -= given;
    this.#budget.count(this.#tenant, -given);
  }

  /** Reduces the counted bytes to at most `most`. */
  keep(most: number): void {
    this.give(Math.max(0, this.#bytes - most));
  }

  release(): void {
    this.give(this.#bytes);
    this.#released = true;
  }
}

function tooLarge(bytes: number, most: number): MillraceError {
  const message = `it has ${bytes} bytes or more; a tenant’s bodies in memory have at most ${most} (MILLRACE_TENANT_BODY_MEMORY_BYTES)`;
  return new MillraceError('BODY_TOO_LARGE', `the body: ${message}`, { fields: [{ field: 'body', message }] });
}

function full(message: string): MillraceError {
  return new MillraceError('BODY_MEMORY_FULL', message, {
    fields: [{ field: 'body', message }],
    retryAfterMs: RETRY_AFTER_MS,
  });
}
