import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { tritonConnector } from '../../activities/connectors/triton/index.js';
import { status } from '../../deploy/local/stack/index.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server-process.js';
import { testSettings } from '../support/settings.js';

/* A Triton in its default control mode: models are loaded when it starts, and no client may load them again. */

const START_MS = 180_000;
const limit = () => AbortSignal.timeout(60_000);
let endpoint: string;
let stop: () => Promise<void>;

/** Command line and environment of the tests' Triton: the same program, with another repository and ports of its own. */
function asTheTests(): { readonly args: string[]; readonly env: NodeJS.ProcessEnv } {
  const pid = status(testSettings()).parts.find(({ name }) => name === 'triton')?.pid;
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter(Boolean);
  const env = Object.fromEntries(
    read('environ').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return { args: read('cmdline'), env };
}

beforeAll(async () => {
  const repository = mkdtempSync(path.join(tmpdir(), 'millrace-repository-'));
  cpSync('deploy/local/models/echo', path.join(repository, 'echo'), { recursive: true });
  const [http, grpc] = [await freePort(), await freePort()];
  endpoint = `127.0.0.1:${grpc}`;
  const { args, env } = asTheTests();
  const [command = '', ...given] = args;
  const kept = given.filter(
    (arg) => !/^--(model-repository|model-control-mode|load-model|backend-config|http|grpc|metrics)/.test(arg),
  );
  stop = await startServer({
    name: 'Triton',
    command,
    args: [
      ...kept,
      `--model-repository=${repository}`,
      `--backend-config=python,shm-region-prefix-name=millrace_control_${process.pid}_`,
      ...['--http-address=127.0.0.1', `--http-port=${http}`, '--grpc-address=127.0.0.1', `--grpc-port=${grpc}`],
      '--allow-metrics=false',
    ],
    env,
    readyMs: START_MS,
    stopMs: 10_000,
    answers: async () => (await fetch(`http://127.0.0.1:${http}/v2/health/ready`)).ok,
  });
}, START_MS);
afterAll(async () => {
  await stop?.();
});

it('a Triton that lets no client load models refuses a repair for good, and goes on serving', async () => {
  const backend = tritonConnector().connect(endpoint);
  expect(backend.heal).toBeDefined();
  await expect(backend.heal?.('echo', limit())).rejects.toMatchObject({
    code: 'BACKEND_REJECTED',
    message: expect.stringMatching(/explicit model load/),
    details: { endpoint },
  });
  expect(backend.heal).toBeUndefined();
  await backend.probe('echo', 'infer', limit());
  backend.close();
});
