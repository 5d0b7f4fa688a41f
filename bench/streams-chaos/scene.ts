import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { pino } from 'pino';
import { down, up } from '../../deploy/local/stack/index.js';
import { createAudioPort } from '../../media/index.js';
import { liveAudioOf } from '../../runs/live-audio.js';
import { openFileStore } from '../../stores/artifacts/index.js';
import { type ChannelName, RedisChannelLog } from '../../stores/channels/index.js';
import { artifactsFolder } from '../../workers/artifacts.js';
import { composeStages } from '../../workers/compose.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { RESTART_MS, restartLater } from '../chaos/kill-bench.js';
import { isReady, killPart } from '../chaos/kills.js';
import { ChaosProcess } from '../chaos/process.js';
import { Servers } from '../voice/bound.js';
import { environment, PROBES, settings, TAPS } from './settings.js';
import { Tap } from './tap.js';

const HOST = '127.0.0.1';
const TENANT = 'default';
const POLL_MS = 50;
/** Tries of the observer's own calls. */
const RETRIES = 60;
const PARTS = ['triton', 'llm', 'redis'] as const;

export type Victim = 'worker' | 'gateway' | (typeof PARTS)[number];

/** The stack, two workers and a gateway in processes of their own, taps in front of the models, and an observer. */
export class Scene {
  readonly base = gatewayUrl(settings);
  readonly channels: RedisChannelLog;
  readonly taps: { readonly triton: Tap; readonly llm: Tap };
  readonly #processes: readonly ChaosProcess[];
  readonly #closing: (() => unknown)[] = [];
  readonly #temporal: Client;
  readonly #servers: Servers;
  readonly #artifacts: Awaited<ReturnType<typeof openFileStore>>;

  private constructor(parts: {
    readonly taps: Scene['taps'];
    readonly processes: readonly ChaosProcess[];
    readonly temporal: Client;
    readonly servers: Servers;
    readonly artifacts: Awaited<ReturnType<typeof openFileStore>>;
    readonly closing: (() => unknown)[];
  }) {
    this.taps = parts.taps;
    this.#processes = parts.processes;
    this.#temporal = parts.temporal;
    this.#servers = parts.servers;
    this.#artifacts = parts.artifacts;
    const redis = () => new Redis(settings.MILLRACE_REDIS_PORT, HOST).on('error', () => undefined);
    const [own, listener] = [redis(), redis()];
    this.channels = new RedisChannelLog(own, listener);
    this.#closing = [...parts.closing, () => own.disconnect(), () => listener.disconnect()];
  }

  static async open(): Promise<Scene> {
    await down(settings);
    const parts = ['temporal', 'redis', 'redis-index', 'redis-cache', 'triton', 'llm'] as const;
    const { temporal } = await up({ settings, parts });
    const taps = {
      triton: await Tap.open(TAPS.triton, settings.MILLRACE_TRITON_GRPC_PORT),
      llm: await Tap.open(TAPS.llm, settings.MILLRACE_LLM_PORT),
    };
    const stack = { home: settings.MILLRACE_HOME, environment };
    const servers = { TRITON_URL: `${HOST}:${TAPS.triton}`, LLM_BASE_URL: `http://${HOST}:${TAPS.llm}/v1` };
    const worker = (name: keyof typeof PROBES) => {
      const env = { ...servers, MILLRACE_WORKER_METRICS_PORT: String(PROBES[name]) };
      return new ChaosProcess({ name, role: 'worker', env, probe: `http://${HOST}:${PROBES[name]}/readyz`, stack });
    };
    const probe = `${gatewayUrl(settings)}/readyz`;
    const gateway = new ChaosProcess({ name: 'gateway', role: 'gateway', env: servers, probe, stack });
    const processes = [worker('worker-a'), worker('worker-b'), gateway];
    await Promise.all(processes.map((each) => each.start()));
    const connection = await Connection.connect({ address: temporal });
    // The observer's own calls do not pass the taps.
    const stages = await composeStages(settings, pino({ level: 'silent' }));
    const artifacts = await openFileStore(artifactsFolder(settings));
    return new Scene({
      taps,
      processes,
      temporal: new Client({ connection }),
      servers: new Servers(stages.pools, createAudioPort(artifacts, TENANT)),
      artifacts,
      closing: [() => stages.close(), () => connection.close(), () => taps.triton.close(), () => taps.llm.close()],
    });
  }

  /** Resolves when every process accepts work. */
  async whole(): Promise<void> {
    while (!this.#processes.every(({ ready }) => ready) || !PARTS.every((part) => isReady(part, settings)))
      await sleep(POLL_MS);
    for (const { died } of this.#processes) if (died !== undefined) throw new Error(died);
  }

  /** Kills a process with SIGKILL and sees to its restart. Of the workers that one which runs the given stage of the run. */
  async kill(victim: Victim, run: string, stage: string): Promise<void> {
    if (victim !== 'worker' && victim !== 'gateway') return await killPart(victim, settings).happen();
    const [workerA, workerB, gateway] = this.#processes as [ChaosProcess, ChaosProcess, ChaosProcess];
    const pid = victim === 'worker' ? await this.#workerOf(run, stage) : gateway.pid;
    const process = [workerA, workerB, gateway].find((each) => each.pid === pid) ?? workerA;
    await process.kill();
    restartLater(process);
  }

  /** The channel of an output of a stage of a run that is under way. */
  async channelOf(run: string, stage: string, of: string): Promise<ChannelName> {
    const speech = await liveAudioOf({ temporal: this.#temporal }, run, 'speech');
    if (!speech) throw new Error(`${run} speaks no stream`);
    return { run, path: speech.path.replace('speak', stage), of };
  }

  /** The samples of a sentence, asked of the voice itself. */
  async speak(text: string): Promise<Buffer> {
    for (let left = RETRIES; ; left--) {
      try {
        return await this.samplesOf((await this.#servers.speak(text.trim())).uri);
      } catch (error) {
        // The observer's connection to a server that was killed is made again after a pause.
        if (left === 0) throw error;
        await sleep(RESTART_MS);
      }
    }
  }

  /** The bytes of a WAV file behind its header of 44 bytes. */
  async samplesOf(uri: string): Promise<Buffer> {
    const parts: Uint8Array[] = [];
    for await (const part of this.#artifacts.read(TENANT, uri)) parts.push(part);
    return Buffer.concat(parts).subarray(44);
  }

  async close(): Promise<void> {
    await Promise.all(this.#processes.map((each) => each.kill()));
    for (const close of this.#closing) await close();
    await down(settings);
  }

  /** The process that runs an activity of a run: of the stage, or the segment with it. */
  async #workerOf(run: string, stage: string): Promise<number | undefined> {
    const { raw } = await this.#temporal.workflow.getHandle(run).describe();
    const pending = raw.pendingActivities ?? [];
    const found = pending.find(({ activityType }) => activityType?.name === stage) ?? pending[0];
    return Number.parseInt(found?.lastWorkerIdentity ?? '', 10) || undefined;
  }
}
