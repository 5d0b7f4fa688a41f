import { EventEmitter, once } from 'node:events';
import http2 from 'node:http2';
import { connect } from 'node:net';
import { Server } from '@grpc/grpc-js';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { Authenticator, issueKey, keyRing } from '../../../../gateway/index.js';
import { boundCallHeaders } from '../../../../gateway/kserve/grpc-headers.js';
import { RationedWarnings } from '../../../../telemetry/warnings.js';
import { freePort } from '../../../support/free-port.js';
import { speaks } from '../../../support/kserve-pipelines.js';
import { type TestGateway, testGateway } from '../../../support/test-gateway.js';

const SERVICE = '/inference.GRPCInferenceService';
const silent = pino({ level: 'silent' });
const { secret, key } = issueKey({ name: 'test', tenant: 'acme', permissions: ['run', 'read'] });

let gateway: TestGateway;
let session: http2.ClientHttp2Session;
let port: number;
beforeEach(async () => {
  port = await freePort();
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, silent);
  gateway = await testGateway({}, { pipelines: [speaks], grpc: { host: '127.0.0.1', port }, authenticator });
  await gateway.app.ready();
  session = http2.connect(`http://127.0.0.1:${port}`);
  session.on('error', () => undefined);
});
afterEach(async () => {
  session.destroy();
  await gateway.close();
});

/** A call that its client does not end. */
function call(headers: http2.OutgoingHttpHeaders, path = `${SERVICE}/ServerMetadata`): http2.ClientHttp2Stream {
  const stream = session.request({
    ':method': 'POST',
    ':path': path,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...headers,
  });
  stream.on('error', () => undefined).resume();
  return stream;
}

/** Its status, of the headers or the trailers, with the code of the error table. */
async function statusOf(stream: http2.ClientHttp2Stream): Promise<unknown[]> {
  const came = new Promise<http2.IncomingHttpHeaders>((resolve) => {
    const note = (headers: http2.IncomingHttpHeaders) => headers['grpc-status'] !== undefined && resolve(headers);
    stream.on('response', note).on('trailers', note);
  });
  const headers = await came;
  return [Number(headers['grpc-status']), headers['millrace-code']];
}

/** An empty message. */
const EMPTY = Buffer.alloc(5);
const values = (count: number) => Array.from({ length: count }, () => 'AAEC').join(',');
const fields = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, n) => [`x-${n}`, '1']));

test.each<readonly [string, http2.OutgoingHttpHeaders]>([
  ['more than 16 KiB', { 'x-long': 'x'.repeat(17_000) }],
  ['more than 16 KiB of one value again and again', { 'x-again': Array<string>(10).fill('y'.repeat(2_000)) }],
  ['more than 100 fields', fields(100)],
  ['more than 100 values of a binary field', { 'x-bin': ','.repeat(4_000) }],
  ['more than 100 values of binary fields', { 'x-bin': values(60), 'y-bin': values(60) }],
])('%s are refused before the caller is asked for, and the stream is closed', async (_, headers) => {
  const stream = call(headers);
  const closed = once(stream, 'close');
  expect(await statusOf(stream)).toEqual([8, 'HEADERS_TOO_LARGE']);
  await closed;
  const admitted = call({ 'x-api-key': secret });
  admitted.end(EMPTY);
  expect(await statusOf(admitted)).toEqual([0, undefined]);
});

test.each<readonly [string, http2.OutgoingHttpHeaders]>([
  ['more than 24 KiB', { 'x-again': Array<string>(15).fill(','.repeat(4_000)) }],
  ['more than 128 fields', { 'x-again': Array<string>(200).fill('y') }],
])('%s are not decoded: the stream is reset, and the connection goes on', async (_, headers) => {
  await statusOf(call({})); // the client has acknowledged the settings
  const stream = call(headers);
  await new Promise((resolve) => stream.once('close', resolve));
  expect(stream.rstCode).toBe(http2.constants.NGHTTP2_ENHANCE_YOUR_CALM);
  const admitted = call({ 'x-api-key': secret });
  admitted.end(EMPTY);
  expect(await statusOf(admitted)).toEqual([0, undefined]);
  const told = session.remoteSettings;
  expect([told.maxHeaderListSize, told.maxConcurrentStreams]).toEqual([24 * 1_024, 256]);
});

