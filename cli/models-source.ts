import type { Settings } from '../workers/settings.js';

/** Where the pools are described: the models file, or the configuration. Undefined: they are those of the embedded stack. */
export const modelsSource = ({ MILLRACE_MODELS: file, config }: Settings): string | undefined =>
  file ?? (config.models === undefined ? undefined : inConfig(config.file));

/** The configuration for messages; one that a program has made has no file. */
export const inConfig = (file: string | undefined): string => file ?? 'the configuration';
