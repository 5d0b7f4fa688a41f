import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import http2 from 'node:http2';
import net from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import tls from 'node:tls';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { connectClient, patiently } from '../../../temporal/connect.js';
import { connectWorker } from '../../../temporal/connect-worker.js';
import { reachOptions } from '../../../temporal/options.js';
import { troubleOf } from '../../../temporal/trouble.js';
import { Authority, openssl, type Pair } from '../../support/certificates.js';
import { freePort } from '../../support/free-port.js';
import { unlessStill } from '../../support/unless-still.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
let ours: Authority;
let theirs: Authority;
let server: Pair;
let client: Pair;
let stranger: Pair;
let expired: Pair;
const ends: (() => void)[] = [];

beforeAll(async () => {
  ours = Authority.make(folder, 'ours');
  theirs = Authority.make(folder, 'theirs');
  server = ours.sign('server', { names: 'DNS:temporal.test,IP:127.0.0.1' });
  client = ours.sign('client');
  stranger = theirs.sign('stranger');
  expired = ours.sign('expired', { names: 'DNS:temporal.test,IP:127.0.0.1', days: 0 });
  await sleep(1_100);
});

afterAll(() => {
  for (const end of ends) end();
});

type Answer = (stream: http2.ServerHttp2Stream, headers: http2.IncomingHttpHeaders) => void;

const status =
  (grpc: number): Answer =>
  (stream) => {
    stream.respond({ ':status': 200, 'content-type': 'application/grpc', 'grpc-status': String(grpc) });
    stream.end();
  };

/** A server that answers every request of HTTP/2 in the same way. */
async function serve(answer: Answer, options?: http2.SecureServerOptions): Promise<string> {
  const made = options ? http2.createSecureServer({ ...filesOf(server), ...options }) : http2.createServer();
  return await listen(made.on('stream', answer).on('sessionError', () => undefined));
}

const filesOf = ({ cert, key }: Pair) => ({ cert: readFileSync(cert), key: readFileSync(key) });

async function listen(made: net.Server): Promise<string> {
  made.listen(0, '127.0.0.1');
  await once(made, 'listening');
  ends.push(() => made.close());
  return `127.0.0.1:${(made.address() as net.AddressInfo).port}`;
}

/** openssl as a server: unlike Node’s, it tells by alerts what it dislikes. */
async function strict(...more: readonly string[]): Promise<string> {
  const port = await freePort();
  const own = ['-cert', server.cert, '-key', server.key, '-CAfile', ours.cert, '-alpn', 'h2'];
  const verify = ['-Verify', '1', '-verify_return_error', '-quiet'];
  const child = spawn('openssl', ['s_server', '-accept', `127.0.0.1:${port}`, ...own, ...verify, ...more], {
    stdio: 'ignore',
  });
  ends.push(() => child.kill());
  const listens = () =>
    new Promise<boolean>((resolve) => {
      const socket = net.connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => socket.destroy()).end();
    });
  while (!(await listens())) await sleep(50);
  return `127.0.0.1:${port}`;
}

const trusting = () => ({ TEMPORAL_TLS: 'true' as const, TEMPORAL_TLS_SERVER_CA_CERT_PATH: ours.cert });
const as = ({ cert, key }: Pair) => ({ TEMPORAL_TLS_CLIENT_CERT_PATH: cert, TEMPORAL_TLS_CLIENT_KEY_PATH: key });

const found = (TEMPORAL_ADDRESS: string, more: object = {}) => troubleOf({ TEMPORAL_ADDRESS, ...more });

// The servers run in this process. A probe does not count the stalls of the process; the SDK’s time limits do.

