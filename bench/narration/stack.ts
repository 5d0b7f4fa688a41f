import { createHash } from 'node:crypto';
import { Client, Connection } from '@temporalio/client';
import { Redis } from 'ioredis';
import { MillraceClient } from '../../client/index.js';
import { down, status, up } from '../../deploy/local/stack/index.js';
import { RedisChannelLog } from '../../stores/channels/index.js';
import { gatewayUrl } from '../../workers/endpoints.js';
import { ChaosProcess } from '../chaos/process.js';
import { Listener } from '../streams-chaos/listener.js';
import { ScriptedModels, samplesOf, storyOf } from './models.js';
import { environment, PORTS, settings } from './settings.js';

const HOST = '127.0.0.1';

/** One narration, as its listener has it. */
export interface Heard {
  readonly id: string;
  /** Whether the listener got every sentence once and in order, and nothing else. */
  readonly whole: boolean;
  readonly firstAt: number;
  readonly endedAt: number;
}

/** Temporal and Redis, a gateway and workers in processes of their own, and scripted models in this one. */
export class Stack {
  readonly base = gatewayUrl(settings);
  readonly models: ScriptedModels;
  readonly temporal: Client;
  readonly redis: Redis;
  readonly channels: RedisChannelLog;
  readonly gateway: ChaosProcess;
  readonly workers: Readonly<Record<'worker-a' | 'worker-b', ChaosProcess>>;
  readonly #subscriber: Redis;

  private constructor(models: ScriptedModels, connection: Connection) {
    const stack = { home: settings.MILLRACE_HOME, environment };
    const worker = (name: 'worker-a' | 'worker-b') => {
      const env = { MILLRACE_WORKER_METRICS_PORT: String(PORTS[name]), MILLRACE_BUILD_ID: name };
      return new ChaosProcess({ name, role: 'worker', env, probe: `http://${HOST}:${PORTS[name]}/readyz`, stack });
    };
    this.models = models;
    this.temporal = new Client({ connection });
    this.gateway = new ChaosProcess({ name: 'gateway', role: 'gateway', env: {}, probe: `${this.base}/readyz`, stack });
    this.workers = { 'worker-a': worker('worker-a'), 'worker-b': worker('worker-b') };
    const redis = () => new Redis(settings.MILLRACE_REDIS_PORT, HOST).on('error', () => undefined);
    [this.redis, this.#subscriber] = [redis(), redis()];
    this.channels = new RedisChannelLog(this.redis, this.#subscriber);
  }

  /** With the gateway and the first worker. */
  static async open(): Promise<Stack> {
    await down(settings);
    const { temporal } = await up({ settings, parts: ['temporal', 'redis', 'redis-index', 'redis-cache'] });
    const models = await ScriptedModels.open(PORTS.models);
    const stack = new Stack(models, await Connection.connect({ address: temporal }));
    try {
      await Promise.all([stack.gateway.start(), stack.workers['worker-a'].start()]);
    } catch (error) {
      await stack.close();
      throw error;
    }
    return stack;
  }

  /** Starts a narration and listens to it while it is made. Throws if the run fails. */
  async narrate(sentences: number, everyMs: number, onStart: (id: string) => void = () => undefined): Promise<Heard> {
    const client = new MillraceClient({ baseUrl: this.base });
    const { id } = await client.start('narrator', { prompt: `${sentences} sentences, one every ${everyMs} ms` });
    onStart(id);
    const over = new AbortController();
    const listener = new Listener(`${this.base}/v1/runs/${id}/artifacts/speech`);
    const listening = listener.listen(over.signal);
    try {
      const { status: ended, error } = await client.wait(id);
      const endedAt = Date.now();
      if (ended !== 'succeeded') throw new Error(`${id} ${ended}: ${error?.code} ${error?.message}`);
      await listening;
      const expected = createHash('sha256');
      for (const sentence of storyOf(sentences)) expected.update(samplesOf(sentence));
      const got = createHash('sha256').update(listener.heard).digest('hex');
      return { id, whole: got === expected.digest('hex'), firstAt: listener.heardAt[0] ?? endedAt, endedAt };
    } finally {
      over.abort();
    }
  }

  /** The process of the state store. */
  get storePid(): number | undefined {
    return status(settings).parts.find(({ name }) => name === 'redis')?.pid;
  }

  async close(): Promise<void> {
    await Promise.all([this.gateway, ...Object.values(this.workers)].map((each) => each.kill()));
    this.models.close();
    this.redis.disconnect();
    this.#subscriber.disconnect();
    await this.temporal.connection.close();
    await down(settings);
  }
}
