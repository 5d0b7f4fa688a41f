import { createHmac, timingSafeEqual } from 'node:crypto';
import { canonicalJson, type JsonObject } from '../../pipelines/json.js';
import { foreignCursor } from './request.js';
import type { RunFilters } from './run-list.js';

const MAC_BYTES = 16;

/** Whose list it is. */
interface Listed {
  readonly tenant: string;
  readonly filters: RunFilters;
}

/**
 * Cursors of lists: the place that Temporal names, sealed for one tenant and its filters. Temporal answers a place that it did not
 * make with an unknown error, which its client takes for passing and tries ten times; the seal keeps such places from it.
 */
export class Cursors {
  readonly #secret: () => Promise<Buffer>;

  /** @param secret the same at every gateway */
  constructor(secret: () => Promise<Buffer>) {
    this.#secret = secret;
  }

  async seal(list: Listed, place: Uint8Array): Promise<string> {
    return Buffer.concat([await this.#macOf(list, place), place]).toString('base64url');
  }

  /** The place that a cursor stands for. Throws `INVALID_INPUT` for one that was not made for this list. */
  async open(list: Listed, cursor: string): Promise<Uint8Array> {
    const bytes = Buffer.from(cursor, 'base64url');
    const mac = bytes.subarray(0, MAC_BYTES);
    const place = bytes.subarray(MAC_BYTES);
    if (mac.length === MAC_BYTES && timingSafeEqual(mac, await this.#macOf(list, place))) return place;
    throw foreignCursor();
  }

  async #macOf({ tenant, filters }: Listed, place: Uint8Array): Promise<Buffer> {
    const list = canonicalJson({ tenant, filters: filters as JsonObject });
    return createHmac('sha256', await this.#secret())
      .update(`${list}\n`)
      .update(place)
      .digest()
      .subarray(0, MAC_BYTES);
  }
}
