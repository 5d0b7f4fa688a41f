import { closeSync, existsSync, openSync, readFileSync, writeSync } from 'node:fs';
import { status } from '@grpc/grpc-js';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { TritonClient } from '../../../../activities/connectors/triton/client.js';
import type { Tensor } from '../../../../protocols/open-inference/index.js';
import { limit, tritonInPlace } from './triton-in-place.js';

/* What a real Triton shows seldom: refused regions, restarts, outputs that have grown, cancelled calls. The rest is in contract/triton-tensors. */

const MEBIBYTE = 1024 * 1024;
const triton = tritonInPlace();
const regions = new Map<string, string>();
let client: TritonClient;
/** What the server says of a model. */
let config: object;
let version: string;

interface Part {
  readonly name: string;
  readonly parameters: Readonly<Record<string, { readonly string_param?: string; readonly int64_param?: string }>>;
}

const input = (bytes: number, fill: number): Tensor => ({
  name: 'IN',
  datatype: 'UINT8',
  shape: [bytes],
  raw: Buffer.alloc(bytes, fill),
});
const call = (tensor: Tensor, signal = limit()) => client.infer('model', [tensor], signal, { outputs: ['OUT'] });
const placeOf = ({ parameters }: Part) => ({
  region: parameters.shared_memory_region?.string_param ?? '',
  offset: Number(parameters.shared_memory_offset?.int64_param ?? 0),
  bytes: Number(parameters.shared_memory_byte_size?.int64_param ?? 0),
});
const refused = (code: status, details: string) => Object.assign(new Error(details), { code, details });

/** As Triton does: the output is the input, by the way that the request asks for. */
function mirror(request: Record<string, unknown>): object {
  const [sent] = request.inputs as Part[];
  const [wanted] = request.outputs as Part[];
  if (!sent || !wanted) throw new Error('one input and one output');
  const from = placeOf(sent);
  const to = placeOf(wanted);
  for (const { region } of [from, to])
    if (region !== '' && !regions.has(region))
      throw refused(status.NOT_FOUND, `Unable to find system shared memory region: '${region}'`);
  const bytes =
    from.region === ''
      ? ((request.raw_input_contents as Buffer[])[0] ?? Buffer.alloc(0))
      : readFileSync(`/dev/shm/${from.region}`).subarray(from.offset, from.offset + from.bytes);
  const output = { name: 'OUT', datatype: 'UINT8', shape: [bytes.length] };
  if (to.region === '') return { outputs: [output], raw_output_contents: [bytes] };
  if (to.bytes < bytes.length)
    throw refused(
      status.INTERNAL,
      `shared memory size specified with the request for output 'OUT' (${to.bytes} bytes) should be at least`,
    );
  writeInto(`/dev/shm/${to.region}`, bytes, to.offset);
  return { outputs: [output], raw_output_contents: [Buffer.alloc(0)] };
}

function writeInto(path: string, bytes: Buffer, at: number): void {
  const fd = openSync(path, 'r+');
  writeSync(fd, bytes, 0, bytes.length, at);
  closeSync(fd);
}

beforeEach(() => {
  regions.clear();
  version = '2.51.0';
  config = { sequence_batching: null, model_transaction_policy: { decoupled: false } };
  Object.assign(triton.handlers, {
    ServerMetadata: () => ({ name: 'triton', version }),
    ModelConfig: () => ({ config }),
    SystemSharedMemoryRegister: ({ name, key }: { name: string; key: string }) => {
      regions.set(name, key);
      return {};
    },
    SystemSharedMemoryUnregister: ({ name }: { name: string }) => {
      regions.delete(name);
      return {};
    },
    ModelInfer: mirror,
  });
  client = new TritonClient(triton.address(), { sharedMemoryBytes: 16 * MEBIBYTE });
});
afterEach(() => client.close());

const infers = () => triton.calls.filter((name) => name === 'ModelInfer').length;

