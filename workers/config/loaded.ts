import type { Logger } from 'pino';
import type { Connector } from '../../activities/connectors/index.js';
import type { Door } from '../../gateway/index.js';
import type { DefinedKind } from '../../pipelines/stages/kind.js';
import type { ArtifactStore } from '../../stores/artifacts/index.js';

/** What a configuration adds to the settings: values that no environment variable can carry. */
export interface LoadedConfig {
  /** The configuration file, absolute. Absent: there is none, or the configuration was made by a program. */
  readonly file?: string;
  /** What stands in for variables that the environment does not have, as text. */
  readonly settings: Readonly<Record<string, string>>;
  /** Pipelines, functions and tools, as a module exports them. Absent: those of `MILLRACE_PIPELINES`. */
  readonly pipelines?: readonly unknown[];
  /** The content of a models file. Absent: that of `MILLRACE_MODELS`. */
  readonly models?: unknown;
  readonly connectors: readonly Connector[];
  /** Kinds besides those that the pipelines use. */
  readonly kinds: readonly DefinedKind[];
  readonly doors: readonly Door[];
  /** Absent: the folder `artifacts` in `MILLRACE_HOME`. */
  readonly artifacts?: ArtifactStore;
  /** Absent: JSON lines on stdout. */
  readonly logger?: Logger;
}

/** No configuration: the environment alone. */
export const NO_CONFIG: LoadedConfig = { settings: {}, connectors: [], kinds: [], doors: [] };
