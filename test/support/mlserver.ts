import { mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureVenv, type Venv } from '../../deploy/local/stack/venv.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { freePort } from './free-port.js';
import { startServer } from './server-process.js';
import { testSettings } from './settings.js';

/** MLServer (https://github.com/SeldonIO/MLServer) with the models of test/fixtures/mlserver/runtimes.py. */
export interface MlServer {
  /** Base URL of its REST API, without `/v2`. */
  readonly rest: string;
  /** `host:port` of its gRPC API. */
  readonly grpc: string;
  stop(): Promise<void>;
}

/** 1 s on an idle machine. */
const READY_MS = 180_000;
/** It ends its calls first. */
const STOP_MS = 5_000;

const FIXTURES = fileURLToPath(new URL('../fixtures/mlserver', import.meta.url));

/**
 * Installs it, once, beside the embedded servers' venv (326 MB; 24 s from a warm cache). NVIDIA's tritonclient is in it too.
 * Where it cannot be installed the answer is why, in words.
 */
export async function mlserverVenv(): Promise<Venv | string> {
  try {
    return await ensureVenv({
      folder: path.resolve('.millrace/mlserver-venv'),
      recipe: FIXTURES,
      explicitPython: testSettings().MILLRACE_PYTHON,
      env: process.env,
      onStep: (detail) => process.stderr.write(`MLServer: ${detail}\n`),
    });
  } catch (error) {
    if (error instanceof MillraceError && /^STACK_(UNSUPPORTED|INSTALL_FAILED)$/.test(error.code))
      return messageOf(error);
    throw error;
  }
}

/** Installs and starts it, or says why it cannot be installed. */
export async function startMlServer(): Promise<MlServer | string> {
  const venv = await mlserverVenv();
  if (typeof venv === 'string') return venv;
  const [http, grpc, metrics] = [await freePort(), await freePort(), await freePort()];
  const rest = `http://127.0.0.1:${http}`;
  const stop = await startServer({
    name: 'MLServer',
    command: path.join(venv.folder, 'bin', 'mlserver'),
    args: ['start', path.join(FIXTURES, 'models')],
    // It writes its metrics' files where it stands.
    cwd: mkdtempSync(path.join(tmpdir(), 'millrace-mlserver-')),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PYTHONPATH: FIXTURES,
      PYTHONDONTWRITEBYTECODE: '1',
      MLSERVER_HOST: '127.0.0.1',
      MLSERVER_HTTP_PORT: String(http),
      MLSERVER_GRPC_PORT: String(grpc),
      MLSERVER_METRICS_PORT: String(metrics),
      // Models run in the server's process: fewer processes to start, and to be left over.
      MLSERVER_PARALLEL_WORKERS: '0',
      // As in production: an exception is answered with one line, not with a traceback.
      MLSERVER_DEBUG: 'false',
    },
    readyMs: READY_MS,
    stopMs: STOP_MS,
    answers: async () => (await fetch(`${rest}/v2/health/ready`)).ok,
  });
  return { rest, grpc: `127.0.0.1:${grpc}`, stop };
}