describe('a way that does not lead there', () => {
  it('nothing listens, and no name', () =>
    unlessStill(async () => {
      expect(await found(`127.0.0.1:${await freePort()}`)).toEqual({
        cause: 'connection refused: no server listens there (ECONNREFUSED)',
      });
      expect(await found('no-such-name.invalid:7233', { TEMPORAL_TLS: 'true' })).toMatchObject({
        cause: expect.stringMatching(/^the name no-such-name\.invalid does not resolve/),
        remedy: expect.stringContaining('TEMPORAL_ADDRESS'),
      });
    }));

  it('none, while this process stalls for longer than a server has', async () => {
    const address = await serve(status(0));
    const asked = found(address);
    const end = performance.now() + 3_500;
    while (performance.now() < end);
    expect(await asked).toBeUndefined();
  });

  it('a server that says nothing at first: it is called again', async () => {
    const silent = await listen(net.createServer((socket) => socket.resume().on('error', () => undefined)));
    let calls = 0;
    const connected = patiently({ TEMPORAL_ADDRESS: silent }, async () => {
      calls += 1;
      if (calls === 1) throw new Error('no response in time');
      return calls;
    });
    await expect(connected).resolves.toBe(2);
  });

  it('a server that says nothing: worker and client tell it in time, as an error of the table', () =>
    unlessStill(async () => {
      const silent = await listen(net.createServer((socket) => socket.resume().on('error', () => undefined)));
      const plain = found(silent);
      const started = performance.now();
      const server = { TEMPORAL_ADDRESS: silent, TEMPORAL_TLS: 'true' as const };
      const thrown = await Promise.all(
        [connectWorker, connectClient].map((connect) => connect(server).catch((e) => e)),
      );
      for (const error of thrown) {
        expect(error).toMatchObject({ code: 'ORCHESTRATOR_UNAVAILABLE' });
        expect(error.message).toContain(`${silent}: it accepts connections but does not respond; start it`);
      }
      expect(performance.now() - started).toBeLessThan(35_000);
      expect((await plain)?.cause).toBe('it accepts connections but does not respond like a gRPC server');
    }));
});

describe('TLS', () => {
  it('on one side only', () =>
    unlessStill(async () => {
      const plain = await serve(status(0));
      const secure = await serve(status(0), {});
      expect(await found(plain)).toBeUndefined();
      expect(await found(plain, { TEMPORAL_TLS: 'true' })).toMatchObject({
        cause: 'the server does not use TLS, but TLS is on',
        remedy: expect.stringContaining('TEMPORAL_TLS=false'),
      });
      expect(await found(secure, trusting())).toBeUndefined();
      for (const address of [secure, await strict()])
        expect(await found(address)).toEqual({
          cause: 'the server uses TLS, but TLS is off',
          remedy: 'set TEMPORAL_TLS=true',
        });
    }));

  it('with a server’s certificate that cannot be trusted', () =>
    unlessStill(async () => {
      const address = await serve(status(0), {});
      expect(await found(address, { TEMPORAL_TLS: 'true' })).toMatchObject({
        cause: expect.stringMatching(/^the server’s certificate is signed by an authority that is unknown here/),
        remedy: expect.stringContaining('TEMPORAL_TLS_SERVER_CA_CERT_PATH'),
      });
      expect(await found(address, { ...trusting(), TEMPORAL_TLS_SERVER_CA_CERT_PATH: theirs.cert })).toMatchObject({
        cause: expect.stringContaining('not signed by the authority of TEMPORAL_TLS_SERVER_CA_CERT_PATH'),
      });
      expect(await found(address, { ...trusting(), TEMPORAL_TLS_SERVER_NAME: 'other.test' })).toMatchObject({
        cause: 'the server’s certificate is for other names: DNS:temporal.test, IP Address:127.0.0.1',
        remedy: expect.stringContaining('TEMPORAL_TLS_SERVER_NAME'),
      });
      expect(await found(address, { ...trusting(), TEMPORAL_TLS_SERVER_NAME: 'temporal.test' })).toBeUndefined();
      const old = await serve(status(0), filesOf(expired));
      expect((await found(old, trusting()))?.cause).toBe(
        'the server’s certificate, or that of its authority, has expired',
      );
    }));

  it.each([
    ['by alerts of TLS 1.3', () => strict()],
    ['by alerts of TLS 1.2', () => strict('-tls1_2')],
    [
      'by ending the connection',
      () => serve(status(0), { ca: readFileSync(ours.cert), requestCert: true, rejectUnauthorized: true }),
    ],
  ])('with a client’s certificate that is missing or refused %s', (_, start) =>
    unlessStill(async () => {
      const address = await start();
      expect(await found(address, trusting())).toMatchObject({
        cause: expect.stringMatching(/^the server requires a client certificate, but none is set/),
        remedy: expect.stringContaining('TEMPORAL_TLS_CLIENT_CERT_PATH'),
      });
      expect((await found(address, { ...trusting(), ...as(stranger) }))?.cause).toMatch(
        /^the server rejects the client certificate/,
      );
      expect((await found(address, { ...trusting(), ...as(expired) }))?.cause).toMatch(
        /^the client certificate has expired: it was valid until /,
      );
    }),
  );

  it('with a client’s certificate that is accepted', () =>
    unlessStill(async () => {
      const verifying = { ca: readFileSync(ours.cert), requestCert: true, rejectUnauthorized: true };
      expect(await found(await serve(status(0), verifying), { ...trusting(), ...as(client) })).toBeUndefined();
    }));

  it('without HTTP/2', () =>
    unlessStill(async () => {
      const address = await listen(tls.createServer(filesOf(server)));
      expect((await found(address, trusting()))?.cause).toMatch(/TLS but not HTTP\/2/);
    }));
});

