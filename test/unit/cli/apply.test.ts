import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, expect, it, vi } from 'vitest';
import { type ApplyCommandOptions, applyPlacement } from '../../../cli/apply.js';
import { CLUSTER, placedPool, placementOf } from '../../support/placements.js';
import { testSettings } from '../../support/settings.js';

afterEach(() => vi.restoreAllMocks());

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-apply-'));
function file(name: string, text: string): string {
  const at = path.join(folder, name);
  writeFileSync(at, text);
  return at;
}

const llm = placedPool('assistant', [['gpu1/0']], { batching: 'continuous', memoryBytes: 60 * 2 ** 30 });
const placement = file('placement.json', JSON.stringify(placementOf([llm])));
const pool = { connector: 'openai', kind: 'chat', model: 'm', endpoints: [{ url: 'http://x:1/v1', device: 'x' }] };
const models = file('models.json', JSON.stringify({ assistant: pool }));
const OPTIONS: ApplyCommandOptions = {
  cluster: file('cluster.yaml', CLUSTER),
  out: path.join(folder, 'applied'),
  cpuKinds: ['cpu'],
  weights: {},
  speculative: {},
  toolParser: {},
  vllmArgs: {},
  router: {},
  image: {},
  gpuResource: 'nvidia.com/gpu',
  modelsClaim: 'models',
  json: true,
};

function apply(more: Partial<ApplyCommandOptions>, env: Readonly<Record<string, string>> = {}): Promise<void> {
  const settings = testSettings({ MILLRACE_MODELS: models, MILLRACE_PLACEMENT: '', ...env });
  return applyPlacement(settings, placement, { ...OPTIONS, ...more });
}

it('waits for the servers of the commands at their nodes, for those of the manifests at their Services', async () => {
  const awaited = (url: string) =>
    expect.objectContaining({
      code: 'BACKEND_UNAVAILABLE',
      details: { fields: [{ field: `assistant at ${url}`, message: expect.any(String) }] },
    });
  await expect(apply({ whenReady: 1 })).rejects.toThrow(awaited('http://gpu1:9000/v1'));
  await expect(apply({ whenReady: 1, services: true })).rejects.toThrow(awaited('http://assistant-gpu1-0:9000/v1'));
});

it('is refused with --services alone, which would call no server', async () => {
  const fields = [{ field: 'services', message: expect.stringContaining('pass --when-ready') }];
  await expect(apply({ services: true })).rejects.toMatchObject({ code: 'INVALID_PLACEMENT', details: { fields } });
});

it('notes where the manifests would call Temporal in the pod itself', async () => {
  const notes = async (address: string) => {
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    });
    await apply({}, { TEMPORAL_ADDRESS: address });
    vi.restoreAllMocks();
    return (JSON.parse(out) as { notes: string[] }).notes.filter((note) => note.includes('TEMPORAL_ADDRESS'));
  };
  expect(await notes('temporal.internal:7233')).toEqual([]);
  expect(await notes('localhost:7233')).toEqual([expect.stringContaining('call Temporal at localhost:7233')]);
  expect(await notes('')).toEqual([expect.stringMatching(/call Temporal at 127\.0\.0\.1:\d+/)]);
});
