import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { address } from './runs.js';

/** A worker of plain Temporal in a process of its own (test/fixtures/foreign-worker.mjs). */
export class ForeignWorker {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /**
   * Resolves when it takes work.
   * @param workflows file of its workflows
   */
  static async start(
    queue: string,
    namespace = 'default',
    workflows = 'test/fixtures/foreign-workflows.mjs',
  ): Promise<ForeignWorker> {
    const file = path.resolve(workflows);
    const args = ['test/fixtures/foreign-worker.mjs', address('TEMPORAL_ADDRESS'), queue, namespace, file];
    const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await Promise.race([
      once(child.stdout, 'data'),
      once(child, 'exit').then(() => {
        throw new Error('the other worker did not start');
      }),
    ]);
    return new ForeignWorker(child);
  }

  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = once(this.#child, 'exit');
    this.#child.kill(signal);
    await ended;
  }
}
