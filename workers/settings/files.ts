import { z } from 'zod';

/** Folders, files and pipelines. */
export const FILE_SETTINGS = {
  MILLRACE_CONFIG: z
    .string()
    .optional()
    .describe(
      'Configuration file, for what variables cannot express and for settings that the environment does not have; default: millrace.config.ts, .mts, .js or .mjs in the working directory. `none`: no file. The option --config of every command takes precedence.',
    ),
  MILLRACE_HOME: z
    .string()
    .default('.millrace')
    .describe('Folder of the embedded stack: Python venv, databases, logs, artifacts, state.'),
  MILLRACE_VENV: z
    .string()
    .optional()
    .describe(
      'Folder of the embedded servers’ Python packages; default: venv in MILLRACE_HOME. Several homes may share one.',
    ),
  MILLRACE_LOG_LEVEL: z
    .enum(['trace', 'debug', 'info', 'warn', 'error', 'silent'])
    .default('info')
    .describe('Lowest level of log lines.'),
  MILLRACE_PIPELINES: z
    .string()
    .optional()
    .describe(
      'Module that exports your pipelines, JavaScript or TypeScript; default: the catalogue shipped with Millrace.',
    ),
  MILLRACE_BUILD_ID: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,39}$/)
    .optional()
    .describe(
      'Identifies the build of your pipelines, e.g. a commit: the version of functions that declare none. Must be equal for gateway and workers of a deployment. Default: a hash of the module of MILLRACE_PIPELINES and of all files that it refers to by relative paths; changes in packages do not change it.',
    ),
  MILLRACE_MODELS: z
    .string()
    .optional()
    .describe(
      'JSON file that maps model names to pools of endpoints; default: the embedded models on the servers below.',
    ),
  MILLRACE_MCP_SERVERS: z
    .string()
    .optional()
    .describe(
      'JSON file of the MCP servers whose tools agents may call, by name: `command`, `args` and `env`, or `url` and `headers`.',
    ),
  MILLRACE_SANDBOXES: z
    .string()
    .optional()
    .describe(
      'JSON file of the sandboxes in which agents run code that their models write, by name: `engine`, or `url` and `languages`; with limits.',
    ),
};
