import { setTimeout as sleep } from 'node:timers/promises';
import type { Backend, LoadState } from '../../activities/connectors/connector.js';
import { plainContext } from '../../activities/connectors/plain-context.js';
import type { RegisteredConnector } from '../../activities/connectors/registered.js';
import { MillraceError } from '../../pipelines/errors.js';

/** A server of models that clients load and unload, each of one mebibyte. It notes whatever must not happen. */
export class RepositoryServer {
  readonly url: string;
  readonly states = new Map<string, LoadState>();
  /** Calls under way, by model. */
  readonly calls = new Map<string, number>();
  /** `load a`, `unload b`, `call a`, in order. */
  readonly log: string[] = [];
  /** What must not happen: a model that is unloaded under its calls, more memory than there is. */
  readonly faults: string[] = [];
  /** Time of a load in milliseconds. */
  loadMs = 0;
  /** Loads and calls that begin now end no sooner than this. */
  held: Promise<unknown> = Promise.resolve();
  /** Models that cannot be loaded, and why. */
  readonly broken = new Map<string, string>();
  away = false;
  readonly #memory: number;

  /** @param models that fit at the same time */
  constructor(url: string, models = Number.POSITIVE_INFINITY) {
    this.url = url;
    this.#memory = models;
  }

  get loads(): number {
    return this.log.filter((line) => line.startsWith('load ')).length;
  }

  /** Holds loads and calls that begin from now on, until what is returned is called. */
  hold(): () => void {
    let release: () => void = () => undefined;
    this.held = new Promise<void>((resolve) => {
      release = resolve;
    });
    return release;
  }

  /** It has lost all models, and its calls. */
  restart(): void {
    this.states.clear();
  }

  backend(): Backend {
    const answer = () => {
      if (this.away) throw new MillraceError('BACKEND_UNAVAILABLE', `${this.url} is away`, { unsent: true });
    };
    const expectLoaded = (model: string) => {
      answer();
      if (this.states.get(model) !== 'ready') throw new MillraceError('MODEL_NOT_FOUND', `no model ${model}`);
    };
    return {
      endpoint: this.url,
      invoke: async ({ model, input }) => {
        expectLoaded(model);
        const { held } = this;
        this.log.push(`call ${model}`);
        this.calls.set(model, (this.calls.get(model) ?? 0) + 1);
        await sleep(Number(input.ms ?? 0));
        await held;
        this.calls.set(model, (this.calls.get(model) ?? 0) - 1);
        return { output: { model } };
      },
      probe: async (model) => expectLoaded(model),
      heal: async (model) => {
        this.log.push(`heal ${model}`);
      },
      fingerprint: async (model) => {
        expectLoaded(model);
        return `weights of ${model}`;
      },
      repository: {
        states: async () => {
          answer();
          return new Map(this.states);
        },
        load: (model) => this.#load(model, answer),
        unload: async (model) => {
          answer();
          this.log.push(`unload ${model}`);
          if ((this.calls.get(model) ?? 0) > 0) this.faults.push(`${model} is unloaded under its calls`);
          this.states.delete(model);
        },
      },
      close: () => undefined,
    };
  }

  async #load(model: string, answer: () => void): Promise<void> {
    answer();
    const { held } = this;
    this.log.push(`load ${model}`);
    const why = this.broken.get(model);
    if (why !== undefined) throw new MillraceError('BACKEND_ERROR', why);
    this.states.set(model, 'loading');
    if (this.states.size > this.#memory) this.faults.push(`${[...this.states.keys()]} at once`);
    await sleep(this.loadMs);
    await held;
    answer();
    this.states.set(model, 'ready');
  }
}

/** A connector to these servers. */
export function repositoryConnector(servers: readonly RepositoryServer[]): RegisteredConnector {
  return {
    name: 'repository',
    kinds: new Set(['embed']),
    capabilities: new Set<never>(),
    loadsModels: true,
    check: () => undefined,
    connect(url) {
      const server = servers.find((each) => each.url === url);
      if (!server) throw new Error(`no server ${url}`);
      return server.backend();
    },
  };
}

/** Pools of models of one mebibyte each, at servers with memory for `fit` of them. */
export const repositoryModels = (
  servers: readonly RepositoryServer[],
  models: readonly string[],
  fit: number,
  load: Readonly<Record<string, object>> = {},
): Record<string, unknown> =>
  Object.fromEntries(
    models.map((model) => [
      model,
      {
        connector: 'repository',
        kind: 'embed',
        model,
        endpoints: servers.map(({ url }) => ({ url, device: url })),
        load: { memory: '1MiB', of: `${fit}MiB`, ...load[model] },
      },
    ]),
  );

/** A call of a model through its pool, of some milliseconds. */
export const calling =
  (ms = 0) =>
  (backend: Backend, { model }: { readonly model: string }, signal: AbortSignal) => {
    return backend.invoke({ kind: 'embed', model, with: {}, input: { ms } }, plainContext(signal));
  };