describe('an answer', () => {
  const key = { TEMPORAL_API_KEY: 'the-key', TEMPORAL_TLS: 'false' };
  const http =
    (code: number, body = ''): Answer =>
    (stream) => {
      stream.respond({ ':status': code });
      stream.end(body);
    };

  it.each([
    ['HTTP 401', http(401)],
    ['gRPC status 16', status(16)],
    ['gRPC status 7', status(7)],
  ])('%s refuses the key, or its absence', (how, answer) =>
    unlessStill(async () => {
      const address = await serve(answer);
      expect(await found(address, key)).toEqual({
        cause: `the server rejects the API key (${how})`,
        remedy: expect.stringContaining('TEMPORAL_API_KEY'),
      });
      expect((await found(address))?.cause).toBe(`the server rejects clients without an API key (${how})`);
    }),
  );

  it('takes the key as a bearer token', () =>
    unlessStill(async () => {
      const address = await serve((stream, { authorization }) =>
        status(authorization === 'Bearer the-key' ? 0 : 16)(stream, {}),
      );
      expect(await found(address, key)).toBeUndefined();
      expect((await found(address, { ...key, TEMPORAL_API_KEY: 'other' }))?.cause).not.toContain('other');
    }));

  it.each([
    ['a proxy responds but cannot reach Temporal (HTTP 502)', http(502)],
    ['the server is not Temporal’s frontend (HTTP 200)', http(200, '<html>')],
    ['the server is not Temporal’s frontend (gRPC status 12)', status(12)],
    ['Temporal responds with gRPC status 14', status(14)],
  ])('that is another server’s: %s', (cause, answer) =>
    unlessStill(async () => {
      expect(await found(await serve(answer))).toMatchObject({ cause });
    }),
  );
});

describe('files', () => {
  const options = (more: object) => reachOptions({ TEMPORAL_ADDRESS: 'a:1', TEMPORAL_TLS: 'true', ...more });

  it('are read, or given as text', () => {
    const texts = {
      TEMPORAL_TLS_SERVER_CA_CERT_DATA: readFileSync(ours.cert, 'utf8'),
      TEMPORAL_TLS_CLIENT_CERT_DATA: readFileSync(client.cert, 'utf8'),
      TEMPORAL_TLS_CLIENT_KEY_DATA: readFileSync(client.key, 'utf8'),
    };
    expect(options(texts)).toEqual(options({ ...trusting(), ...as(client) }));
  });

  it('that cannot be used are named by their variable, and show nothing', () => {
    const junk = path.join(folder, 'junk.pem');
    writeFileSync(junk, 'secret-word');
    const locked = path.join(folder, 'locked.key');
    openssl('pkey', '-in', client.key, '-aes256', '-passout', 'pass:word', '-out', locked);
    const CERT = 'TEMPORAL_TLS_CLIENT_CERT_PATH';
    const KEY = 'TEMPORAL_TLS_CLIENT_KEY_PATH';
    const CA = 'TEMPORAL_TLS_SERVER_CA_CERT_PATH';
    const cases: [object, string, RegExp][] = [
      [{ [CA]: path.join(folder, 'no.pem') }, CA, /ENOENT/],
      [{ [CA]: junk }, CA, /contains no certificate in PEM/],
      [{ [CERT]: client.cert }, CERT, /has no key: /],
      [{ [KEY]: client.key }, KEY, /no certificate/],
      [{ [CERT]: client.cert, [KEY]: stranger.key }, KEY, /not the key of the client certificate/],
      [{ [CERT]: client.cert, [KEY]: junk }, KEY, /contains no private key/],
      [{ [CERT]: client.cert, [KEY]: locked }, KEY, /passphrase/],
      [{ TEMPORAL_ADDRESS: 'http://a:1/x' }, 'TEMPORAL_ADDRESS', /host:port/],
    ];
    for (const [more, field, message] of cases) {
      const thrown = (() => {
        try {
          return options(more);
        } catch (error) {
          return error;
        }
      })();
      expect(thrown).toMatchObject({ code: 'INVALID_SETTING', details: { fields: [{ field }] } });
      expect(String(thrown)).toMatch(message);
      expect(String(thrown)).not.toContain('secret-word');
    }
  });
});
