import { once } from 'node:events';
import http2 from 'node:http2';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { pino } from 'pino';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Authenticator, type GatewayLimits, type GatewayParts, issueKey, keyRing } from '../../../../gateway/index.js';
import { blockedStore } from '../../../support/blocked-store.js';
import { freePort } from '../../../support/free-port.js';
import { speaks } from '../../../support/kserve-pipelines.js';
import { compare, listen, type TestGateway, testGateway } from '../../../support/test-gateway.js';
import { wavFile } from '../../../support/wav-samples.js';

const MEBIBYTE = 1024 * 1024;
const { secret, key } = issueKey({ name: 'test', tenant: 'acme', permissions: ['run', 'read'] });
const other = issueKey({ name: 'other', tenant: 'other', permissions: ['run', 'read'] });
const looker = issueKey({ name: 'looker', tenant: 'acme', permissions: ['read', 'approve'] });
const measurer = issueKey({ name: 'measurer', tenant: 'acme', permissions: ['metrics'] });

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

async function serve(limits: Partial<GatewayLimits> = {}, change: Partial<GatewayParts> = {}): Promise<void> {
  port = await freePort();
  const authenticator = new Authenticator(
    { by: 'key', keys: keyRing([key, other.key, looker.key, measurer.key]) },
    pino({ level: 'silent' }),
  );
  const grpc = { host: '127.0.0.1', port };
  gateway = await testGateway(limits, { pipelines: [speaks, listen, compare], grpc, authenticator, ...change });
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

/** A call whose body is only what is sent of it. */
function opened(from: http2.ClientHttp2Session, method: string, sent: Buffer, apiKey = secret) {
  const stream = from.request({
    ':method': 'POST',
    ':path': `/inference.GRPCInferenceService/${method}`,
    'content-type': 'application/grpc',
    te: 'trailers',
    ...(apiKey !== '' && { 'x-api-key': apiKey }),
  });
  stream.on('error', () => undefined).resume();
  if (sent.length > 0) stream.write(sent);
  return stream;
}

/** Its status when it comes: of the headers, or the trailers. */
async function call(
  from: http2.ClientHttp2Session,
  method: string,
  sent: Buffer = Buffer.alloc(0),
  apiKey = '',
  ends = false,
) {
  const stream = opened(from, method, sent, apiKey);
  if (ends) stream.end();
  const [headers] = (await once(stream, 'response')) as [http2.IncomingHttpHeaders];
  const status =
    headers['grpc-status'] === undefined ? ((await once(stream, 'trailers')) as (typeof headers)[])[0] : headers;
  stream.close();
  return [Number(status?.['grpc-status']), status?.['millrace-code']];
}

/** A session that is answered, of as many as it takes. */
async function answeredSession(): Promise<http2.ClientHttp2Session> {
  for (;;) {
    const next = session();
    const gone = new Promise<undefined>((resolve) => next.once('close', () => resolve(undefined)));
    const answered = await Promise.race([call(next, 'ServerLive').catch(() => undefined), gone]);
    if (answered === undefined) continue;
    expect(answered).toEqual([0, undefined]);
    return next;
  }
}

/** A field of protobuf with a length. */
function field(number: number, bytes: Buffer): Buffer {
  const length: number[] = [];
  for (let left = bytes.length; ; left >>>= 7) {
    length.push(left < 0x80 ? left : (left & 0x7f) | 0x80);
    if (left < 0x80) break;
  }
  return Buffer.concat([Buffer.from([number * 8 + 2, ...length]), bytes]);
}
const named = (name: string) => Buffer.concat([field(1, Buffer.from(name)), field(2, Buffer.from('BYTES'))]);

function framed(message: Buffer): Buffer {
  const prefix = Buffer.alloc(5);
  prefix.writeUInt32BE(message.length, 1);
  return Buffer.concat([prefix, message]);
}

/** Bytes of bodies that the gateway holds, as its metrics tell. */
async function held(): Promise<number> {
  const metric = await gateway.deps.registry.getSingleMetric('millrace_body_bytes_held')?.get();
  return metric?.values[0]?.value ?? Number.NaN;
}

async function until(done: () => Promise<boolean>): Promise<void> {
  while (!(await done())) await sleep(5);
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
  expect(await call(session(), 'ModelInfer', long, secret)).toEqual([8, 'BODY_TOO_LARGE']);
  const aboutModels = Buffer.from([0, 0, 1, 0, 1]);
  expect(await call(session(), 'ModelReady', aboutModels, secret)).toEqual([8, 'BODY_TOO_LARGE']);
});

