import { AsyncLocalStorage } from 'node:async_hooks';
import { ProtocolErrorCode, type RequestId, type Transport } from '@modelcontextprotocol/client';

/** Longest time for telling a server that a call is cancelled, in milliseconds: after it, the request of the call is closed in any case. */
const TELL_MS = 5_000;
/** How long the stream of a request may stay open after its response, in milliseconds. Servers end it with the response. */
const AFTER_RESPONSE_MS = 1_000;

/** Ends a request with a reason that does not come from the server. */
type Fail = (why: Error) => void;

/** Also holds for the connections by which the client resumes the stream of the request. */
const requestSent = new AsyncLocalStorage<Fail>();

/** For the one who reads what the server answers to the request that is being sent; undefined if that is no request. */
export const failOfRequest = (): Fail | undefined => requestSent.getStore();

/**
 * Ties the HTTP requests of a remote server to the JSON-RPC requests that they carry, which the SDK does in part. A request that is cancelled is
 * closed: versions with a handshake only notify the server. One whose answer ends without its response fails at once, with an error whose `data` is
 * the reason, an `Error`: the SDK would let it wait for its timeout. To be called when the client has connected, since the
 * negotiation of the version takes an error for the answer of an older server.
 */
export function tieRequests(transport: Transport): void {
  if (transport.hasPerRequestStream !== true) return;
  const open = new Map<string, AbortController>();
  const taken = (id: RequestId | undefined) => {
    const own = open.get(String(id));
    open.delete(String(id));
    return own;
  };

  const deliver = transport.onmessage;
  transport.onmessage = (message, extra) => {
    const own = 'method' in message ? undefined : taken(message.id);
    if (own) setTimeout(() => own.abort(), AFTER_RESPONSE_MS).unref();
    deliver?.(message, extra);
  };

  const send = transport.send.bind(transport);
  transport.send = async (message, options) => {
    if (!('method' in message)) return await send(message, options);
    if (!('id' in message)) {
      const cancelled = message.method === 'notifications/cancelled';
      const own = cancelled ? taken(message.params?.requestId as RequestId | undefined) : undefined;
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
    open.set(String(id), own);
    options?.requestSignal?.addEventListener('abort', () => taken(id)?.abort(), { once: true });
    const fail: Fail = (why) => {
      if (open.get(String(id)) !== own) return;
      const error = { code: ProtocolErrorCode.InternalError, message: why.message, data: why };
      transport.onmessage?.({ jsonrpc: '2.0', id, error });
      own.abort();
    };
    const onRequestStreamEnd = options?.onRequestStreamEnd ?? (() => fail(new Error('its answer broke off')));
    try {
      await requestSent.run(fail, () => send(message, { ...options, requestSignal: own.signal, onRequestStreamEnd }));
    } catch (error) {
      taken(id);
      throw error;
    }
  };
}