describe('large tensors', () => {
  it('go by one region that the next call uses again, outputs once their size is known', async () => {
    await client.traits('model', limit());
    const seen: { sent: number; outputs: number }[] = [];
    triton.handlers.ModelInfer = (request) => {
      const [wanted] = request.outputs as Part[];
      seen.push({
        sent: (request.raw_input_contents as Buffer[]).length,
        outputs: wanted ? placeOf(wanted).bytes : 0,
      });
      return mirror(request);
    };
    for (const fill of [1, 2, 3]) {
      const answer = await call(input(1_200_000, fill));
      expect(answer.get('OUT')?.raw.equals(Buffer.alloc(1_200_000, fill))).toBe(true);
    }
    expect(seen).toEqual([
      { sent: 0, outputs: 0 },
      { sent: 0, outputs: 1_800_000 },
      { sent: 0, outputs: 1_800_000 },
    ]);
    // The second call needs more than the first one's region.
    expect(triton.calls.filter((name) => name === 'SystemSharedMemoryRegister')).toHaveLength(2);
  });

  it('small ones go by value, without a region', async () => {
    await call(input(1_000, 1));
    expect(triton.calls).not.toContain('SystemSharedMemoryRegister');
  });

  it('of two calls at once are in two regions', async () => {
    const answers = await Promise.all([1, 2, 3].map((fill) => call(input(1_200_000, fill))));
    expect(answers.map((answer) => answer.get('OUT')?.raw.at(-1))).toEqual([1, 2, 3]);
    expect(new Set(regions.keys()).size).toBe(3);
  });

  it('beyond the limit go by value', async () => {
    const small = new TritonClient(triton.address(), { sharedMemoryBytes: MEBIBYTE });
    const answer = await small.infer('model', [input(2 * MEBIBYTE, 7)], limit(), { outputs: ['OUT'] });
    small.close();
    expect(answer.get('OUT')?.raw.at(-1)).toBe(7);
    expect(triton.calls).not.toContain('SystemSharedMemoryRegister');
  });

  it('an output larger than ever is had by value, and has its place the next time', async () => {
    await client.traits('model', limit());
    await call(input(800_000, 1));
    const answer = await call(input(3_600_000, 2));
    expect(answer.get('OUT')?.raw.equals(Buffer.alloc(3_600_000, 2))).toBe(true);
    expect(infers()).toBe(3);
    await call(input(3_600_000, 3));
    expect(infers()).toBe(4);
  });

  it('a model with sequences is never run twice: its outputs go by value', async () => {
    config = { ...config, sequence_batching: {} };
    await client.traits('model', limit());
    for (const bytes of [800_000, 3_600_000, 8_000_000]) await call(input(bytes, 1));
    expect(infers()).toBe(3);
  });
});

describe('without shared memory', () => {
  it.each([
    [
      'a server on another machine',
      () => refused(status.INVALID_ARGUMENT, "Unable to open shared memory region: '/x'"),
    ],
    ['a server without the extension', () => refused(status.UNIMPLEMENTED, 'unknown method')],
  ])('%s gets tensors by value, and doctor the reason', async (_, error) => {
    triton.handlers.SystemSharedMemoryRegister = () => Promise.reject(error());
    const answer = await call(input(1_200_000, 4));
    expect(answer.get('OUT')?.raw.at(-1)).toBe(4);
    await call(input(1_200_000, 4));
    // It is not asked at every call.
    expect(triton.calls.filter((name) => name === 'SystemSharedMemoryRegister')).toHaveLength(1);
    expect(await client.sharedMemory(limit())).toEqual({ refused: expect.stringContaining(error().message) });
  });

  it('a server that crashes over regions in use is not given any', async () => {
    version = '2.42.0';
    await call(input(1_200_000, 4));
    expect(triton.calls).not.toContain('SystemSharedMemoryRegister');
    expect(await client.sharedMemory(limit())).toEqual({ refused: expect.stringContaining('2.50') });
  });

  it('a pool that does not ask for it says nothing', async () => {
    expect(await triton.client.sharedMemory(limit())).toBeUndefined();
  });
});