test('a key that may not run pipelines is refused before anything of its message is there', async () => {
  await serve();
  for (const method of ['ModelInfer', 'ModelStreamInfer'])
    expect(await call(session(), method, Buffer.alloc(0), looker.secret)).toEqual([7, 'FORBIDDEN']);
  expect(await call(session(), 'ModelReady', Buffer.alloc(0), measurer.secret)).toEqual([7, 'FORBIDDEN']);
});

test('a compressed message is refused before it is unpacked', async () => {
  await serve();
  for (const method of ['ModelInfer', 'ModelStreamInfer'])
    expect(await call(session(), method, Buffer.from([1, 0, 0, 0, 1, 0]), secret)).toEqual([
      12,
      'UNSUPPORTED_CONTENT_TYPE',
    ]);
});

test('a message of empty elements is refused before any is made', async () => {
  await serve({ maxAudioBytes: 64 * MEBIBYTE });
  // `inputs { contents { bytes_contents: "" … } }`, the field twice over in two bytes.
  const elements = Buffer.alloc(20 * MEBIBYTE, Buffer.from([0x42, 0x00]));
  const message = field(5, field(5, elements));
  const before = process.memoryUsage().heapUsed;
  let most = 0;
  const watch = setInterval(() => {
    most = Math.max(most, process.memoryUsage().heapUsed - before);
  }, 1);
  expect(await call(session(), 'ModelInfer', framed(message), secret, true)).toEqual([3, 'INVALID_INPUT']);
  clearInterval(watch);
  expect(most).toBeLessThan(100 * MEBIBYTE);
});

test('messages of a stream, large ones among small ones, are each answered, also the one before its end', async () => {
  await serve({ maxAudioBytes: 8 * MEBIBYTE });
  const large = framed(field(7, Buffer.alloc(3 * MEBIBYTE)));
  const small = framed(Buffer.alloc(0));
  const stream = opened(session(), 'ModelStreamInfer', Buffer.concat([large, small, small, large, large]));
  let answers = Buffer.alloc(0);
  stream.on('data', (piece: Buffer) => {
    answers = Buffer.concat([answers, piece]);
  });
  stream.end();
  const [trailers] = (await once(stream, 'trailers')) as [http2.IncomingHttpHeaders];
  expect(trailers['grpc-status']).toBe('0');
  let count = 0;
  for (let at = 0; at < answers.length; at += 5 + answers.readUInt32BE(at + 1)) count += 1;
  expect(count).toBe(5);
});

describe('the memory for bodies', () => {
  const big = framed(Buffer.alloc(600_000));
  const limits = { maxAudioBytes: MEBIBYTE, maxTenantBodyMemoryBytes: MEBIBYTE, maxBodyMemoryBytes: 2 * MEBIBYTE };

  test('is refused to a tenant above its share, and free again when calls end', async () => {
    await serve(limits);
    const one = session();
    const first = opened(one, 'ModelInfer', big.subarray(0, 599_000));
    await until(async () => (await held()) > 590_000);
    // By what it announces, and by what has come.
    expect(await call(one, 'ModelInfer', big.subarray(0, 5), secret)).toEqual([8, 'BODY_MEMORY_FULL']);
    const second = opened(one, 'ModelInfer', framed(Buffer.alloc(400_000)).subarray(0, 390_000));
    await until(async () => (await held()) > 980_000);
    expect(await call(session(), 'ModelStreamInfer', framed(Buffer.alloc(100_000)), secret)).toEqual([
      8,
      'BODY_MEMORY_FULL',
    ]);
    // Another tenant has its own.
    opened(session(), 'ModelInfer', big.subarray(0, 599_000), other.secret);
    await until(async () => (await held()) > 1_570_000);
    first.close(http2.constants.NGHTTP2_CANCEL);
    second.close(http2.constants.NGHTTP2_CANCEL);
    await until(async () => (await held()) < 600_000);
    expect(await call(one, 'ModelInfer', big, secret, true)).toEqual([3, 'INVALID_INPUT']);
  });

  test('is free of a call that is refused, though its client neither leaves nor ends', async () => {
    await serve({ ...limits, uploadTimeoutMs: 300 });
    for (;;) {
      const stream = opened(session(), 'ModelInfer', big.subarray(0, 500_000));
      await until(async () => stream.destroyed || (await held()) > 490_000);
      // A machine that stands still may see it refused before its bytes are there: then once more.
      if (stream.destroyed) continue;
      await once(stream, 'close');
      break;
    }
    await until(async () => (await held()) === 0);
  });

  test('is not held for ever by messages that do not go on, or calls that do not end', async () => {
    await serve({ ...limits, uploadTimeoutMs: 300 });
    const part = big.subarray(0, 500_000);
    for (const [method, sent] of [
      ['ModelStreamInfer', part],
      ['ModelInfer', framed(Buffer.alloc(1_000))],
    ] as const)
      expect(await call(session(), method, sent, secret)).toEqual([4, 'REQUEST_TIMEOUT']);
    await until(async () => (await held()) === 0);
  });

  test('holds of a run that is waited for no more than its input may have', async () => {
    await serve({ maxAudioBytes: 8 * MEBIBYTE, maxTenantBodyMemoryBytes: 8 * MEBIBYTE });
    const speech = field(5, Buffer.concat([named('speech'), field(3, Buffer.from([1]))]));
    const wav = wavFile({ seconds: 300, sampleRate: 8_000 });
    const raw = Buffer.concat([Buffer.from(Uint32Array.of(wav.length).buffer), wav]);
    const message = Buffer.concat([field(1, Buffer.from('listen')), speech, field(7, raw)]);
    const answered = call(session(), 'ModelInfer', framed(message), secret, true);
    await until(() => Promise.resolve(gateway.temporal.runs.size === 1));
    expect(await held()).toBeLessThanOrEqual(2 * MEBIBYTE);
    expect(await held()).toBeGreaterThan(0);
    gateway.temporal.only().end({ output: { text: 't' }, stages: [] });
    expect(await answered).toEqual([0, undefined]);
    await until(async () => (await held()) === 0);
  });
});

