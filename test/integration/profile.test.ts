import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { loadGpuLike } from '../../bench/gpu-like/index.js';
import { readInventory } from '../../placement/inventory/index.js';
import { readProfile } from '../../placement/profiles/index.js';
import { freePort } from '../support/free-port.js';
import { address } from '../support/runs.js';
import { testEnvironment } from '../support/settings.js';

const CLI = path.resolve('dist/cli/main.js');
const COST_MS = 30;
describe('millrace profile', () => {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-'));
  const profiles = path.join(folder, 'profiles');
  const models = (llm = address('LLM_BASE_URL')) => {
    const on = (url: string) => [{ url, device: 'here/0' }];
    const file = path.join(folder, llm === address('LLM_BASE_URL') ? 'models.json' : 'away.json');
    const adder = { connector: 'triton', model: 'profile-test', kind: 'infer', endpoints: on(address('TRITON_URL')) };
    const assistant = { connector: 'openai', model: 'assistant', kind: 'chat', endpoints: on(llm) };
    writeFileSync(file, JSON.stringify({ adder, assistant }));
    return file;
  };
  const millrace = (args: readonly string[], more: Readonly<Record<string, string>> = {}) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      const own = { MILLRACE_MODELS: models(), MILLRACE_PIPELINES: 'test/fixtures/profiled.mjs', ...more };
      execFile(CLI, args, { env: { ...process.env, ...testEnvironment(own) } }, (error, stdout, stderr) =>
        resolve({ code: error ? Number(error.code) : 0, stdout, stderr }),
      );
    });
  const files = ['--cluster', path.join(folder, 'cluster.yaml'), '--profiles', profiles];
  let triton: TritonClient;

  beforeAll(async () => {
    triton = new TritonClient(address('TRITON_URL'));
    const devices = [path.join(folder, 'device')];
    await loadGpuLike(triton, { name: 'profile-test', costMs: COST_MS, maxBatch: 4, devices });
  });
  afterAll(async () => {
    await triton.unload('profile-test', AbortSignal.timeout(60_000));
    triton.close();
  });

  it('finds the servers that run here, for the inventory', async () => {
    const out = path.join(folder, 'cluster.yaml');
    const { code, stderr } = await millrace(['inventory', '--node', 'here', '--nvidia-smi', 'no-gpus', '--out', out]);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const { devices, endpoints } = readInventory(readFileSync(out, 'utf8'));
    expect(devices).toEqual([expect.objectContaining({ id: 'here/0', kind: 'cpu' })]);
    expect(endpoints).toEqual([
      { url: address('TRITON_URL'), connector: 'triton', device: 'here/0', models: ['adder'] },
      { url: address('LLM_BASE_URL'), connector: 'openai', device: 'here/0', models: ['assistant'] },
    ]);
  });

  it('measures the models at their servers, and the plan reads it', { timeout: 480_000 }, async () => {
    const one = async (...more: readonly string[]) => {
      const args = ['profile', 'profiled', ...files, '--samples', '1', ...more, '--json'];
      const { code, stdout, stderr } = await millrace(args);
      expect({ code, stderr }).toEqual({ code: 0, stderr: expect.stringContaining('measuring ') });
      const [made] = (JSON.parse(stdout) as { profiles: { file: string; calls: number }[] }).profiles;
      if (made === undefined) return expect.fail('nothing was made');
      expect(made.calls).toBeLessThan(12);
      return readProfile(readFileSync(made.file, 'utf8'), made.file).value;
    };
    const adder = await one('--stage', 'add', '--batches', '1,4');
    const assistant = await one('--stage', 'answer', '--batches', '1', '--sizes', '60', '--memory', 'assistant=97MB');
    if (adder.batching !== 'dynamic' || assistant.batching !== 'continuous') return expect.fail('not as they batch');
    // A batch costs what a call costs, by the server's own count.
    // Of one burst on a busy machine not all may have been taken together.
    expect(adder.latency[0]?.batch).toBe(1);
    expect(adder.latency.at(-1)?.batch).toBeGreaterThan(1);
    for (const { p50Ms } of adder.latency) expect(p50Ms).toBeGreaterThanOrEqual(COST_MS);
    expect(adder.fingerprint?.server).toMatch(/^triton \d/);
    expect(assistant.prefill).toHaveLength(1);
    expect(assistant.decode[0]?.batch).toBe(1);
    expect(assistant.memory?.weights).toBe(97e6);

    const load = ['--rate', '0.001', '--slo-p99', '1h', '--time-limit', '1s'];
    const placed = await millrace(['place', '--pipeline', 'profiled', ...files, ...load, '--json']);
    expect(JSON.parse(placed.stdout).pools.map(({ model }: { model: string }) => model)).toEqual([
      'adder',
      'assistant',
    ]);
  });

  it('--check asks the endpoints whether it is still so', async () => {
    const check = ['profile', 'profiled', ...files, '--check'];
    expect(await millrace(check)).toMatchObject({ code: 0, stdout: expect.stringMatching(/adder .* fresh/) });
    const file = path.join(profiles, 'adder.cpu.json');
    writeFileSync(file, readFileSync(file, 'utf8').replace(/"server": "triton [^"]*"/, '"server": "triton 1.0"'));
    const { code, stderr } = await millrace(check);
    expect(code).toBe(1);
    expect(stderr).toMatch(
      /PROFILE_STALE: adder\.cpu\.json: its server was triton 1\.0 and is triton \d.*profile "adder" again/,
    );
  });

  it('names a server that is away before anything is measured', async () => {
    const away = models(`http://127.0.0.1:${await freePort()}/v1`);
    const refused = await millrace(['profile', 'profiled', ...files], { MILLRACE_MODELS: away });
    expect(refused.stderr).toMatch(/^millrace: BACKEND_UNAVAILABLE: /);
    expect(refused.code).toBe(3);
  });
});