describe('a region', () => {
  it('that a restarted server does not know is made anew, and the call sent by value', async () => {
    await call(input(1_800_000, 1));
    const [before = ''] = regions.keys();
    regions.clear();
    const answer = await call(input(1_200_000, 5));
    expect(answer.get('OUT')?.raw.at(-1)).toBe(5);
    await call(input(1_200_000, 6));
    expect([...regions.keys()]).not.toContain(before);
    await expect.poll(() => existsSync(`/dev/shm/${before}`)).toBe(false);
  });

  it('of a cancelled call is never used again, though the server may still read it', async () => {
    const started = new Promise<string>((resolve) => {
      triton.handlers.ModelInfer = (request) => {
        const [sent] = request.inputs as Part[];
        resolve(sent ? placeOf(sent).region : '');
        return new Promise<never>(() => undefined);
      };
    });
    triton.handlers.SystemSharedMemoryUnregister = () =>
      Promise.reject(refused(status.INTERNAL, 'Cannot unregister shared memory region, it is currently in use'));
    const leaving = new AbortController();
    const gone = call(input(1_800_000, 1), leaving.signal).catch((error: unknown) => error);
    const first = await started;
    leaving.abort(new Error('gone'));
    expect(await gone).toMatchObject({ message: 'gone' });
    triton.handlers.ModelInfer = mirror;
    const answer = await call(input(1_200_000, 2));
    expect(answer.get('OUT')?.raw.at(-1)).toBe(2);
    await expect.poll(() => existsSync(`/dev/shm/${first}`)).toBe(false);
    // It counts until the server lets it go: of 16 MiB, 2 MiB each, seven are left for others.
    const others = await Promise.all(Array.from({ length: 9 }, (_, i) => call(input(1_200_000, i))));
    expect(others.map((other) => other.get('OUT')?.raw.at(-1))).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8]);
    expect(regions.size).toBe(8);
  });

  it('is given up without waiting for a server that hangs: an attempt ends by its own limit', async () => {
    await call(input(1_800_000, 1));
    triton.handlers.SystemSharedMemoryUnregister = () => new Promise<never>(() => undefined);
    const asked = new Promise<void>((resolve) => {
      triton.handlers.ModelInfer = () => {
        resolve();
        return new Promise<never>(() => undefined);
      };
    });
    const leaving = new AbortController();
    const gone = call(input(1_800_000, 1), leaving.signal).catch((error: unknown) => error);
    await asked;
    leaving.abort(new Error('its time is over'));
    const late = new Promise((resolve) => setTimeout(resolve, 2_000, 'still waiting'));
    expect(await Promise.race([gone, late])).toMatchObject({ message: 'its time is over' });
  });

  it('that a caller has left while it was made is there for the next one', async () => {
    const register = triton.handlers.SystemSharedMemoryRegister;
    let made: () => void = () => undefined;
    const asked = new Promise<void>((resolve) => {
      triton.handlers.SystemSharedMemoryRegister = (request, own) => {
        resolve();
        return new Promise((done) => {
          made = () => done(register?.(request, own) ?? {});
        });
      };
    });
    const leaving = new AbortController();
    const gone = call(input(1_800_000, 1), leaving.signal).catch((error: unknown) => error);
    await asked;
    leaving.abort(new Error('gone'));
    expect(await gone).toMatchObject({ message: 'gone' });
    made();
    await expect.poll(() => regions.size).toBe(1);
    // Its answer comes behind that about the region.
    await client.server(limit());
    const answer = await call(input(1_200_000, 2));
    expect(answer.get('OUT')?.raw.at(-1)).toBe(2);
    expect(triton.calls.filter((name) => name === 'SystemSharedMemoryRegister')).toHaveLength(1);
  });

  it('of an ensemble that is too small is told so in other words, and its call goes by value', async () => {
    await client.traits('model', limit());
    await call(input(800_000, 1));
    triton.handlers.ModelInfer = async (request) => {
      try {
        return mirror(request);
      } catch (error) {
        const { code, message } = error as Error & { code: status };
        throw refused(code, `in ensemble 'model', ${message}`);
      }
    };
    const answer = await call(input(3_600_000, 2));
    expect(answer.get('OUT')?.raw.at(-1)).toBe(2);
  });

  it('is gone when the client is closed', async () => {
    await call(input(1_800_000, 1));
    const [name = ''] = regions.keys();
    expect(existsSync(`/dev/shm/${name}`)).toBe(true);
    client.close();
    await expect.poll(() => regions.size).toBe(0);
    expect(existsSync(`/dev/shm/${name}`)).toBe(false);
  });
});
