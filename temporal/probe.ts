import http2 from 'node:http2';
import net from 'node:net';
import tls from 'node:tls';

/** The address to probe, and how. */
export interface ProbeTarget {
  readonly host: string;
  readonly port: number;
  readonly apiKey?: string | undefined;
  /** Undefined: plain text. */
  readonly tls?: tls.ConnectionOptions | undefined;
}

/**
 * How far a probe got. `session`: the connection is established, including TLS if it was requested, but HTTP/2 failed.
 */
export type Ended =
  | { readonly at: 'connect' | 'handshake' | 'session'; readonly error: NodeJS.ErrnoException }
  | { readonly at: 'answer'; readonly status: number; readonly grpcStatus?: number; readonly body: string };

/** Error codes in addition to Node's. */
export const SILENT = 'SILENT';
export const NO_HTTP2 = 'NO_HTTP2';

/** Largest part of a response body that is examined, in bytes. */
const LONGEST_BODY = 4_096;

/** A gRPC frame with an empty message: not compressed, no bytes. */
const EMPTY = Buffer.alloc(5);

/** Parts of the time that a server has. However long this process stalls, it cannot read meanwhile: that counts as one of them. */
const PARTS = 10;

/**
 * Sends a request to Temporal’s frontend without its SDK, which does not report why it fails. Never rejects; fails with
 * the code `SILENT` after `limitMs`, not counting the time in which this process stalled.
 */
export function probe({ host, port, apiKey, tls: secure }: ProbeTarget, limitMs: number): Promise<Ended> {
  return new Promise((resolve) => {
    let at: 'connect' | 'handshake' | 'session' = 'connect';
    const socket = secure ? tls.connect({ host, port, ALPNProtocols: ['h2'], ...secure }) : net.connect({ host, port });
    const session = http2.connect(secure ? 'https://server' : 'http://server', { createConnection: () => socket });
    const end = (how: Ended) => {
      clearInterval(timer);
      resolve(how);
      session.destroy();
      socket.destroy();
    };
    const fail = (error: NodeJS.ErrnoException) => end({ at, error });
    const failAs = (code: string) => () => fail(Object.assign(new Error(code), { code }));
    let parts = 0;
    const timer = setInterval(() => {
      parts += 1;
      if (parts === PARTS) failAs(SILENT)();
    }, limitMs / PARTS);
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
      // Also emitted when a session ends without a response, which reports its own error.
      if (head[':status'] === undefined) return;
      const grpcStatus = head['grpc-status'];
      const status = Number(head[':status']);
      end({ at: 'answer', status, body, ...(grpcStatus !== undefined && { grpcStatus: Number(grpcStatus) }) });
    });
    request.end(EMPTY);
  });
}

const authority = (host: string, port: number): string => (net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`);
