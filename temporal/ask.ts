import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

/** Where to look, and how. */
export interface Asked {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string | undefined;
  /** Undefined: plain text. */
  readonly tls?: tls.ConnectionOptions | undefined;
}

/** How far a question came. `session`: the connection stands, with TLS if that was wanted, and HTTP/2 failed. */
export type Ended =
  | { readonly at: 'connect' | 'handshake' | 'session'; readonly error: NodeJS.ErrnoException }
  | { readonly at: 'answer'; readonly status: number; readonly grpcStatus?: number; readonly body: string };

/** Codes of errors beside those of Node. */
export const SILENT = 'SILENT';
export const NO_HTTP2 = 'NO_HTTP2';

/** As much of an answer as is looked at. */
const LONGEST_BODY = 4_096;

/** A request of gRPC without any field in its frame: not compressed, no bytes. */
const EMPTY = Buffer.alloc(5);

/**
 * Asks Temporal’s frontend what it is, without its SDK, which does not tell why it fails. Never rejects; what takes longer than
 * `limitMs` fails with the code `SILENT`.
 */
export function ask({ host, port, apiKey, tls: secure }: Asked, limitMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    let at: 'connect' | 'handshake' | 'session' = 'connect';
    const socket = secure ? tls.connect({ host, port, ALPNProtocols: ['h2'], ...secure }) : net.connect({ host, port });
    const session = http2.connect(secure ? 'https://server' : 'http://server', { createConnection: () => socket });
    const end = (how: Ended) => {
      clearTimeout(timer);
      resolve(how);
      session.destroy();
      socket.destroy();
    };
    const fail = (error: NodeJS.ErrnoException) => end({ at, error });
    const failAs = (code: string) => () => fail(Object.assign(new Error(code), { code }));
    const timer = setTimeout(failAs(SILENT), limitMs);
    socket.once('connect', () => {
      at = secure ? 'handshake' : 'session';
    });
    if (socket instanceof tls.TLSSocket) {
      socket.once('secureConnect', () => {
        at = 'session';
        if (socket.alpnProtocol !== 'h2') failAs(NO_HTTP2)();
      });
    }
    socket.on('error', fail);
    session.on('error', fail);
    session.on('close', failAs('ECONNRESET'));
    const request = session.request({
      ':method': 'POST',
      ':path': '/temporal.api.workflowservice.v1.WorkflowService/GetSystemInfo',
      ':authority': secure?.servername || authority(host, port),
      'content-type': 'application/grpc',
      te: 'trailers',
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
    });
    let head: http2.IncomingHttpHeaders = {};
    let body = '';
    request.on('response', (headers) => {
      head = headers;
    });
    request.on('trailers', (trailers) => {
      head = { ...head, ...trailers };
    });
    request.on('data', (chunk: Buffer) => {
      body += chunk.toString('latin1', 0, LONGEST_BODY - body.length);
    });
    request.on('error', fail);
    request.on('end', () => {
      // Also at the end of a session without an answer, which tells of itself.
      if (head[':status'] === undefined) return;
      const grpcStatus = head['grpc-status'];
      const status = Number(head[':status']);
      end({ at: 'answer', status, body, ...(grpcStatus !== undefined && { grpcStatus: Number(grpcStatus) }) });
    });
    request.end(EMPTY);
  });
}

const authority = (host: string, port: number): string => (net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`);
