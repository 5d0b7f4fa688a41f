import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { ensureVenv } from '../../deploy/local/stack/venv.js';
import { MillraceError, messageOf } from '../../pipelines/errors.js';
import { address } from './runs.js';
import { ofTheStack, testEnvironment, testSettings } from './settings.js';

const FIXTURES = fileURLToPath(new URL('../fixtures/python-sdk', import.meta.url));

/** The package's folder. */
export const PACKAGE = fileURLToPath(new URL('../../python', import.meta.url));

/** An interpreter that has the built package, and what its tests need. */
export interface PythonSdk {
  readonly python: string;
  /** Without variables that would lead to servers of the developer's own. */
  readonly env: Readonly<Record<string, string>>;
}

/**
 * Installs what the Python package and its tests need, once, in a venv of its own: the embedded servers' packages hold
 * back numpy. Where it cannot be installed the answer is why, in words.
 */
export async function pythonSdk(): Promise<PythonSdk | string> {
  try {
    const { folder } = await ensureVenv({
      folder: path.resolve('.millrace/python-sdk'),
      recipe: FIXTURES,
      explicitPython: testSettings().MILLRACE_PYTHON,
      env: process.env,
      onStep: (detail) => process.stderr.write(`Python package: ${detail}\n`),
    });
    const { PATH = '', HOME = '' } = process.env;
    const env = { ...testEnvironment(), PATH, HOME, PYTHONDONTWRITEBYTECODE: '1' };
    const python = path.join(folder, 'bin', 'python');
    return { python, env: { ...env, PYTHONPATH: await builtPackage({ python, env }) } };
  } catch (error) {
    if (error instanceof MillraceError && /^STACK_(UNSUPPORTED|INSTALL_FAILED)$/.test(error.code))
      return messageOf(error);
    throw error;
  }
}

/** Folder of the package as its wheel has it: the tests see what is published, not the sources. */
async function builtPackage(sdk: PythonSdk): Promise<string> {
  const folder = mkdtempSync(path.join(tmpdir(), 'millrace-wheel-'));
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }));
  const build = 'import sys; from hatchling import build; print(build.build_wheel(sys.argv[1]))';
  const built = await runPython(sdk, ['-c', build, folder]);
  if (built.code !== 0) throw new Error(`the wheel was not built:\n${built.stderr}`);
  const wheel = path.join(folder, built.stdout.trim());
  const unpacked = await runPython(sdk, ['-m', 'zipfile', '-e', wheel, folder]);
  if (unpacked.code !== 0) throw new Error(`the wheel was not unpacked:\n${unpacked.stderr}`);
  return folder;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the interpreter and waits for its end. */
export async function runPython(
  { python, env }: PythonSdk,
  args: readonly string[],
  { cwd = PACKAGE, more = {} }: { cwd?: string; more?: Readonly<Record<string, string>> } = {},
): Promise<Ended> {
  const child = spawn(python, args, { cwd, env: { ...env, ...more }, stdio: ['ignore', 'pipe', 'pipe'] });
  const said = { stdout: '', stderr: '' };
  for (const stream of ['stdout', 'stderr'] as const)
    child[stream].on('data', (chunk: Buffer) => {
      said[stream] += chunk.toString();
    });
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, ...said };
}

/** A loaded machine takes long to import numpy. */
const START_MS = 180_000;

/** A worker of Python stages in a process of its own, to be killed. */
export class PythonWorker {
  readonly #child: ChildProcess;
  #log = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    for (const stream of [child.stdout, child.stderr])
      stream?.on('data', (chunk: Buffer) => {
        this.#log += chunk.toString();
      });
  }

  /** Resolves when it takes work. */
  static async start(
    sdk: PythonSdk,
    folder: string,
    module: string,
    queue: string,
    more: Readonly<Record<string, string>> = {},
  ): Promise<PythonWorker> {
    const args = ['-m', 'millrace', 'worker', module, '--queue', queue, '--concurrency', '4'];
    const home = path.resolve(testSettings().MILLRACE_HOME);
    const env = {
      ...sdk.env,
      ...ofTheStack(),
      TEMPORAL_ADDRESS: address('TEMPORAL_ADDRESS'),
      MILLRACE_HOME: home,
      ...more,
    };
    const child = spawn(sdk.python, args, { cwd: folder, env, stdio: ['ignore', 'pipe', 'pipe'] });
    const worker = new PythonWorker(child);
    const until = Date.now() + START_MS;
    while (Date.now() < until && child.exitCode === null) {
      if (worker.log.includes(`on task queue ${queue}`)) return worker;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    child.kill('SIGKILL');
    throw new Error(`the Python worker did not start:\n${worker.log}`);
  }

  /** All that it has written. */
  get log(): string {
    return this.#log;
  }

  /** SIGKILL by default: no time to say anything to anybody. Returns the exit code, null if the signal ended it. */
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<number | null> {
    const child = this.#child;
    if (child.exitCode !== null || child.signalCode !== null) return child.exitCode;
    const ended = once(child, 'exit');
    child.kill(signal);
    await ended;
    return child.exitCode;
  }
}
