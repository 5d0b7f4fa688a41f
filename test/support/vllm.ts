import { existsSync } from 'node:fs';
import { rename, rm } from 'node:fs/promises';
import { totalmem } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { EXIT } from '../../cli/output.js';
import { lastLines, runCommand } from '../../deploy/local/stack/command.js';
import { ensureVenv, type Venv } from '../../deploy/local/stack/venv.js';
import { readManifest } from '../../deploy/local/stack/weights.js';
import { MillraceError } from '../../pipelines/errors.js';
import { vllmArguments } from '../../placement/apply/vllm-arguments.js';
import { markedProcesses, type ProcessIdentity, signalProcess } from '../../runtime/process-identity.js';
import { readSettings } from '../../workers/settings.js';
import { freePort } from './free-port.js';
import { placedPool } from './placements.js';
import { startServer } from './server-process.js';

/** Its server knows no other key. */
export const API_KEY = 'a-key-of-the-vllm-under-test';
/** Requests that it decodes at once: as many as the embedded LLM server. */
export const PARALLEL = 4;
/** A LoRA adapter of the served model, which is called by this name. */
export const ADAPTER = 'adapted';

const RECIPE = fileURLToPath(new URL('../fixtures/vllm', import.meta.url));
const FOLDER = path.resolve('.millrace/vllm-venv');
/** Its environment holds this: what an interrupted run has left up is found by it. */
const MARK = 'MILLRACE_TEST_VLLM';
/** 45 s on an idle machine of two cores, 100 s on a busy one. */
const READY_MS = 600_000;
const STOP_MS = 10_000;
/** 10 s on an idle machine. */
const CONVERT_MS = 600_000;
/** Of the machine's memory, for the key-value cache. */
const CACHE_GIB = 1;

const log = (line: string) => void process.stderr.write(`vLLM: ${line}\n`);
let stop: (() => Promise<void>) | undefined;

/**
 * Installs vLLM for CPUs beside the embedded servers' venv, once (2.7 GB), and starts its server with the weights of the
 * embedded one. Ends the process with `EXIT.unavailable` where it cannot be installed, and says why.
 */
export async function setup(): Promise<void> {
  const venv = await install();
  const model = await converted(venv);
  const adapter = await made(venv, 'adapter', 'make-adapter.py', [model]);
  for (const { pid } of processes()) signalProcess(pid, 'SIGKILL');
  const started = await startVllm('chat', model, [
    ...['--scheduling-policy', 'priority', '--enable-prompt-tokens-details', '--enable-prefix-caching'],
    ...['--enable-lora', '--max-lora-rank', '8', '--lora-modules', `${ADAPTER}=${adapter}`],
  ]);
  stop = started.stop;
  process.env.TEST_VLLM_BASE_URL = started.endpoint;
  process.env.TEST_VLLM_MODEL = model;
  process.env.TEST_VLLM_PYTHON = venv.python.executable;
}

/**
 * Starts a server of the weights as `millrace apply` writes its arguments, with more of them.
 * @param kind `embed`: vLLM makes an embedder of the chat model
 */
export async function startVllm(kind: 'chat' | 'embed', weights: string, more: readonly string[] = []) {
  const port = await freePort();
  const endpoint = `http://127.0.0.1:${port}/v1`;
  const startedAt = performance.now();
  log(`starting on port ${port}`);
  const end = await startServer({
    name: 'vLLM',
    command: path.join(FOLDER, 'bin', 'vllm'),
    args: [...serverArguments(kind, weights, port), ...more],
    env: environment(),
    readyMs: READY_MS,
    stopMs: STOP_MS,
    // `/health` may be well while the first request kills the engine.
    answers: () => answers(endpoint, kind),
  });
  log(`ready after ${((performance.now() - startedAt) / 1_000).toFixed(1)} s`);
  return { endpoint, stop: end };
}

export async function teardown(): Promise<void> {
  await stop?.();
}

/** Those of the vLLM under test. */
export const processes = (): ProcessIdentity[] => markedProcesses(MARK, FOLDER);

