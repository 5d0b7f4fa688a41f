import { type Agent, type IncomingMessage, request } from 'node:http';

const HOST = '127.0.0.1';
/** The attacker uses its own loopback addresses, because connection limits are per address. */
const FROM = '127.0.0.2';

export interface RequestOptions {
  readonly port: number;
  readonly path: string;
  readonly secret?: string;
  readonly method?: string;
  readonly headers?: Readonly<Record<string, string | number>>;
  readonly body?: Buffer | string;
  readonly from?: string;
  /** Aborts when the answer is no longer needed. */
  readonly end?: AbortSignal;
  readonly agent?: Agent;
}

export interface Answered {
  readonly status: number;
  /** Code of the error table. */
  readonly code?: string;
  readonly text: string;
}

/** Sends a request and reads the whole answer, even if it arrives before the body has been sent. */
export const exchange = async (options: RequestOptions): Promise<Answered> => readAnswer(await answerTo(options));

/** The rest of an answer whose head has arrived. */
export async function readAnswer(response: IncomingMessage): Promise<Answered> {
  const pieces: Buffer[] = [];
  for await (const piece of response) pieces.push(piece as Buffer);
  const text = Buffer.concat(pieces).toString();
  const code = codeIn(text);
  return { status: response.statusCode ?? 0, ...(code !== undefined && { code }), text };
}

/** Parses a JSON body, as `json()` of a fetch. */
export const json = <T>({ text }: Answered): T => JSON.parse(text) as T;

export const POST = { method: 'POST', headers: { 'content-type': 'application/json' } } as const;

/** `429 RATE_LIMITED` */
export const outcomeOf = ({ status, code }: Pick<Answered, 'status' | 'code'>): string =>
  code === undefined ? String(status) : `${status} ${code}`;

/** The head of the answer. */
export function answerTo({
  port,
  path,
  secret,
  body,
  end,
  agent,
  from = FROM,
  ...options
}: RequestOptions): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({
      host: HOST,
      localAddress: from,
      port,
      path,
      method: options.method ?? 'GET',
      headers: {
        ...options.headers,
        ...(secret !== undefined && { authorization: `Bearer ${secret}` }),
        ...(body !== undefined && { 'content-length': Buffer.byteLength(body) }),
      },
      ...(agent && { agent }),
      ...(end && { signal: end }),
    });
    sent.once('response', resolve);
    sent.on('error', reject);
    sent.end(body);
  });
}

/**
 * The error code's place by protocol: in a problem, beside a message, in OpenAI's `error`, in the `data` of JSON-RPC.
 */
function codeIn(text: string): string | undefined {
  try {
    const { code, error } = JSON.parse(text) as {
      code?: unknown;
      error?: { code?: unknown; data?: { code?: unknown } };
    };
    return [code, error?.code, error?.data?.code].find((found) => typeof found === 'string');
  } catch {
    return undefined; // an event stream
  }
}
