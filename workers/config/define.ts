import type { Logger } from 'pino';
import type { Connector } from '../../activities/connectors/index.js';
import type { ModelsFile } from '../../activities/pools/index.js';
import type { Door } from '../../gateway/index.js';
import type { Pipeline, StageUse, Tool } from '../../pipelines/index.js';
import type { DefinedKind } from '../../pipelines/stages/kind.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';
import type { SettingName } from '../settings.js';

/** What a pipelines module exports: pipelines, and functions and tools whose earlier versions runs still need. */
export type Served = Pipeline<never> | StageUse<never, never> | Tool;

/**
 * Configuration of worker, gateway and command line. Every field is optional. Variables of the environment take
 * precedence over `pipelines`, `models` and `settings`.
 */
export interface Config {
  /**
   * The pipelines to serve: the path of a module that exports them, relative to this file, or the pipelines themselves.
   * Default: the catalogue that Millrace ships. The variable is `MILLRACE_PIPELINES`.
   */
  readonly pipelines?: string | readonly Served[];
  /**
   * The pool of each model that pipelines name: the path of a JSON file, relative to this file, or its content. Default:
   * the models of the embedded stack. The variable is `MILLRACE_MODELS`.
   */
  readonly models?: string | ModelsFile;
  /** Connectors in addition to the built-in ones; a pool names one by its `name`. */
  readonly connectors?: readonly Connector[];
  /**
   * Kinds made with `defineKind` that runs in progress still need; kinds that the pipelines use are known without this.
   */
  readonly kinds?: readonly { readonly definition: DefinedKind }[];
  /** Protocols of the gateway in addition to the built-in ones. */
  readonly doors?: readonly Door[];
  readonly stores?: {
    /**
     * Where media are stored. Default: the folder `artifacts` in `MILLRACE_HOME`, which gateway and workers must share.
     */
    readonly artifacts?: ArtifactStore;
  };
  readonly telemetry?: {
    /**
     * Receives the log lines of worker and gateway of level `MILLRACE_LOG_LEVEL` or higher. Default: JSON lines on
     * stdout.
     */
    readonly logger?: Logger;
  };
  /** Settings by the names of their variables; relative paths among them are relative to the working directory. */
  readonly settings?: { readonly [name in SettingName]?: string | number | readonly string[] };
}

/** Types a configuration, for the default export of `millrace.config.ts`. */
export const defineConfig = (config: Config): Config => config;
