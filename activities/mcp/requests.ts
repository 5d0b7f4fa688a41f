import { AsyncLocalStorage } from 'node:async_hooks';
import { ProtocolErrorCode, type RequestId, type Transport } from '@modelcontextprotocol/client';

/** Longest time for telling a server that a call is cancelled, in milliseconds: after it, the request of the call is closed in any case. */
const TELL_MS = 5_000;
/** How long the stream of a request may stay open after its response, in milliseconds. Servers end it with the response. */
const AFTER_RESPONSE_MS = 1_000;

/** A JSON-RPC request without a response so far. */
interface SentRequest {
  readonly own: AbortController;
  /** Ends it with a reason that does not come from the server. */
  readonly fail: (why: Error) => void;
  /** Id of the latest event of its stream. */
  lastEvent?: string;
  /** The stream that answered it has ended in order, with nothing in it. */
  empty?: boolean;
}

/** Also holds for the connections by which the client resumes the stream of the request. */
const requestSent = new AsyncLocalStorage<SentRequest>();

/** For the one who reads what the server answers to the request that is being sent; undefined if that is no request. */
export const sentRequest = (): SentRequest | undefined => requestSent.getStore();

/**
 * Ties the HTTP requests of a remote server to the JSON-RPC requests that they carry, which the SDK does in part. A request that is cancelled is
 * closed: versions with a handshake only notify the server. One whose answer ends without its response fails at once, with an error whose `data` is
 * the reason, an `Error`: the SDK would let it wait for its timeout.
 */
export class TiedRequests {
  readonly #open = new Map<string, SentRequest>();
  /** The server may send messages by a stream that belongs to no request. */
  #hasStream = false;

  /** The `fetch` of the transport, by this one. */
  fetch(by: typeof fetch): typeof fetch {
    return async (input, init) => {
      if (init?.method !== 'GET') return await by(input, init);
      const { lastEvent } = sentRequest() ?? {};
      if (lastEvent !== undefined) {
        // The SDK forgets it when a resumed stream ends before another event (its issue 2499).
        const headers = new Headers(init.headers);
        headers.set('last-event-id', lastEvent);
        return await by(input, { ...init, headers });
      }
      this.#hasStream = true;
      let isOpen = false;
      try {
        const response = await by(input, init);
        isOpen = response.ok;
        return response;
      } finally {
        if (!isOpen) this.#withoutStream();
      }
    };
  }

  /** To be called when the client has connected, since the negotiation of the version takes an error for the answer of an older server. */
  tie(transport: Transport): void {
    if (transport.hasPerRequestStream !== true) return;
    const deliver = transport.onmessage;
    transport.onmessage = (message, extra) => {
      const own = 'method' in message ? undefined : this.#taken(message.id);
      if (own) setTimeout(() => own.abort(), AFTER_RESPONSE_MS).unref();
      deliver?.(message, extra);
    };

    const send = transport.send.bind(transport);
    transport.send = async (message, options) => {
      if (!('method' in message)) return await send(message, options);
      if (!('id' in message)) {
        const cancelled = message.method === 'notifications/cancelled';
        const own = cancelled ? this.#taken(message.params?.requestId as RequestId | undefined) : undefined;
        if (!own) return await send(message, options);
        const late = setTimeout(() => own.abort(), TELL_MS);
        try {
          return await send(message, { ...options, requestSignal: own.signal });
        } finally {
          clearTimeout(late);
          own.abort();
        }
      }
      const { id } = message;
      const own = new AbortController();
      const fail = (why: Error) => {
        if (this.#open.get(String(id)) !== sent) return;
        const error = { code: ProtocolErrorCode.InternalError, message: why.message, data: why };
        transport.onmessage?.({ jsonrpc: '2.0', id, error });
        own.abort();
      };
      const sent: SentRequest = { own, fail };
      this.#open.set(String(id), sent);
      options?.requestSignal?.addEventListener('abort', () => this.#taken(id)?.abort(), { once: true });
      const tied = {
        ...options,
        requestSignal: own.signal,
        onresumptiontoken: (event: string) => {
          sent.lastEvent = event;
          options?.onresumptiontoken?.(event);
        },
        onRequestStreamEnd:
          options?.onRequestStreamEnd ??
          (() => {
            // Servers on Rust's SDK up to 0.1.5 answer by the stream that belongs to no request.
            if (!sent.empty || !this.#hasStream) fail(brokenOff());
          }),
      };
      try {
        await requestSent.run(sent, () => send(message, tied));
      } catch (error) {
        this.#taken(id);
        // Else Node 20 keeps the signal for as long as the connection.
        own.abort();
        throw error;
      }
    };
  }

  #taken(id: RequestId | undefined): AbortController | undefined {
    const sent = this.#open.get(String(id));
    this.#open.delete(String(id));
    return sent?.own;
  }

  #withoutStream(): void {
    this.#hasStream = false;
    for (const { empty, fail } of [...this.#open.values()]) if (empty) fail(brokenOff());
  }
}

const brokenOff = (): Error => new Error('its answer broke off');
