/** `millrace/server`: worker and gateway for programs that run them, and the types of what the configuration file holds. */
import type { Config } from './config/define.js';
import type { Settings } from './settings.js';

export type { Door, DoorGateway, DoorOrder } from '../gateway/index.js';
export type { ArtifactInfo, ArtifactStore, ByteRange, Inspector } from '../stores/artifacts/index.js';
export { type Config, defineConfig, type Served } from './config/define.js';

/** A process of Millrace in a program. */
export interface Service {
  /**
   * Serves until `stop` is called or the process receives SIGTERM or SIGINT, then lets work in progress finish. Throws
   * if it cannot start, with the codes of `millrace worker` and `millrace gateway`.
   */
  run(): Promise<void>;
  stop(): void;
}

/**
 * A worker: runs workflows and stages. Variables of the environment take precedence over the configuration. Throws
 * `INVALID_SETTING`.
 * @param config a configuration, or the path of a configuration file
 */
export async function createWorker(config: Config | string = {}): Promise<Service> {
  const settings = await settingsOf(config);
  const { runWorker } = await import('./worker.js');
  return service((end) => runWorker(settings, end));
}

/**
 * A gateway: serves all doors. Variables of the environment take precedence over the configuration. Throws
 * `INVALID_SETTING`.
 * @param config a configuration, or the path of a configuration file
 */
export async function createGateway(config: Config | string = {}): Promise<Service> {
  const settings = await settingsOf(config);
  const { runGateway } = await import('./gateway.js');
  return service((end) => runGateway(settings, end));
}

/** Loaded when it is needed: a configuration file imports this module for its type only. */
async function settingsOf(config: Config | string): Promise<Settings> {
  const { loadSettings, settingsWith } = await import('./config/load.js');
  return typeof config === 'string' ? await loadSettings(process.env, config) : await settingsWith(config);
}

function service(run: (end: AbortSignal) => Promise<void>): Service {
  const end = new AbortController();
  return { run: () => run(end.signal), stop: () => end.abort() };
}