test.each(['ModelInfer', 'ModelStreamInfer'])('%s stores no more media for a client that has left', async (method) => {
  const { store, begun, letGo } = blockedStore();
  await serve({}, { artifacts: store });
  const wav = wavFile({ sampleRate: 8_000 });
  const raw = field(7, Buffer.concat([Buffer.from(Uint32Array.of(wav.length).buffer), wav]));
  const inputs = ['left', 'right'].map((name) => field(5, Buffer.concat([named(name), field(3, Buffer.from([1]))])));
  const message = Buffer.concat([field(1, Buffer.from('compare')), ...inputs, raw, raw]);
  const one = session();
  const stream = opened(one, method, framed(message));
  if (method === 'ModelInfer') stream.end();
  await until(() => Promise.resolve(begun() === 1));
  stream.close(http2.constants.NGHTTP2_CANCEL);
  expect(await call(one, 'ServerLive'), 'by then the gateway has seen it go').toEqual([0, undefined]);
  await sleep(20);
  expect(await held()).toBeGreaterThan(message.length);
  letGo();
  await until(async () => (await held()) === 0);
  await sleep(20);
  expect(begun()).toBe(1);
  expect(gateway.temporal.runs.size).toBe(0);
});

test('a client that reads no answers of its stream holds back its requests, and gets all answers when it reads', async () => {
  await serve({ uploadTimeoutMs: 60_000 });
  const total = 400;
  const output = { reply: 'x'.repeat(100_000), asked: 'a' };
  gateway.temporal.onStart = (run) => run.end({ output, stages: [] });
  const text = field(5, Buffer.concat([named('text'), field(3, Buffer.from([1]))]));
  const raw = Buffer.concat([Buffer.from(Uint32Array.of(2).buffer), Buffer.from('hi')]);
  const request = framed(Buffer.concat([field(1, Buffer.from('speaks')), text, field(7, raw)]));
  const stream = opened(session(), 'ModelStreamInfer', Buffer.concat(Array<Buffer>(total).fill(request)));
  stream.pause();
  stream.end();
  const { runs } = gateway.temporal;
  let before = 0;
  while (before === 0 || before !== runs.size) {
    before = runs.size;
    await sleep(200);
  }
  // So many at once, and those whose answers are in the buffers of both sides.
  expect(before).toBeLessThan(total / 2);
  let bytes = 0;
  stream.on('data', (piece: Buffer) => {
    bytes += piece.length;
  });
  stream.resume();
  const [trailers] = (await once(stream, 'trailers')) as [http2.IncomingHttpHeaders];
  expect(trailers['grpc-status']).toBe('0');
  expect(runs.size).toBe(total);
  expect(bytes).toBeGreaterThan(total * output.reply.length);
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
  await answeredSession();
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
  // One that greets too late, as where the machine stands still, is closed as well: then it is another.
  const greeted = await answeredSession();
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
