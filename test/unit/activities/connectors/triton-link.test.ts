import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type Metadata, Server, ServerCredentials, type ServerUnaryCall, type sendUnaryData } from '@grpc/grpc-js';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { Link } from '../../../../activities/connectors/connector.js';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import { inferenceService } from '../../../../protocols/open-inference/protocol.js';
import { Authority } from '../../../support/certificates.js';
import { limit } from './triton-in-place.js';

/* A server behind TLS that wants a certificate of its clients, as a mesh or a proxy before Triton does. */

let folder: string;
let server: Server;
let port: number;
let own: NonNullable<Link['tls']>;
let seen: Metadata | undefined;
let host: string | undefined;

beforeAll(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'millrace-link-'));
  const authority = Authority.make(folder, 'authority');
  const read = (file: string) => readFileSync(file, 'utf8');
  const served = authority.sign('triton.test');
  const client = authority.sign('worker.test');
  own = { ca: read(authority.cert), cert: read(client.cert), key: read(client.key) };
  server = new Server();
  server.addService(inferenceService, {
    ServerMetadata(call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) {
      seen = call.metadata;
      host = call.getHost();
      done(null, { name: 'triton', version: '2.51.0' });
    },
    ModelInfer(call: ServerUnaryCall<object, object>, done: sendUnaryData<object>) {
      seen = call.metadata;
      done(null, { outputs: [], raw_output_contents: [] });
    },
  });
  const pairs = [{ cert_chain: Buffer.from(read(served.cert)), private_key: Buffer.from(read(served.key)) }];
  const tls = ServerCredentials.createSsl(Buffer.from(own.ca ?? ''), pairs, true);
  port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', tls, (error, bound) => (error ? reject(error) : resolve(bound)));
  });
});
afterAll(() => {
  server.forceShutdown();
  rmSync(folder, { recursive: true });
});

async function asked(link: Link): Promise<string> {
  const client = new TritonClient(`grpcs://127.0.0.1:${port}`, {}, link);
  try {
    return await client.server(limit());
  } finally {
    client.close();
  }
}

describe('a Triton behind TLS', () => {
  it('is called by its name, with the pool’s certificates and headers', async () => {
    const headers = { Authorization: 'Bearer secret', 'seldon-model': 'income', 'trace-bin': 'aGk=' };
    expect(await asked({ serverName: 'triton.test', tls: own, headers })).toBe('triton 2.51.0');
    expect(seen?.get('authorization')).toEqual(['Bearer secret']);
    expect(seen?.get('seldon-model')).toEqual(['income']);
    expect(seen?.get('trace-bin')).toEqual([Buffer.from('hi')]);
    expect(host).toBe('triton.test');
  });

  it.each([
    ['without a certificate of its own', () => ({ serverName: 'triton.test', tls: { ca: own.ca ?? '' } })],
    ['by another name than its certificate’s', () => ({ serverName: 'other.test', tls: own })],
    ['without its authority', () => ({ serverName: 'triton.test', tls: { cert: own.cert ?? '', key: own.key ?? '' } })],
  ])('refuses a client %s', async (_, link) => {
    await expect(asked(link())).rejects.toMatchObject({ code: 14 });
  });

  it('gets the trace of the call', async () => {
    const client = new TritonClient(`grpcs://127.0.0.1:${port}`, {}, { serverName: 'triton.test', tls: own });
    const traceparent = `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01`;
    await client.infer('model', [], limit(), { traceparent });
    client.close();
    expect(seen?.get('traceparent')).toEqual([traceparent]);
  });
});

describe('settings that gRPC cannot have', () => {
  it('certificates without TLS', () => {
    expect(() => new TritonClient('127.0.0.1:8001', {}, { tls: own })).toThrowError(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.stringContaining('grpcs://') }),
    );
  });

  it('a header whose name is none there, without its value in the message', () => {
    expect(() => new TritonClient('127.0.0.1:8001', {}, { headers: { 'x!': 'secret' } })).toThrowError(
      expect.objectContaining({ code: 'INVALID_SETTING', message: expect.not.stringContaining('secret') }),
    );
  });
});
