import { chmodSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { writeInventory } from '../../../../cli/inventory.js';
import { asNode, deviceLines, nodeOf, thisMachine, withNode } from '../../../../measure/inventory/index.js';
import { readGpus } from '../../../../measure/inventory/nvidia-smi.js';
import { MillraceError } from '../../../../pipelines/errors.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { testSettings } from '../../../support/settings.js';
import { refusal } from '../../placement/refusal.js';

/** In the form that the query's documentation gives: no GPU was at hand to record it. */
const CSV = readFileSync('test/fixtures/nvidia-smi/gpus.written.csv', 'utf8');
const GIB = 2 ** 30;
const folder = mkdtempSync(path.join(tmpdir(), 'millrace-inventory-'));

/** A program that answers as nvidia-smi does. */
function program(name: string, script: string): string {
  const file = path.join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}

describe('what nvidia-smi tells', () => {
  it('is read as GPUs', () => {
    const gpus = readGpus(CSV);
    expect(gpus).toHaveLength(4);
    expect(gpus[0]).toEqual({ index: 0, name: 'NVIDIA A100-SXM4-80GB', memoryBytes: 80 * GIB, mig: false });
    expect(gpus.map(({ mig }) => mig)).toEqual([false, false, true, false]);
    const cpu = { model: 'x', cores: 8, memoryBytes: GIB };
    expect(deviceLines({ cpu, gpus })).toEqual([
      { kind: 'a100-sxm4-80gb', count: 3, memory: '80GiB' },
      { kind: 'l4', memory: '23034MiB' },
    ]);
  });

  it('is refused by its line when it is something else', () => {
    expect(refusal(() => readGpus(`${CSV}No devices were found\n`))).toEqual({
      code: 'INVALID_INVENTORY',
      fields: ['nvidia-smi:5: "No devices were found" is not index, name, memory.total, mig.mode.current'],
    });
    for (const line of ['0, A100, 80 GiB, Disabled', '0, A100, [N/A], Disabled', 'x, A100, 80, Disabled'])
      expect(refusal(() => readGpus(line)).code).toBe('INVALID_INVENTORY');
  });

  it('is asked of the program, with what is documented; without it this machine has a CPU', async () => {
    const asked = program('asked', `echo "$@" > ${folder}/arguments\ncat test/fixtures/nvidia-smi/gpus.written.csv`);
    expect((await thisMachine(asked)).gpus).toHaveLength(4);
    expect(readFileSync(`${folder}/arguments`, 'utf8').trim()).toBe(
      '--query-gpu=index,name,memory.total,mig.mode.current --format=csv,noheader,nounits',
    );
    const { gpus, cpu } = await thisMachine(path.join(folder, 'none'));
    expect(gpus).toEqual([]);
    expect(cpu.cores).toBeGreaterThanOrEqual(1);
    expect(cpu.memoryBytes).toBeGreaterThan(GIB / 4);
    const broken = program('broken', 'echo "Driver/library version mismatch"; exit 18');
    await expect(thisMachine(broken)).rejects.toMatchObject({ code: 'INVALID_INVENTORY' });
  });
});

describe('cluster.yaml', () => {
  const found = { node: 'gpu1', devices: [{ kind: 'a100', count: 2, memory: '80GiB' }], endpoints: [] };

  it('is written anew, and has the next node beside the first', () => {
    const first = withNode(undefined, found, 'cluster.yaml');
    expect(readInventory(first).devices.map(({ id, kind }) => `${id} ${kind}`)).toEqual(['gpu1/0 a100', 'gpu1/1 a100']);
    const cpu = { node: 'cpu1', devices: [{ kind: 'cpu', memory: '64GiB', concurrency: 8 }], endpoints: [] };
    const both = readInventory(withNode(first, cpu, 'cluster.yaml'));
    expect(both.devices.map(({ id, concurrency }) => [id, concurrency])).toEqual([
      ['gpu1/0', 1],
      ['gpu1/1', 1],
      ['cpu1/0', 8],
    ]);
  });

  it('keeps prices, billing, links, comments and other nodes when a node is looked at again', () => {
    const before = `# ours
format: 1
nodes:
  - name: gpu1
    devices: [{ kind: a100, memory: 80GiB, pricePerHour: 2.40, billing: spot, lossPerHour: 0.05 }]
  - name: gpu2 # the old one
    devices: [{ kind: l4, memory: 24GiB }]
links:
  - { name: rack, type: network, joins: [gpu1, gpu2], bandwidth: 25Gbit/s, latency: 100us }
endpoints:
  - { url: "gpu1:8001", connector: triton, device: gpu1/0, models: [tts] }
`;
    const endpoints = ['gpu1:8001', 'gpu1:8011'].map((url) => ({
      ...{ url, connector: 'triton', device: 'gpu1/1', models: ['whisper'] },
    }));
    const text = withNode(before, { ...found, endpoints }, 'cluster.yaml');
    expect(text).toMatch(/^# ours\n/);
    expect(text).toContain('# the old one');
    const { devices, links, endpoints: listed } = readInventory(text);
    expect(devices.map(({ id, pricePerHour, lossPerHour }) => [id, pricePerHour, lossPerHour])).toEqual([
      ['gpu1/0', 2.4, 0.05],
      ['gpu1/1', 2.4, 0.05],
      ['gpu2/0', 0, undefined],
    ]);
    expect(links).toHaveLength(1);
    expect(listed.map(({ url, models }) => [url, models])).toEqual([
      ['gpu1:8001', ['tts']],
      ['gpu1:8011', ['whisper']],
    ]);
    expect(withNode(text, { ...found, endpoints }, 'cluster.yaml')).toBe(text);
  });

  it('keeps how many calls at once are stated for a GPU, of which its slowdown is', () => {
    const devices = '[{ kind: a100, memory: 80GiB, concurrency: 4, slowdown: 1.5 }]';
    const text = withNode(`format: 1\nnodes: [{ name: gpu1, devices: ${devices} }]\n`, found, 'cluster.yaml');
    const stated = readInventory(text).devices.map(({ concurrency, slowdown }) => [concurrency, slowdown]);
    expect(stated).toEqual([
      [4, 1.5],
      [4, 1.5],
    ]);
  });

  it('is left alone when it is wrong, or would be', () => {
    expect(refusal(() => withNode('format: 2', found, 'c.yaml')).fields[0]).toMatch(/^c\.yaml:1 format/);
    const linked = `${withNode(undefined, found, 'c.yaml')}links: [{ name: b, type: nvlink, joins: [gpu1/0, gpu1/1], bandwidth: 1GB/s, latency: 1us }]\n`;
    const fewer = { ...found, devices: [{ kind: 'a100', memory: '80GiB' }] };
    expect(refusal(() => withNode(linked, fewer, 'c.yaml')).fields[0]).toMatch(/no device, node or link "gpu1\/1"/);
  });
});

describe('a node', () => {
  it('has the name of its host, which Kubernetes often labels with the domain', () => {
    const host = 'ip-10-0-1-2.EC2.internal';
    expect(nodeOf(host, undefined, 'c.yaml')).toBe('ip-10-0-1-2.ec2.internal');
    const named = (node: string) => `format: 1\nnodes: [{ name: ${node}, devices: [{ kind: l4, memory: 24GiB }] }]\n`;
    expect(nodeOf(host, named('gpu1'), 'c.yaml')).toBe('ip-10-0-1-2.ec2.internal');
    // As an earlier release has written it.
    expect(nodeOf(host, named('ip-10-0-1-2'), 'c.yaml')).toBe('ip-10-0-1-2');
    expect(nodeOf('GPU1', named('gpu1'), 'c.yaml')).toBe('gpu1');
    expect(asNode('..GPU_1.-x-.')).toBe('gpu-1.x');
    // A part of the domain is no name of the host.
    expect(asNode(`gpu1.${'a'.repeat(58)}`)).toBe(`gpu1.${'a'.repeat(58)}`);
    expect(nodeOf(`gpu1.${'a'.repeat(40)}.${'b'.repeat(40)}`, undefined, 'c.yaml')).toBe('gpu1');
    expect(asNode(`${'a'.repeat(62)}-b.internal`)).toBe('a'.repeat(62));
  });
});

describe('millrace inventory', () => {
  // Nothing listens there.
  const settings = testSettings({
    MILLRACE_PIPELINES: '',
    TRITON_URL: '127.0.0.1:9',
    LLM_BASE_URL: 'http://127.0.0.1:9/v1',
  });
  const common = { nvidiaSmi: path.join(folder, 'none'), node: 'here' };

  it('writes this machine, and says which servers do not answer', async () => {
    const notes = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const out = path.join(folder, 'cluster.yaml');
    await writeInventory(settings, { ...common, out });
    const output = notes.mock.calls.map(([text]) => String(text)).join('');
    vi.restoreAllMocks();
    const { devices, endpoints } = readInventory(readFileSync(out, 'utf8'));
    expect(devices).toEqual([expect.objectContaining({ id: 'here/0', kind: 'cpu' })]);
    expect(endpoints).toEqual([]);
    expect(output).toContain('assistant at http://127.0.0.1:9/v1 is left out');
  });

  it.each([
    ['a name that is none', { node: 'GPU_1', out: '-' }, 'INVALID_INPUT', /--node: "GPU_1" is not a node name/],
    ['a file that cannot be read', { out: folder }, 'INVALID_INVENTORY', /cannot read/],
    ['a folder that is not there', { out: path.join(folder, 'a', 'b.yaml') }, 'INVALID_INPUT', /--out: cannot write/],
  ])('refuses %s', async (_, more, code, message) => {
    const error = await writeInventory(settings, { ...common, ...more }).catch((thrown: unknown) => thrown);
    if (!(error instanceof MillraceError)) expect.fail(String(error));
    expect([error.code, error.message]).toEqual([code, expect.stringMatching(message)]);
  });
});
