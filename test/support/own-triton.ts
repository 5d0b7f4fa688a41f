import { cpSync, mkdtempSync, readFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { status } from '../../deploy/local/stack/index.js';
import { freePort } from './free-port.js';
import { startServer } from './server-process.js';
import { testSettings } from './settings.js';

const START_MS = 180_000;

/** A Triton of a test's own. */
export interface OwnTriton {
  readonly grpc: string;
  readonly http: string;
  /** With `explicit` all models are lost. */
  restart(): Promise<void>;
  stop(): Promise<void>;
}

/** Command line and environment of the tests' Triton: the same program, with another repository and ports of its own. */
function asTheTests(): { readonly args: string[]; readonly env: NodeJS.ProcessEnv } {
  const pid = status(testSettings()).parts.find(({ name }) => name === 'triton')?.pid;
  const read = (file: string) => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0').filter(Boolean);
  const env = Object.fromEntries(
    read('environ').map((line) => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]),
  );
  return { args: read('cmdline'), env };
}

/**
 * Starts the program of the tests' Triton once more.
 * @param models names of copies of the model `echo`
 * @param control `explicit`: none is loaded, and clients load them; `none`: all are loaded, and no client may
 * @param more further arguments of its command line
 */
export async function ownTriton(
  models: readonly string[],
  control: 'explicit' | 'none' = 'explicit',
  more: readonly string[] = [],
): Promise<OwnTriton> {
  const repository = mkdtempSync(path.join(tmpdir(), 'millrace-repository-'));
  for (const model of models) cpSync('deploy/local/models/echo', path.join(repository, model), { recursive: true });
  const [http, grpc] = [await freePort(), await freePort()];
  const { args, env } = asTheTests();
  const [command = '', ...given] = args;
  const kept = given.filter(
    (arg) => !/^--(model-repository|model-control-mode|load-model|backend-config|http|grpc|metrics)/.test(arg),
  );
  const start = () =>
    startServer({
      name: 'Triton',
      command,
      args: [
        ...kept,
        ...[`--model-repository=${repository}`, `--model-control-mode=${control}`],
        `--backend-config=python,shm-region-prefix-name=millrace_own_${process.pid}_${grpc}_`,
        ...['--http-address=127.0.0.1', `--http-port=${http}`, '--grpc-address=127.0.0.1', `--grpc-port=${grpc}`],
        '--allow-metrics=false',
        ...more,
      ],
      env,
      readyMs: START_MS,
      stopMs: 10_000,
      answers: async () => (await fetch(`http://127.0.0.1:${http}/v2/health/ready`)).ok,
    });
  let stop = await start();
  return {
    grpc: `127.0.0.1:${grpc}`,
    http: `http://127.0.0.1:${http}`,
    async restart() {
      await stop();
      stop = await start();
    },
    stop: () => stop(),
  };
}
