import http2 from 'node:http2';
import { connect } from 'node:net';

const HOST = '127.0.0.1';
const FROM = '127.0.0.2';
/** Megabytes that a connection may still have to send: above this Node's client drops incoming answers. */
const MOST_TO_SEND = 2_048;

/** A gRPC connection from the attacker's address. */
export function connection(port: number): http2.ClientHttp2Session {
  const session = http2.connect(`http://${HOST}:${port}`, {
    maxSessionMemory: MOST_TO_SEND,
    createConnection: () => connect({ port, host: HOST, localAddress: FROM, noDelay: true }),
  });
  return session.on('error', () => undefined);
}

/**
 * A call whose body is written to it. Its answer is `grpc 3 INVALID_INPUT`, `grpc reset` if its headers are too large to
 * be decoded, or `grpc closed` if the gateway closes the connection of a client that keeps sending without reading.
 */
export function open(
  session: http2.ClientHttp2Session,
  method: string,
  /** Absent: no caller that is known. */
  secret?: string,
  headers: http2.OutgoingHttpHeaders = {},
): { stream: http2.ClientHttp2Stream; answer: Promise<string> } {
  const stream = session.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(secret !== undefined && { 'x-api-key': secret }),
    ...headers,
  });
  const answer = new Promise<string>((resolve) => {
    const onHeaders = (headers: http2.IncomingHttpHeaders) => {
      const status = headers['grpc-status'];
      const code = headers['millrace-code'];
      if (status !== undefined) resolve(`grpc ${String(status)}${typeof code === 'string' ? ` ${code}` : ''}`);
    };
    stream.on('response', onHeaders);
    stream.on('trailers', onHeaders);
    stream.on('error', () => undefined).resume();
    stream.once('close', () =>
      resolve(stream.rstCode === http2.constants.NGHTTP2_ENHANCE_YOUR_CALM ? 'grpc reset' : 'grpc closed'),
    );
  });
  return { stream, answer };
}

/** Prefix of a message: uncompressed, and its length. */
export function prefix(length: number): Buffer {
  const bytes = Buffer.alloc(5);
  bytes.writeUInt32BE(length, 1);
  return bytes;
}

/** A length-delimited protobuf field. */
export function field(number: number, ...parts: readonly Buffer[]): Buffer {
  const length: number[] = [];
  for (let left = parts.reduce((sum, part) => sum + part.length, 0); ; left = Math.floor(left / 0x80)) {
    length.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), ...parts]);
}