test('a client that does not acknowledge the settings is refused twice: then it has no new calls, and those in progress end', async () => {
  const frame = (type: number, flags: number, stream: number, payload = Buffer.alloc(0)) => {
    const head = Buffer.alloc(9);
    head.writeUIntBE(payload.length, 0, 3);
    head.writeUInt8(type, 3);
    head.writeUInt8(flags, 4);
    head.writeUInt32BE(stream, 5);
    return Buffer.concat([head, payload]);
  };
  // HPACK (RFC 7541 §6.2.1, §6.1): one field of 4,000 bytes, and then its index seven times.
  const field = Buffer.concat([
    Buffer.from([0x40, 5, ...Buffer.from('x-bin'), 0x7f, 0xa1, 0x1e]),
    Buffer.alloc(4_000, ','),
    Buffer.alloc(7, 0x80 | 62),
  ]);
  const pseudo = Buffer.from([0x83, 0x86, 0x84, 0x01, 1, 0x78]); // POST, http, /, and an authority
  const [HEADERS, GOAWAY] = [1, 7];
  const END = 0x05;
  const socket = connect(port, '127.0.0.1');
  const received: Buffer[] = [];
  socket.on('data', (data) => received.push(data));
  const again = Buffer.concat([pseudo, Buffer.alloc(8, 0x80 | 62)]);
  socket.write(
    Buffer.concat([
      Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'),
      frame(4, 0, 0),
      frame(HEADERS, END, 1, Buffer.concat([pseudo, field])),
      ...[3, 5, 7].map((id) => frame(HEADERS, END, id, again)),
    ]),
  );
  await once(socket, 'end');
  socket.destroy();
  const types: [type: number, stream: number][] = [];
  const all = Buffer.concat(received);
  for (let at = 0; at + 9 <= all.length; at += 9 + all.readUIntBE(at, 3))
    types.push([all.readUInt8(at + 3), all.readUInt32BE(at + 5)]);
  expect(types.filter(([type]) => type === HEADERS).map(([, stream]) => stream)).toEqual([1, 3]);
  expect(types.some(([type]) => type === GOAWAY)).toBe(true);
});

test('what clients and proxies send is accepted, binary metadata too', async () => {
  const stream = call({
    'x-api-key': secret,
    'grpc-trace-bin': Buffer.alloc(29, 1).toString('base64'),
    'x-envoy-peer-metadata-bin': values(50),
    'x-long': 'x'.repeat(12_000),
    ...fields(40),
  });
  stream.end(EMPTY);
  expect(await statusOf(stream)).toEqual([0, undefined]);
});

test('no value of a header is written to standard error', async () => {
  const written = vi.spyOn(console, 'error').mockImplementation(() => undefined);
  try {
    const wrong = [
      { authorization: `Bearer ${secret}é` },
      { 'x-note': 'a\tb' },
      { 'x!note': secret },
      { 'x!-bin': 'AAEC' },
    ];
    for (const headers of wrong) expect(await statusOf(call(headers))).toEqual([16, 'UNAUTHENTICATED']);
    const stream = call({ 'x-api-key': secret, 'x-note': 'é' });
    stream.end(EMPTY);
    expect(await statusOf(stream), 'the field is ignored').toEqual([0, undefined]);
    expect(written).not.toHaveBeenCalled();
  } finally {
    written.mockRestore();
  }
});

test('the stream of an unknown method is closed, though its client does not end it', async () => {
  const stream = call({}, `${SERVICE}/Nothing`);
  const closed = once(stream, 'close');
  expect(await statusOf(stream)).toEqual([12, undefined]);
  await closed;
});

test('a call that is reset as it arrives is left alone, and what its stream reports is no error of the process', () => {
  const handle = vi.fn();
  const listener = Object.assign(new EventEmitter().on('stream', handle), { updateSettings: () => undefined });
  const server = { http2Servers: new Map([[listener, {}]]) } as unknown as Server;
  boundCallHeaders(server, new RationedWarnings(silent));
  const stream = Object.assign(new EventEmitter(), { closed: true });
  listener.emit('stream', stream, {}, 0, []);
  stream.emit('error', new Error('closed with error code NGHTTP2_INTERNAL_ERROR'));
  expect(handle).not.toHaveBeenCalled();
});

test('a release of grpc-js without these internals is an error at the start', () => {
  expect(() => boundCallHeaders(new Server(), new RationedWarnings(silent))).toThrow(/does not expose/);
});
