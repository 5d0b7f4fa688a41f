import { once } from 'node:events';
import { type AddressInfo, createServer, connect as dial } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { type OwnTriton, ownTriton } from '../support/own-triton.js';
import { address } from '../support/runs.js';
import { invoke } from './connector-contract.js';

/* The option `compression` of a pool, on a real Triton: what goes over the wire. */

const START_MS = 180_000;
const TEXT = 'The mill turns. '.repeat(16_384);
/** What is left of such a text: gzip and deflate make it a hundred times smaller. */
const SMALL = TEXT.length / 10;

/** An address that passes on to a server, and counts what passes. */
async function counting(target: string) {
  const [host = '', port = ''] = target.split(':');
  const passed = { up: 0, down: 0 };
  const server = createServer((client) => {
    const upstream = dial({ host, port: Number(port) });
    client.on('error', () => upstream.destroy());
    upstream.on('error', () => client.destroy());
    client.on('data', (bytes) => {
      passed.up += bytes.length;
    });
    upstream.on('data', (bytes) => {
      passed.down += bytes.length;
    });
    client.pipe(upstream).pipe(client);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    endpoint: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    passed,
    close: () => void server.close(),
  };
}

/** Bytes to and from a server for one call whose answer is as long as its request. */
async function passedBy(target: string, compression: 'none' | 'gzip' | 'deflate') {
  const wire = await counting(target);
  const backend = tritonConnector().connect(wire.endpoint, undefined, { compression });
  const format = { dtype: 'BYTES', shape: [-1, 1] } as const;
  try {
    const { output } = await invoke(backend, {
      kind: 'infer',
      model: 'echo',
      with: { inputs: { TEXT: format }, outputs: { OUT: format } },
      input: { TEXT: { dtype: 'BYTES', shape: [1, 1], data: [TEXT] } },
    });
    expect((output.OUT as unknown as { data: string[] }).data[0]).toBe(TEXT);
    return { ...wire.passed };
  } finally {
    backend.close();
    wire.close();
  }
}

describe('a Triton that does not compress its answers, the default', () => {
  const target = () => address('TRITON_URL');

  it('gets requests as they are without the option', async () => {
    const { up, down } = await passedBy(target(), 'none');
    expect(up).toBeGreaterThan(TEXT.length);
    expect(down).toBeGreaterThan(TEXT.length);
  });

  it.each(['gzip', 'deflate'] as const)('reads requests that are compressed by %s', async (compression) => {
    const { up, down } = await passedBy(target(), compression);
    expect(up).toBeLessThan(SMALL);
    expect(down).toBeGreaterThan(TEXT.length);
  });
});

describe('a Triton that is told to compress its answers', () => {
  let triton: OwnTriton;
  beforeAll(async () => {
    triton = await ownTriton(['echo'], 'none', ['--grpc-infer-response-compression-level=high']);
  }, START_MS);
  afterAll(() => triton?.stop());

  it.each(['gzip', 'deflate'] as const)('has both directions compressed by %s', async (compression) => {
    const { up, down } = await passedBy(triton.grpc, compression);
    expect(up).toBeLessThan(SMALL);
    expect(down).toBeLessThan(SMALL);
  });
});
