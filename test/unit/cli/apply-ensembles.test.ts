import { lstatSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { type ApplyCommandOptions, applyPlacement } from '../../../cli/apply.js';
import { CLUSTER, placedPool, placementOf } from '../../support/placements.js';
import { testSettings } from '../../support/settings.js';

const folder = mkdtempSync(path.join(tmpdir(), 'millrace-ensembles-'));
function file(name: string, text: string): string {
  const at = path.join(folder, name);
  mkdirSync(path.dirname(at), { recursive: true });
  writeFileSync(at, text);
  return at;
}

afterEach(() => void vi.restoreAllMocks());

describe('millrace apply', () => {
  const endpoints = [{ url: 'x:1', device: 'x' }];
  const models = { said: { connector: 'triton', model: 'whole', kind: 'embed', endpoints } };
  const settings = testSettings({ MILLRACE_PIPELINES: '', MILLRACE_MODELS: file('m.json', JSON.stringify(models)) });
  const placement = placementOf([placedPool('said', [['gpu1/2']])]);
  const given = file('placement.json', JSON.stringify(placement));
  const options: ApplyCommandOptions = {
    ...{ cluster: file('cluster.yaml', CLUSTER), out: path.join(folder, 'applied'), cpuKinds: ['cpu'] },
    ...{ weights: {}, speculative: {}, toolParser: {}, vllmArgs: {}, router: {}, image: {} },
    ...{ gpuResource: 'nvidia.com/gpu', modelsClaim: 'models', dryRun: true, json: true },
  };
  const steps = (name: string) => `ensemble_scheduling { step [ { model_name: "${name}" } ] }\n`;

  it('links the models that an ensemble calls beside it, also those without a configuration', async () => {
    vi.spyOn(process.stdout, 'write').mockReturnValue(true);
    const repository = path.join(folder, 'models');
    file('models/whole/config.pbtxt', steps('part'));
    file('models/part/1/model.onnx', 'weights');
    // Twice: what is linked is not removed with the links.
    for (let i = 0; i < 2; i += 1) await applyPlacement(settings, given, { ...options, tritonRepository: repository });
    const made = path.join(folder, 'applied', placement.version, 'triton', 'triton-gpu1-2');
    expect(readdirSync(made).sort()).toEqual(['part', 'whole']);
    expect(lstatSync(path.join(made, 'part')).isSymbolicLink()).toBe(true);
    expect(readFileSync(path.join(made, 'part/1/model.onnx'), 'utf8')).toBe('weights');
    expect(readFileSync(path.join(made, 'whole/config.pbtxt'), 'utf8')).toContain('ensemble_scheduling');
  });

  it('notes a model that an ensemble calls and the repository lacks, which pods have from a claim', async () => {
    const repository = path.join(folder, 'lacking');
    file('lacking/whole/config.pbtxt', steps('gone'));
    let out = '';
    vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
      out += String(text);
      return true;
    });
    await applyPlacement(settings, given, { ...options, tritonRepository: repository });
    const { notes } = JSON.parse(out) as { notes: string[] };
    expect(notes).toContainEqual(expect.stringMatching(/lacking\/gone: an ensemble calls this model/));
    const made = path.join(folder, 'applied', placement.version, 'triton', 'triton-gpu1-2');
    expect(readdirSync(made)).toEqual(['whole']);
  });
});
