import { errorOf, unreachable } from './error.js';
import type { ClientOptions } from './options.js';

/** Requests to a gateway, with the caller's key or tenant. */
export class Requests {
  readonly #base: string;
  readonly #headers: Record<string, string>;
  readonly #fetch: typeof fetch;

  constructor({ baseUrl, key, tenant, fetch: own }: ClientOptions) {
    this.#base = baseUrl.replace(/\/+$/, '');
    this.#headers = {
      ...(key !== undefined && { authorization: `Bearer ${key}` }),
      ...(tenant !== undefined && { 'millrace-tenant': tenant }),
    };
    this.#fetch = own ?? ((...args) => fetch(...args));
  }

  /** The body of a successful response. Throws a `ClientError`. */
  async json<T>(route: string, init: RequestInit = {}): Promise<T> {
    const response = await this.send(route, init);
    return await this.#whole(init, async () => (await response.json()) as T);
  }

  /** Throws a `ClientError` unless the response is successful. */
  async send(route: string, init: RequestInit): Promise<Response> {
    const response = await this.#whole(init, () => {
      const headers = { ...this.#headers, ...Object.fromEntries(new Headers(init.headers)) };
      return this.#fetch(this.#base + route, { ...init, headers });
    });
    if (response.ok) return response;
    throw await errorOf(response);
  }

  /** A connection that is lost, before the headers of a response or after them, is a `ClientError` as well. */
  async #whole<T>({ signal }: RequestInit, receive: () => Promise<T>): Promise<T> {
    try {
      return await receive();
    } catch (error) {
      signal?.throwIfAborted();
      throw unreachable(this.#base, error);
    }
  }
}