/** The environment of every process of vLLM. */
export const environment = (): NodeJS.ProcessEnv => ({
  PATH: process.env.PATH,
  HOME: process.env.HOME,
  [MARK]: FOLDER,
  // The wheel for CPUs has another name, but `vllm` asks for its own: the metadata of a distribution `vllm` lies there.
  PYTHONPATH: RECIPE,
  PYTHONDONTWRITEBYTECODE: '1',
  // Its processes rename themselves, which would overwrite the environment, and with it the mark.
  SPT_NOENV: '1',
  HF_HUB_OFFLINE: '1',
  VLLM_NO_USAGE_STATS: '1',
  DO_NOT_TRACK: '1',
  VLLM_CPU_KVCACHE_SPACE: String(CACHE_GIB),
  // Other work goes on on the same cores: it would bind a thread to each of them.
  VLLM_CPU_OMP_THREADS_BIND: 'nobind',
  OMP_NUM_THREADS: '1',
});

/** As `millrace apply` writes them, and what a CPU and these weights need besides. */
const serverArguments = (kind: 'chat' | 'embed', weights: string, port: number): string[] => [
  ...vllmArguments(
    placedPool('assistant', [['cpu1/0']], { batching: 'continuous', maxBatch: PARALLEL, memoryBytes: 2 * 2 ** 30 }),
    {
      ...{ weights, servedAs: 'assistant', kind, deviceMemoryBytes: totalmem(), port },
      ...(kind === 'chat' && { toolParser: 'hermes' }),
    },
  ),
  ...(kind === 'embed' ? ['--convert', 'embed'] : []),
  ...['--host', '127.0.0.1', '--dtype', 'bfloat16', '--max-model-len', '4096', '--enforce-eager'],
  ...['--api-key', API_KEY],
];

async function install(): Promise<Venv> {
  try {
    const { env } = process;
    const explicitPython = readSettings(env).MILLRACE_PYTHON;
    return await ensureVenv({ folder: FOLDER, recipe: RECIPE, explicitPython, pythons: ['3.11'], env, onStep: log });
  } catch (error) {
    if (!(error instanceof MillraceError)) throw error;
    log(`${error.code}: ${error.message}`);
    process.exit(EXIT.unavailable);
  }
}

/** Folder of the weights as vLLM reads them, made once out of the embedded server's file: bfloat16, 270 MB. */
async function converted(venv: Venv): Promise<string> {
  const [weights] = readManifest(path.join(RECIPE, 'weights.json'));
  if (!weights) throw new Error('the manifest names no weights');
  return made(venv, 'assistant', 'convert-weights.py', [path.join(venv.packages, weights.file)]);
}

/** Folder of the served model with a template that lets it think before it replies. */
export async function thinker(): Promise<string> {
  const venv = await install();
  return made(venv, 'thinker', 'make-thinker.py', [await converted(venv)]);
}

/** A folder in the venv that a script makes once; its path is the script's last argument. */
async function made({ folder, python }: Venv, name: string, script: string, args: string[]): Promise<string> {
  const target = path.join(folder, name);
  if (existsSync(target)) return target;
  log(`making ${name}`);
  const unfinished = `${target}.${process.pid}`;
  const command = [path.join(RECIPE, script), ...args, unfinished];
  const result = await runCommand(python.executable, command, { env: environment(), timeoutMs: CONVERT_MS });
  if (result.code !== 0) {
    await rm(unfinished, { recursive: true, force: true });
    throw new Error(`${script} has failed:\n${lastLines(result.stderr, 12)}`);
  }
  await rename(unfinished, target);
  return target;
}

/** Whether it computes something. */
async function answers(endpoint: string, kind: 'chat' | 'embed'): Promise<boolean> {
  const [route, body] =
    kind === 'chat' ? ['completions', { prompt: 'ok', max_tokens: 1 }] : ['embeddings', { input: 'ok' }];
  const { ok } = await fetch(`${endpoint}/${route}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', authorization: `Bearer ${API_KEY}` },
    body: JSON.stringify({ model: 'assistant', ...body }),
  });
  return ok;
}
