import type { Registry } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import type { GatewayLimits } from '../deps.js';
import { HeldBytes, MEMORY_RETRY_MS, TenantBytes } from '../http/tenant-bytes.js';

/**
 * Most bytes of a body that are counted after its media are stored and its run has started, until the response:
 * Temporal accepts no larger input.
 */
export const MOST_INPUT_BYTES = 2 * 1024 * 1024;

/**
 * Limits the bytes of request bodies that this process holds in memory, in total and per tenant, over all doors, so
 * that concurrent requests cannot exhaust the memory. Bodies that are streamed into the artifact store do not count.
 */
export class BodyBudget extends TenantBytes {
  constructor(
    {
      maxBodyMemoryBytes,
      maxTenantBodyMemoryBytes,
    }: Pick<GatewayLimits, 'maxBodyMemoryBytes' | 'maxTenantBodyMemoryBytes'>,
    registry?: Registry,
  ) {
    super(
      { most: maxBodyMemoryBytes, mostOfTenant: maxTenantBodyMemoryBytes },
      {
        name: 'millrace_body_bytes_held',
        help: 'Bytes of requests’ bodies that the gateway holds in memory',
        registry,
      },
    );
  }

  /** The body of one request, initially empty. */
  open(tenant: string): HeldBody {
    return new HeldBody(this, tenant);
  }

  /** Throws `BODY_TOO_LARGE` besides, if the body exceeds the tenant's limit by itself. */
  expect(tenant: string, bytes: number, own: number): void {
    if (own + bytes > this.mostOfTenant) throw tooLarge(own + bytes, this.mostOfTenant);
    if (this.heldOf(tenant) + bytes > this.mostOfTenant)
      throw full(
        `with this body the tenant’s bodies in memory exceed ${this.mostOfTenant} bytes (MILLRACE_TENANT_BODY_MEMORY_BYTES)`,
      );
    if (this.held + bytes > this.most)
      throw full(`with this body all bodies in memory exceed ${this.most} bytes (MILLRACE_MAX_BODY_MEMORY_BYTES)`);
  }
}

/** What one request holds of the budget. `release` must be called when nothing of its body is kept any more. */
export class HeldBody extends HeldBytes<BodyBudget> {
  protected readonly over = 'the request is over';
  #uses = 0;
  #isOver = false;

  /** Reduces the counted bytes to at most `most`. */
  keep(most: number): void {
    this.give(Math.max(0, this.bytes - most));
  }

  /** Does work that keeps the body: of a request that ends meanwhile, its bytes count until the work has ended. Throws what the work throws. */
  async during<T>(work: () => Promise<T>): Promise<T> {
    this.#uses++;
    try {
      return await work();
    } finally {
      this.#uses--;
      if (this.#isOver) this.release();
    }
  }

  override release(): void {
    this.#isOver = true;
    if (this.#uses === 0) super.release();
  }
}

function tooLarge(bytes: number, most: number): MillraceError {
  const message = `it has ${bytes} bytes or more; a tenant’s bodies in memory have at most ${most} (MILLRACE_TENANT_BODY_MEMORY_BYTES)`;
  return new MillraceError('BODY_TOO_LARGE', `the body: ${message}`, { fields: [{ field: 'body', message }] });
}

function full(message: string): MillraceError {
  return new MillraceError('BODY_MEMORY_FULL', message, {
    fields: [{ field: 'body', message }],
    retryAfterMs: MEMORY_RETRY_MS,
  });
}
