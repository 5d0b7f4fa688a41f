import { cpSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TritonClient, tritonConnector } from '../../activities/connectors/triton/index.js';
import { fromWire, toWire } from '../../protocols/open-inference/index.js';
import { address } from '../support/runs.js';
import { tritonRepository } from '../support/triton-models.js';
import { invoke } from './connector-contract.js';

/* The option `version` of a pool, and Triton's version policies, on a real Triton. */

const endpoint = address('TRITON_URL');
const MODEL = 'versioned';
const STREAMING = 'versioned-stream';
const limit = () => AbortSignal.timeout(60_000);

const FIXTURE = fileURLToPath(new URL('../fixtures/triton-models/versioned/', import.meta.url));
const CONFIG = readFileSync(path.join(FIXTURE, 'config.pbtxt'), 'utf8');
const folderOf = (model: string) => path.join(tritonRepository(), model);

const client = new TritonClient(endpoint);

/** Loads versions 1 to 3 of the model, of which the policy chooses. In the repository, as only those are in its index. */
async function deploy(policy: string, as = MODEL, more = ''): Promise<void> {
  const folder = folderOf(as);
  for (const version of ['1', '2', '3'])
    cpSync(path.join(FIXTURE, '1'), path.join(folder, version), { recursive: true });
  writeFileSync(path.join(folder, 'config.pbtxt'), `${CONFIG}version_policy { ${policy} }\n${more}`);
  await client.load(as, limit());
}

const of = (version?: string) =>
  tritonConnector().connect(endpoint, undefined, version === undefined ? {} : { version });

const format = { dtype: 'INT32', shape: [1] } as const;

/** The version that answers a pool. */
async function answering(version?: string): Promise<number | undefined> {
  const backend = of(version);
  try {
    const { output } = await invoke(backend, {
      kind: 'infer',
      model: MODEL,
      with: { inputs: { COUNT: { ...format } }, outputs: { VERSION: { ...format } } },
      input: { COUNT: { ...format, data: [1] } },
    });
    return (output.VERSION as unknown as { data: number[] }).data[0];
  } finally {
    backend.close();
  }
}

afterAll(async () => {
  for (const model of [MODEL, STREAMING]) {
    await client.unload(model, limit()).catch(() => undefined);
    rmSync(folderOf(model), { recursive: true, force: true });
  }
  client.close();
});

describe.each<[string, string, number, readonly number[]]>([
  ['the latest', 'latest { num_versions: 1 }', 3, [3]],
  ['the latest two', 'latest { num_versions: 2 }', 3, [2, 3]],
  ['all', 'all { }', 3, [1, 2, 3]],
  ['two of choice', 'specific { versions: [ 1, 2 ] }', 2, [1, 2]],
])('a version policy of %s', (_, policy, highest, served) => {
  beforeAll(() => deploy(policy));

  it('answers a pool without a version with the highest that it serves', async () => {
    expect(await answering()).toBe(highest);
  });

  it.each([1, 2, 3])('version %i answers a pool that names it, or is MODEL_NOT_FOUND', async (version) => {
    if (served.includes(version)) return expect(await answering(String(version))).toBe(version);
    await expect(answering(String(version))).rejects.toMatchObject({
      code: 'MODEL_NOT_FOUND',
      message: expect.stringContaining(`version ${version}`),
    });
  });
});

describe('a pool that names a version', () => {
  beforeAll(() => deploy('all { }'));

  it('has it in canaries, in statistics and in the fingerprint', async () => {
    const [first, second, highest] = [of('1'), of('2'), of()];
    const calls = async (version: string) => {
      const counting = new TritonClient(endpoint, { version });
      const counted = await counting.statistics(MODEL, limit());
      counting.close();
      expect(counted.map((one) => one.version)).toEqual([version]);
      return counted.reduce((sum, one) => sum + one.succeeded + one.failed, 0);
    };
    const before = await calls('1');
    await first.probe(MODEL, 'infer', limit());
    await expect.poll(() => calls('1'), { timeout: 30_000 }).toBe(before + 1);
    const prints = await Promise.all([first, second, highest].map((each) => each.fingerprint(MODEL, limit())));
    expect(new Set(prints).size).toBe(3);
    for (const each of [first, second, highest]) each.close();
  });

  it('gets the stream of that version from a decoupled model', async () => {
    await deploy('all { }', STREAMING, 'model_transaction_policy { decoupled: true }\n');
    const pools = [
      ['1', 1],
      ['2', 2],
      [undefined, 3],
    ] as const;
    for (const [version, expected] of pools) {
      const streaming = new TritonClient(endpoint, version === undefined ? {} : { version });
      const said: unknown[] = [];
      const count = toWire('COUNT', { ...format, shape: [1], data: [2] });
      for await (const outputs of streaming.responses(STREAMING, [count], limit())) {
        const tensor = outputs.get('VERSION');
        if (tensor) said.push(...fromWire(tensor).data);
      }
      streaming.close();
      expect(said).toEqual([expected, expected]);
    }
  });

  it('whose version the policy has dropped leaves the others alone when it is to be repaired', async () => {
    await deploy('latest { num_versions: 1 }');
    const dropped = of('1');
    await expect(dropped.probe(MODEL, 'infer', limit())).rejects.toMatchObject({ code: 'MODEL_NOT_FOUND' });
    await expect(dropped.heal?.(MODEL, limit())).rejects.toThrow('in version 3, not in 1');
    dropped.close();
    // Nothing was unloaded: the other version counts on.
    const [counted] = await client.statistics(MODEL, limit());
    expect(counted).toMatchObject({ version: '3' });
    expect(await answering('3')).toBe(3);
  });
});

it('a pool without a version follows a new policy at its next call', async () => {
  await deploy('specific { versions: [ 1 ] }');
  const backend = of();
  const call = {
    kind: 'infer' as const,
    model: MODEL,
    with: { inputs: { COUNT: { ...format } }, outputs: { VERSION: { ...format } } },
    input: { COUNT: { ...format, data: [1] } },
  };
  const version = async () => (await invoke(backend, call)).output.VERSION;
  expect(await version()).toMatchObject({ data: [1] });
  await deploy('specific { versions: [ 2 ] }');
  expect(await version()).toMatchObject({ data: [2] });
  backend.close();
});
