import { readFileSync } from 'node:fs';
import { describe, expect, it, vi } from 'vitest';
import { writeInventory } from '../../../../cli/inventory.js';
import { exportedDevices } from '../../../../measure/inventory/device-exporters.js';
import { deviceLines } from '../../../../measure/inventory/index.js';
import { readInventory } from '../../../../placement/inventory/index.js';
import { testSettings } from '../../../support/settings.js';
import { loopbackServer } from '../../activities/connectors/loopback-server.js';
import { refusal } from '../../placement/refusal.js';

/* Texts in the form that the exporters' documentation and source give: none of these devices was at hand to record one. */

const MIB = 2 ** 20;
const GIB = 2 ** 30;
const text = (name: string) => readFileSync(`test/fixtures/device-exporters/${name}.written.txt`, 'utf8');
const cpu = { model: 'x', cores: 8, memoryBytes: GIB };

describe('devices of exporters', () => {
  it.each([
    ['dcgm', 'h100-80gb-hbm3', 2, 81_559 * MIB, [0.93, 0]],
    ['amd', 'mi300x-oam', 2, 196_592 * MIB, [0.36, 0]],
    ['intel', 'data-center-gpu-max-1550', 1, 128 * GIB, [0.375]],
    ['gaudi', 'gaudi', 1, 96 * GIB, [0.71]],
    ['ascend', '910b3', 2, 64 * GIB, [0.36, 0]],
  ])('%s', (name, kind, count, memoryBytes, utilisation) => {
    const devices = exportedDevices(text(name), name);
    expect(devices.map((device) => device.memoryBytes)).toEqual(Array(count).fill(memoryBytes));
    expect(devices.map((device) => device.utilisation)).toEqual(utilisation);
    const [line, ...more] = deviceLines({ cpu, gpus: devices });
    expect(more).toEqual([]);
    expect(line).toMatchObject({ kind, ...(count > 1 && { count }) });
  });

  it('are read from a release with other names of the same', () => {
    const upper = text('amd').replaceAll('gpu_total_vram', 'GPU_TOTAL_VRAM');
    expect(exportedDevices(upper, 'amd')).toHaveLength(2);
    const prefixed = text('amd').replaceAll(/^gpu_/gm, 'amd_gpu_');
    expect(exportedDevices(prefixed, 'amd').map(({ utilisation }) => utilisation)).toEqual([0.36, 0]);
  });

  it('count the memory of a device once, whatever its containers', () => {
    const twice = `${text('amd')}${text('amd').replaceAll('pod=""', 'pod="a"')}`;
    expect(exportedDevices(twice, 'amd').map(({ memoryBytes }) => memoryBytes)).toEqual(Array(2).fill(196_592 * MIB));
  });

  it('are refused where there are none', () => {
    for (const other of ['', 'up 1\n', '<html></html>', `gpu_total_vram{gpu_id="0"} NaN\n${'x'.repeat(100_000)}`])
      expect(refusal(() => exportedDevices(other, 'http://x'))).toMatchObject({ code: 'INVALID_INVENTORY' });
  });
});

describe('millrace inventory --exporter', () => {
  const server = loopbackServer();
  const run = async (url: string) => {
    const out = vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const err = vi.spyOn(process.stderr, 'write').mockReturnValue(true);
    const textOf = ({ mock }: typeof out) => mock.calls.map(([chunk]) => String(chunk)).join('');
    try {
      await writeInventory(testSettings(), { out: '-', node: 'node1', nvidiaSmi: 'no-such-program', exporter: url });
      return { printed: textOf(out), noted: textOf(err) };
    } finally {
      out.mockRestore();
      err.mockRestore();
    }
  };

  it('writes the devices, and notes one that is busy already', async () => {
    server.gives(200, text('amd'), { 'content-type': 'text/plain; version=0.0.4' });
    const { printed, noted } = await run(`${server.url}/metrics`);
    const { devices } = readInventory(printed, 'cluster.yaml');
    expect(devices.map(({ kind }) => kind)).toEqual(['mi300x-oam', 'mi300x-oam']);
    expect(noted).toContain('mi300x-oam 0 is 36 % busy already');
    expect(noted).not.toContain('mi300x-oam 1 is');
  });

  it.each([
    ['no URL', () => 'gpu1:5000', 'is no URL'],
    ['another answer', () => server.url, 'HTTP 503'],
    ['nothing there', () => 'http://127.0.0.1:1/metrics', 'does not answer'],
  ])('refuses %s', async (_, url, message) => {
    server.gives(503, 'away');
    await expect(run(url())).rejects.toMatchObject({
      code: 'INVALID_INVENTORY',
      message: expect.stringContaining(message),
    });
  });
});
