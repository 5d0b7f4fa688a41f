import { setTimeout as sleep } from 'node:timers/promises';
import { down, up } from '../../deploy/local/stack/index.js';
import { restartLater } from '../chaos/kill-bench.js';
import { ChaosProcess } from '../chaos/process.js';
import { Receiver } from '../chaos/receiver.js';
import type { Start } from '../chaos/verdict.js';
import { Balancer } from './balancer.js';
import { type ModelCall, ScriptedModel } from './model.js';
import { environment, modelsFile, PORTS, type ProcessName, settings } from './settings.js';

const HOST = '127.0.0.1';
const POLL_MS = 50;

/** Temporal, Redis, two workers, two gateways behind a balancer, a scripted model, and a receiver of side effects. */
export class Scene {
  /** What clients know. */
  readonly base = `http://${HOST}:${PORTS.balancer}`;
  readonly #processes: ReadonlyMap<ProcessName, ChaosProcess>;
  readonly #receiver: Receiver;
  readonly #model: ScriptedModel;
  readonly #balancer: Balancer;
  readonly #calls: ModelCall[];

  private constructor(parts: {
    readonly processes: ReadonlyMap<ProcessName, ChaosProcess>;
    readonly receiver: Receiver;
    readonly model: ScriptedModel;
    readonly balancer: Balancer;
    readonly calls: ModelCall[];
  }) {
    this.#processes = parts.processes;
    this.#receiver = parts.receiver;
    this.#model = parts.model;
    this.#balancer = parts.balancer;
    this.#calls = parts.calls;
  }

  static async open(): Promise<Scene> {
    await down(settings);
    await up({ settings, parts: ['temporal', 'redis', 'redis-index', 'redis-cache'] });
    const calls: ModelCall[] = [];
    const model = await ScriptedModel.open((call) => void calls.push(call));
    const receiver = await Receiver.open();
    const stack = { home: settings.MILLRACE_HOME, environment };
    const process = (name: ProcessName): [ProcessName, ChaosProcess] => {
      const isWorker = name.startsWith('worker');
      const port = String(PORTS[name]);
      const env = {
        MILLRACE_MODELS: modelsFile(name, model.url),
        DOORS_RECEIVER: receiver.url,
        ...(isWorker ? { MILLRACE_WORKER_METRICS_PORT: port } : { MILLRACE_GATEWAY_PORT: port }),
      };
      const probe = `http://${HOST}:${port}/readyz`;
      return [name, new ChaosProcess({ name, role: isWorker ? 'worker' : 'gateway', env, probe, stack })];
    };
    const names = ['worker-a', 'worker-b', 'gateway-a', 'gateway-b'] as const;
    const processes = new Map(names.map(process));
    await Promise.all([...processes.values()].map((each) => each.start()));
    const balancer = await Balancer.open(PORTS.balancer, [PORTS['gateway-a'], PORTS['gateway-b']]);
    return new Scene({ processes, receiver, model, balancer, calls });
  }

  /** Resolves when every process accepts work. */
  async whole(): Promise<void> {
    while (![...this.#processes.values()].every(({ ready }) => ready)) {
      for (const { died } of this.#processes.values()) if (died !== undefined) throw new Error(died);
      await sleep(POLL_MS);
    }
  }

  /** Kills a process with SIGKILL and sees to its restart. */
  async kill(name: ProcessName): Promise<void> {
    const victim = this.#processes.get(name);
    if (victim === undefined) throw new Error(`no process ${name}`);
    await victim.kill();
    restartLater(victim);
  }

  /** What has begun for an order so far: calls of the model and side effects. */
  startsOf(number: number): Start[] {
    const of = <T extends { readonly run: number }>(all: readonly T[]) => all.filter(({ run }) => run === number);
    return [...of(this.#calls), ...of(this.#receiver.effects)].toSorted((a, b) => a.at - b.at);
  }

  /** The worker that has made the last call of the model for an order. */
  workerOf(number: number): ProcessName {
    const last = this.#calls.findLast(({ run }) => run === number);
    return last?.by === 'worker-b' ? 'worker-b' : 'worker-a';
  }

  async close(): Promise<void> {
    await Promise.all([...this.#processes.values()].map((each) => each.kill()));
    for (const each of [this.#balancer, this.#receiver, this.#model]) each.close();
    await down(settings);
  }
}
