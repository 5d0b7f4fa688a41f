import { TEMPORAL_SETTINGS } from '../workers/settings/temporal.js';

/**
 * Settings for the developer's own servers, models and access. A bench uses its own stack: an empty setting counts as
 * unset.
 */
const OWN = [
  ...Object.keys(TEMPORAL_SETTINGS),
  'TEMPORAL_UI_URL',
  'REDIS_URL',
  'REDIS_INDEX_URL',
  'REDIS_CACHE_URL',
  'TRITON_URL',
  'LLM_BASE_URL',
  'LLM_API_KEY',
  'LLM_MODEL',
  'MILLRACE_MODELS',
  'MILLRACE_PLACEMENT',
  'MILLRACE_DEVICES',
  'MILLRACE_KEYS',
  'MILLRACE_OIDC_ISSUER',
  'MILLRACE_OIDC_AUDIENCE',
  'MILLRACE_LLM_GGUF',
  'MILLRACE_LLM_CHAT_TEMPLATE',
  'MILLRACE_LOG_LEVEL',
];

export interface OwnStack {
  /** Its folder in `.millrace`. */
  readonly name: string;
  /** First of its ports: separate from a demo's, the tests' and the other benches'. */
  readonly portBase: number;
  readonly more?: Readonly<Record<string, string>>;
}

/** The environment of a bench's stack and of the processes that it starts beside it. */
export const environmentOf = ({ name, portBase, more = {} }: OwnStack): Readonly<Record<string, string>> => ({
  ...Object.fromEntries(OWN.map((setting) => [setting, ''])),
  MILLRACE_CONFIG: 'none',
  MILLRACE_HOME: `.millrace/${name}`,
  MILLRACE_VENV: '.millrace/venv',
  MILLRACE_PORT_BASE: String(portBase),
  ...more,
});
