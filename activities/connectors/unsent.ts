/**
 * Words for a connection that was never made, of Node's sockets and resolver, undici and grpc-js: no server has got the call.
 * A connection that breaks later may have carried it.
 */
const NO_CONNECTION = new RegExp(
  [
    '\\b(ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|UND_ERR_CONNECT_TIMEOUT)\\b',
    '\\bconnect ETIMEDOUT\\b',
    '(^|: )ETIMEDOUT$',
    'No connection established',
    'Name resolution failed',
  ].join('|'),
);

/** Whether what a client says of a failed call means that the call never left. */
export const neverLeft = (text: string): boolean => NO_CONNECTION.test(text);

/** What servers that start, and proxies with no server behind them, say with 503. */
const NOT_READY =
  /\bloading( the)? model\b|\bmodel is (still )?loading\b|\bnot (yet )?ready\b|\bno healthy upstream\b/i;

/** Whether a server's answer of this status says that it does not take calls yet. */
export const isNotReady = (status: number, text: string): boolean => status === 503 && NOT_READY.test(text);
