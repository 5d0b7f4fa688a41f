import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, mkdirSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { TritonClient } from '../../activities/connectors/triton/index.js';
import { STACK_MARK } from '../../deploy/local/stack/marks.js';
import { CLI_MAIN } from '../../deploy/local/stack/paths.js';
import type { Programs } from '../../deploy/local/stack/python.js';
import type { PlacementDocument } from '../../placement/document/index.js';

import { loadGpuLike } from '../gpu-like/index.js';
import { environment, portsOf, settingsWith } from './settings.js';
import { COST_MS, NODES, STAGES } from './workload.js';

const HOST = '127.0.0.1';
const START_MS = 90_000;
const PROBE_MS = 200;

/** A machine with one device: its own Triton and worker, each a process. */
export class Node {
  readonly device: string;
  readonly #index: number;
  readonly #folder: string;
  readonly #children: ChildProcess[] = [];

  constructor(index: number) {
    this.#index = index;
    this.device = `${NODES[index]}/0`;
    this.#folder = path.join(settingsWith().MILLRACE_HOME, 'nodes', NODES[index] ?? '');
    mkdirSync(path.join(this.#folder, 'models'), { recursive: true });
  }

  get address(): string {
    return `${HOST}:${portsOf(this.#index).grpc}`;
  }

  get pids(): readonly number[] {
    return this.#children.flatMap(({ pid }) => pid ?? []);
  }

  /** Starts the server with the models that a placement assigns to it. */
  async serve({ server, backends, caches, env }: Programs['triton'], { pools }: PlacementDocument): Promise<void> {
    const { http, grpc, metrics } = portsOf(this.#index);
    this.#spawn('triton', server, env, [
      ...[`--model-repository=${path.resolve(this.#folder, 'models')}`, '--model-control-mode=explicit'],
      ...[`--backend-directory=${backends}`, `--cache-directory=${caches}`],
      `--backend-config=python,shm-region-prefix-name=lost_${process.pid}_${this.#index}_`,
      ...[`--http-address=${HOST}`, `--http-port=${http}`, `--grpc-address=${HOST}`, `--grpc-port=${grpc}`],
      ...[`--metrics-address=${HOST}`, `--metrics-port=${metrics}`, '--allow-gpu-metrics=false'],
    ]);
    await answers(`http://${HOST}:${http}/v2/health/ready`);
    const client = new TritonClient(this.address);
    const lock = path.resolve(this.#folder, 'device');
    for (const { model, maxBatch, replicas } of pools) {
      const name = STAGES.find((stage) => stage === model);
      const count = replicas.filter(({ devices: [device] }) => device === this.device).length;
      if (name === undefined || count === 0) continue;
      await loadGpuLike(client, { name, costMs: COST_MS[name], maxBatch, devices: Array(count).fill(lock) });
    }
    client.close();
  }

  /** Starts the worker that serves the device, and workflows as every worker does. */
  async work(env: Readonly<Record<string, string>>): Promise<void> {
    const { worker } = portsOf(this.#index);
    const more = { MILLRACE_DEVICES: this.device, MILLRACE_WORKER_METRICS_PORT: String(worker) };
    this.#spawn('worker', process.execPath, { ...environment, ...env, ...more }, [CLI_MAIN, 'worker']);
    await answers(`http://${HOST}:${worker}/readyz`);
  }

  /** SIGKILL, without a chance to clean up. */
  async kill(): Promise<void> {
    await Promise.all(
      this.#children.splice(0).map(async (child) => {
        if (child.exitCode !== null || child.signalCode !== null) return;
        const ended = once(child, 'exit');
        child.kill('SIGKILL');
        await ended;
      }),
    );
  }

  #spawn(what: string, command: string, env: Readonly<Record<string, string>>, args: readonly string[]): void {
    const child = spawn(command, args, {
      // `millrace down` also ends it if this process is gone.
      env: { ...process.env, ...env, [STACK_MARK]: settingsWith().MILLRACE_HOME },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const log = createWriteStream(path.join(this.#folder, `${what}.log`));
    child.stdout?.pipe(log);
    child.stderr?.pipe(log);
    this.#children.push(child);
  }
}

async function answers(url: string): Promise<void> {
  const end = performance.now() + START_MS;
  while (performance.now() < end) {
    if ((await fetch(url).catch(() => undefined))?.ok) return;
    await sleep(PROBE_MS);
  }
  throw new Error(`${url} does not answer`);
}
