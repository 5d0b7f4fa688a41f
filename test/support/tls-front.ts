import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import http2 from 'node:http2';
import type { AddressInfo } from 'node:net';

export interface Front {
  readonly cert: string;
  readonly key: string;
  /** Certificate of the authority whose clients are let in; absent: no client certificate is asked for. */
  readonly clients?: string;
  /** The only value of `authorization` that is let in; absent: any. */
  readonly authorization?: string;
  /** Paths that are refused with PERMISSION_DENIED, as Temporal Cloud refuses the operator service. */
  readonly denied?: string;
}

const { HTTP2_HEADER_PATH, HTTP2_HEADER_STATUS, NGHTTP2_CANCEL } = http2.constants;

/**
 * Starts a TLS port for each front, all of which lead to a gRPC server in plain text: what a proxy or a cloud's door is
 * to a client. Returns the ports.
 */
export async function startFronts(upstream: string, fronts: readonly Front[]) {
  const servers = fronts.map(({ cert, key, clients, authorization, denied }) => {
    const client = http2.connect(`http://${upstream}`).on('error', () => undefined);
    const server = http2.createSecureServer({
      cert: readFileSync(cert),
      key: readFileSync(key),
      ...(clients && { ca: readFileSync(clients), requestCert: true, rejectUnauthorized: true }),
    });
    const sessions = new Set<http2.ServerHttp2Session>();
    server.on('session', (session) => sessions.add(session.on('close', () => sessions.delete(session))));
    server.on('stream', (stream, headers) => {
      stream.on('error', () => undefined);
      if (authorization !== undefined && headers.authorization !== authorization) {
        stream.respond({ [HTTP2_HEADER_STATUS]: 401 }, { endStream: true });
      } else if (denied !== undefined && String(headers[HTTP2_HEADER_PATH]).startsWith(denied)) {
        stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': '7' }));
        stream.respond({ [HTTP2_HEADER_STATUS]: 200, 'content-type': 'application/grpc' }, { waitForTrailers: true });
        stream.end();
      } else forward(client, stream, headers);
    });
    return {
      server,
      close: () => {
        for (const session of sessions) session.destroy();
        client.destroy();
        server.close();
      },
    };
  });
  const ports: number[] = [];
  for (const { server } of servers) {
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    ports.push((server.address() as AddressInfo).port);
  }
  return {
    ports,
    stop: () => {
      for (const { close } of servers) close();
    },
  };
}

/** Passes a call on: headers, messages and trailers in both directions, and a cancellation. */
function forward(
  client: http2.ClientHttp2Session,
  stream: http2.ServerHttp2Stream,
  headers: http2.IncomingHttpHeaders,
) {
  // A connection that is accepted while the front stops.
  if (client.destroyed) return stream.close(NGHTTP2_CANCEL);
  const request = client.request(headers);
  let trailers: http2.OutgoingHttpHeaders = {};
  request.on('response', (answer) => {
    const headers = Object.entries(withoutPseudo(answer));
    // An error without an answer has its status in the headers, which are then the end of the stream.
    const isStatus = ([name]: [string, unknown]) => name.startsWith('grpc-status') || name === 'grpc-message';
    trailers = Object.fromEntries(headers.filter(isStatus));
    stream.respond(Object.fromEntries(headers.filter((each) => !isStatus(each))), { waitForTrailers: true });
  });
  request.on('trailers', (last) => {
    trailers = withoutPseudo(last);
  });
  stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  request.on('error', () => stream.close(NGHTTP2_CANCEL));
  stream.on('close', () => request.close(NGHTTP2_CANCEL));
  stream.pipe(request).pipe(stream);
}

/** Headers as they may be sent: Node adds symbols to those that it has received. */
const withoutPseudo = (headers: http2.IncomingHttpHeaders): http2.OutgoingHttpHeaders => ({ ...headers });
