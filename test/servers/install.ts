import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { EXIT } from '../../cli/output.js';
import { freePort } from '../support/free-port.js';
import { startServer } from '../support/server-process.js';

const run = promisify(execFile);
const INSTALL_MS = 15 * 60_000;
const READY_MS = 120_000;
const STOP_MS = 5_000;

const SERVICES = fileURLToPath(new URL('./services', import.meta.url));

/**
 * A venv with these packages, made once below `.millrace/servers/`. Ends the process with `EXIT.unavailable` where they
 * cannot be installed, and says why. Versions of the packages are pinned, those of what they need are not.
 */
export async function venvOf(name: string, packages: readonly string[]): Promise<string> {
  const folder = path.resolve('.millrace/servers', name);
  const marker = path.join(folder, 'packages.txt');
  const wanted = packages.join('\n');
  if (existsSync(marker) && readFileSync(marker, 'utf8') === wanted) return folder;
  process.stderr.write(`${name}: installing ${packages.join(' ')}\n`);
  try {
    await rm(folder, { recursive: true, force: true });
    await run(process.env.MILLRACE_PYTHON ?? 'python3', ['-m', 'venv', folder], { timeout: INSTALL_MS });
    await run(path.join(folder, 'bin/pip'), ['install', '--quiet', ...packages], {
      timeout: INSTALL_MS,
      maxBuffer: 2 ** 24,
    });
    await writeFile(marker, wanted);
    return folder;
  } catch (error) {
    process.stderr.write(`${name}: cannot be installed: ${String((error as Error).message).slice(0, 2_000)}\n`);
    process.exit(EXIT.unavailable);
  }
}

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
