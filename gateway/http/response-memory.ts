import type { FastifyInstance } from 'fastify';
import type { Registry } from 'prom-client';
import { MillraceError } from '../../pipelines/errors.js';
import type { GatewayLimits } from '../deps.js';
import { HeldBytes, MEMORY_RETRY_MS, TenantBytes } from './tenant-bytes.js';

/** Parts of a response up to this size, in bytes, are not counted: a response holds one of them at a time. */
export const SMALL_BYTES = 16 * 1024;

/** Share of the limits that buffers may take which only make responses faster. */
const SHARE_OF_BUFFERS = 0.5;

declare module 'fastify' {
  interface FastifyRequest {
    /** The response's share of the memory for responses, until its client has read it; absent on `open` routes. */
    response?: HeldResponse | undefined;
  }
}

/**
 * Limits the bytes of responses that this process holds until their clients have read them, in total and per tenant, over all
 * doors: clients that do not read could otherwise fill the memory. A response is never refused for its own size, which its
 * route bounds, but for what others of its tenant, or of all tenants, hold at the time.
 */
export class ResponseMemory extends TenantBytes {
  constructor(
    {
      maxResponseMemoryBytes,
      maxTenantResponseMemoryBytes,
    }: Pick<GatewayLimits, 'maxResponseMemoryBytes' | 'maxTenantResponseMemoryBytes'>,
    registry?: Registry,
  ) {
    super(
      { most: maxResponseMemoryBytes, mostOfTenant: maxTenantResponseMemoryBytes },
      {
        name: 'millrace_response_bytes_held',
        help: 'Bytes of responses that the gateway holds in memory until their clients have read them',
        registry,
      },
    );
  }

  /** A response, of which nothing is held yet. */
  open(tenant: string): HeldResponse {
    return new HeldResponse(this, tenant);
  }

  expect(tenant: string, bytes: number, own: number): void {
    const ofTenant = this.heldOf(tenant);
    if (ofTenant > own && ofTenant + bytes > this.mostOfTenant)
      throw full(
        `with this response the tenant’s responses in memory exceed ${this.mostOfTenant} bytes (MILLRACE_TENANT_RESPONSE_MEMORY_BYTES)`,
      );
    if (this.held > own && this.held + bytes > this.most)
      throw full(
        `with this response all responses in memory exceed ${this.most} bytes (MILLRACE_MAX_RESPONSE_MEMORY_BYTES)`,
      );
  }

  /** Whether a buffer of this size leaves enough for responses themselves. */
  hasRoomForBuffer(tenant: string, bytes: number): boolean {
    return (
      this.heldOf(tenant) + bytes <= this.mostOfTenant * SHARE_OF_BUFFERS &&
      this.held + bytes <= this.most * SHARE_OF_BUFFERS
    );
  }
}

/** What one response holds of the memory. `release` must be called when its client has read it, or has left. */
export class HeldResponse extends HeldBytes<ResponseMemory> {
  protected readonly over = 'the client left before its response was made';
  readonly #parts: HeldResponse[] = [];

  /**
   * A part of the response that counts as a response of its own: it is refused for what the other parts hold as well. Released with the
   * whole.
   */
  part(): HeldResponse {
    const part = new HeldResponse(this.all, this.tenant);
    this.#parts.push(part);
    if (this.isReleased) part.release();
    return part;
  }

  override release(): void {
    super.release();
    for (const part of this.#parts) part.release();
  }

  /** Counts a buffer in which the response may wait for its client; false if there is no room for it. */
  takeBuffer(bytes: number): boolean {
    if (this.isReleased || !this.all.hasRoomForBuffer(this.tenant, bytes)) return false;
    this.count(bytes);
    return true;
  }
}

/**
 * Opens a share of the memory for the response to every authenticated request, and counts those that are sent as a whole. Responses that
 * are streamed are counted where their parts are made.
 */
export function holdResponses(app: FastifyInstance, memory: ResponseMemory): void {
  app.decorateRequest('response');
  app.addHook('onRequest', async (request, reply) => {
    if (request.caller === undefined) return;
    const held = memory.open(request.caller.tenant);
    request.response = held;
    const release = () => held.release();
    reply.raw.once('finish', release).once('close', release);
    // A client that has left during the authentication closes nothing more.
    if (reply.raw.destroyed) release();
  });
  app.addHook('onSend', async (request, reply, payload) => {
    const bytes = typeof payload === 'string' || Buffer.isBuffer(payload) ? payload.length : 0;
    // To a client that has left nothing is sent.
    if (bytes > SMALL_BYTES && !reply.raw.destroyed) request.response?.take(bytes);
  });
}

const full = (message: string): MillraceError =>
  new MillraceError('BODY_MEMORY_FULL', message, { retryAfterMs: MEMORY_RETRY_MS });
