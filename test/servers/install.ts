import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { venvOf } from '../../bench/venv.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server-process.js';

const READY_MS = 120_000;
const STOP_MS = 5_000;

const SERVICES = fileURLToPath(new URL('./services', import.meta.url));

export { venvOf };

export interface Started {
  readonly url: string;
  stop(): Promise<void>;
}

/** A server of `services/` on a free port. */
export async function start(
  name: string,
  venv: string,
  {
    command,
    args,
    env = {},
    ready,
  }: {
    readonly command: string;
    readonly args: (port: number, services: string) => readonly string[];
    readonly env?: NodeJS.ProcessEnv;
    readonly ready: string;
  },
): Promise<Started> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const cwd = mkdtempSync(path.join(tmpdir(), `millrace-${name}-`));
  const stop = await startServer({
    name,
    command: path.join(venv, 'bin', command),
    args: args(port, SERVICES),
    cwd,
    env: { PATH: `${path.join(venv, 'bin')}:${process.env.PATH}`, HOME: cwd, PYTHONDONTWRITEBYTECODE: '1', ...env },
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
