import type { Transport } from '../../exchange.js';

/** A request as it is sent. */
export interface Outgoing {
  readonly method: string;
  readonly url: URL;
  /** By lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array;
}

/** Says who sends a request, by headers that depend on the request or on the time. */
export interface Authorizer {
  /** What is added to a request. Throws the error of a token that cannot be had. */
  headers(request: Outgoing, signal: AbortSignal): Promise<Readonly<Record<string, string>>>;
  /** Whether a refusal would be another with what is known now; `sent` are the headers of `headers`. Asked once for a request. */
  again(refused: Pick<Response, 'status' | 'headers'>, sent: Readonly<Record<string, string>>): boolean;
  /** What must be in no message. */
  secrets(): readonly string[];
}

/** Authorizes each request, those of redirects and of jobs too. One that was refused is sent once more where that may help. */
export const authorizing =
  (by: Authorizer): ((send: Transport) => Transport) =>
  (send) =>
  async (url, init) => {
    const { headers, body } = await outgoing(init);
    const { method = 'GET' } = init;
    const signal = init.signal ?? new AbortController().signal;
    const request: Outgoing = { method, url: new URL(url), headers, body: body ?? new Uint8Array() };
    const sent = (added: Readonly<Record<string, string>>) =>
      send(url, { ...init, headers: { ...headers, ...added }, ...(body && { body }) });
    const added = await by.headers(request, signal);
    const response = await sent(added);
    if (![400, 401, 403].includes(response.status) || !by.again(response, added)) return response;
    await response.body?.cancel();
    return sent(await by.headers(request, signal));
  };

/** The bytes of a body: of a form those with its boundary. */
async function outgoing({ headers, body }: RequestInit) {
  const given = new Headers(headers);
  if (body === undefined || body === null) return { headers: Object.fromEntries(given) };
  const written = new Response(body);
  const type = given.get('content-type') ?? written.headers.get('content-type');
  if (type !== null) given.set('content-type', type);
  return { headers: Object.fromEntries(given), body: new Uint8Array(await written.arrayBuffer()) };
}
