import { Gauge, type Registry } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';

/** `Retry-After` of what is refused for lack of memory, in milliseconds: memory is freed within seconds. */
export const MEMORY_RETRY_MS = 1_000;

interface Limits {
  /** Of all tenants together. Absent: no limit. */
  readonly most?: number | undefined;
  /** Of one tenant. Absent: that of all. */
  readonly mostOfTenant?: number | undefined;
}

/** A gauge of the bytes that are held. */
interface Shown {
  readonly name: string;
  readonly help: string;
  readonly registry: Registry | undefined;
}

/** Counts bytes that this process holds in memory, of all tenants together and of each. */
export abstract class TenantBytes {
  protected readonly most: number;
  protected readonly mostOfTenant: number;
  readonly #ofTenants = new Map<string, number>();
  #held = 0;

  constructor({ most = Number.POSITIVE_INFINITY, mostOfTenant = most }: Limits, { name, help, registry }: Shown) {
    this.most = most;
    this.mostOfTenant = Math.min(mostOfTenant, most);
    const held = () => this.#held;
    if (registry)
      new Gauge({
        name,
        help,
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

  protected heldOf(tenant: string): number {
    return this.#ofTenants.get(tenant) ?? 0;
  }

  /**
   * Throws `BODY_MEMORY_FULL` if there is no room for more bytes now.
   * @param own bytes that the request holds already
   */
  abstract expect(tenant: string, bytes: number, own: number): void;

  /** Adds bytes; negative to remove. */
  count(tenant: string, bytes: number): void {
    this.#held += bytes;
    const left = this.heldOf(tenant) + bytes;
    if (left > 0) this.#ofTenants.set(tenant, left);
    else this.#ofTenants.delete(tenant);
  }
}

/** What one request holds. `release` must be called when it holds nothing any more. */
export abstract class HeldBytes<All extends TenantBytes> {
  protected readonly all: All;
  readonly tenant: string;
  #bytes = 0;
  #released = false;

  constructor(all: All, tenant: string) {
    this.all = all;
    this.tenant = tenant;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts bytes before they are there. Throws what `expect` throws, and `REQUEST_ABORTED` after `release`. */
  take(bytes: number): void {
    if (this.#released) throw new MillraceError('REQUEST_ABORTED', this.over);
    this.expect(bytes);
    this.count(bytes);
  }

  /** Throws like `take` without taking: for an announced length, which may never arrive. */
  expect(bytes: number): void {
    this.all.expect(this.tenant, bytes, this.#bytes);
  }

  /** Releases bytes that are no longer held. */
  give(bytes: number): void {
    this.count(-Math.min(bytes, this.#bytes));
  }

  release(): void {
    this.give(this.#bytes);
    this.#released = true;
  }

  protected get isReleased(): boolean {
    return this.#released;
  }

  /** Why nothing can be taken after `release`. */
  protected abstract readonly over: string;

  protected count(bytes: number): void {
    this.#bytes += bytes;
    this.all.count(this.tenant, bytes);
  }
}
