import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { pino } from 'pino';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { Authenticator, type GatewayLimits, issueKey, keyRing } from '../../../gateway/index.js';
import { freePort } from '../../support/free-port.js';
import { speaks } from '../../support/kserve-pipelines.js';
import { type TestGateway, testGateway } from '../../support/test-gateway.js';

const { secret, key } = issueKey({ name: 'test', tenant: 'acme', permissions: ['run', 'read'] });

let gateway: TestGateway;
let port: number;
let open: { destroy(): void }[];
beforeEach(() => {
  open = [];
});
afterEach(async () => {
  for (const each of open) each.destroy();
  await gateway.close();
});

async function serve(limits: Partial<GatewayLimits> = {}): Promise<void> {
  port = await freePort();
  const authenticator = new Authenticator({ by: 'key', keys: keyRing([key]) }, pino({ level: 'silent' }));
  const grpc = { host: '127.0.0.1', port };
  gateway = await testGateway(limits, { pipelines: [speaks], grpc, authenticator });
  await gateway.app.ready();
}

function session(): http2.ClientHttp2Session {
  const made = http2.connect(`http://127.0.0.1:${port}`);
  made.on('error', () => undefined);
  open.push(made);
  return made;
}

function connection(): net.Socket {
  const socket = net.connect(port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  open.push(socket);
  return socket;
}

/** A call whose body is only what is sent of it, and its status when it comes: of the headers, or the trailers. */
async function call(from: http2.ClientHttp2Session, method: string, sent: Buffer = Buffer.alloc(0), apiKey = '') {
  const stream = from.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(apiKey !== '' && { 'x-api-key': apiKey }),
  });
  stream.on('error', () => undefined).resume();
  if (sent.length > 0) stream.write(sent);
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  const told =
    headers['grpc-status'] === undefined ? ((await once(stream, 'trailers')) as (typeof headers)[])[0] : headers;
  stream.close();
  return [Number(told?.['grpc-status']), told?.['millrace-code']];
}

/** The beginning of a message that is said to be long. */
const half = Buffer.from([0, 0, 0, 1, 0, 10, 1, 97]);

test('a stranger is refused before anything of its message is there', async () => {
  await serve();
  const stranger = session();
  expect(await call(stranger, 'ModelInfer')).toEqual([16, 'UNAUTHENTICATED']);
  expect(await call(stranger, 'ModelInfer', half, `${secret}0`)).toEqual([16, 'UNAUTHENTICATED']);
  expect(await call(stranger, 'ModelStreamInfer')).toEqual([16, 'UNAUTHENTICATED']);
});

test('a probe is answered, and takes no message', async () => {
  await serve();
  expect(await call(session(), 'ServerLive')).toEqual([0, undefined]);
  expect(await call(session(), 'ServerReady', half)).toEqual([0, undefined]);
});

test('a message that does not come in time ends its call', async () => {
  await serve({ uploadTimeoutMs: 200 });
  expect(await call(session(), 'ModelInfer', half, secret)).toEqual([4, 'REQUEST_TIMEOUT']);
});

test('a message that is too long is refused by its length', async () => {
  await serve({ maxAudioBytes: 100, maxJsonBytes: 100 });
  const long = Buffer.from([0, 0, 0, 1, 0]);
  expect(await call(session(), 'ModelInfer', long, secret)).toEqual([8, undefined]);
});

test('calls at once on a connection are bounded', async () => {
  await serve();
  const one = session();
  const [settings] = (await once(one, 'remoteSettings')) as [http2.Settings];
  expect(settings.maxConcurrentStreams).toBe(256);
});

test('an address has so many connections, and the others of its go on', async () => {
  await serve({ maxConnectionsPerAddress: 2 });
  const [first, second] = [session(), session()];
  for (const each of [first, second]) expect(await call(each, 'ServerLive')).toEqual([0, undefined]);
  const third = connection();
  await once(third, 'close');
  expect(third.bytesRead).toBe(0);
  expect(await call(first, 'ServerLive')).toEqual([0, undefined]);
  second.destroy();
  // Its place is free when the gateway has seen it go.
  for (;;) {
    const next = session();
    const answered = await Promise.race([call(next, 'ServerLive'), once(next, 'close').then(() => undefined)]);
    if (answered) break;
  }
});

test('there are so many connections in all', async () => {
  await serve({ maxConnections: 1 });
  const first = session();
  expect(await call(first, 'ServerLive')).toEqual([0, undefined]);
  const second = connection();
  await once(second, 'close');
  expect(await call(first, 'ServerLive')).toEqual([0, undefined]);
});

test('a connection that says nothing, or half a greeting, is closed; one that has greeted is kept', async () => {
  await serve({ headersTimeoutMs: 1_000 });
  const greeted = session();
  expect(await call(greeted, 'ServerLive')).toEqual([0, undefined]);
  const [silent, slow] = [connection(), connection()];
  slow.write('PRI * HTTP/2.0\r\n');
  await Promise.all([once(silent, 'close'), once(slow, 'close')]);
  expect(await call(greeted, 'ServerLive')).toEqual([0, undefined]);
});

test('the gateway ends, whoever is connected', async () => {
  await serve();
  const [idle] = [session(), connection()];
  expect(await call(idle, 'ServerLive')).toEqual([0, undefined]);
  await gateway.app.close();
});
