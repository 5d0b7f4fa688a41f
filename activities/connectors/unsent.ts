/**
 * Error texts of Node's sockets and resolver, undici and grpc-js for a connection that was never made: no server has
 * received the call. After a connection that broke later the server may have received it.
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

/** Whether a client's error means that the call was never sent. */
export const neverLeft = (text: string): boolean => NO_CONNECTION.test(text);

/** 503 texts of servers that are starting and of proxies without an upstream. */
const NOT_READY =
  /\bloading( the)? model\b|\bmodel is (still )?loading\b|\bnot (yet )?ready\b|\bno healthy upstream\b|\bno available workers\b|\bno models available\b/i;

/** Whether an answer of this status means that the server does not accept calls yet. */
export const isNotReady = (status: number, text: string): boolean => status === 503 && NOT_READY.test(text);
