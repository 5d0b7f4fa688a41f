import type { Settings } from '../../workers/settings.js';

/** Shorter values are placeholders (`none`) whose letters occur in any text. */
const SHORTEST_SECRET = 6;

const HIDDEN = '***';

/** Returns a function that removes these secrets from a text. */
export function hiding(secrets: readonly string[]): (text: string) => string {
  const long = secrets.filter((secret) => secret.length >= SHORTEST_SECRET);
  return (text) => long.reduce((rest, secret) => rest.replaceAll(secret, HIDDEN), text);
}

/** Returns a function that removes the secrets of the settings, and user and password of any URL, from a text. */
export function redactor(settings: Settings): (text: string) => string {
  const urls = [
    settings.REDIS_URL,
    settings.REDIS_INDEX_URL,
    settings.REDIS_CACHE_URL,
    ...(settings.LLM_BASE_URL ?? []),
    ...(settings.TRITON_URL ?? []),
  ];
  const { LLM_API_KEY, MILLRACE_API_KEY = '', MILLRACE_PROXY_SECRET = [] } = settings;
  const { TEMPORAL_API_KEY = '', TEMPORAL_TLS_CLIENT_KEY_DATA = '' } = settings;
  const keys = [LLM_API_KEY, MILLRACE_API_KEY, TEMPORAL_API_KEY, TEMPORAL_TLS_CLIENT_KEY_DATA];
  const hide = hiding([...keys, ...MILLRACE_PROXY_SECRET, ...urls.flatMap(passwordsOf)]);
  return (text) => hide(text).replace(/\/\/[^/\s]*@/g, `//${HIDDEN}@`);
}

/** The password of a URL, as written and decoded: up to the last `@` before the path. */
function passwordsOf(url: string | undefined): string[] {
  const password = /\/\/[^:/\s]*:([^/\s]+)@/.exec(url ?? '')?.[1];
  if (password === undefined) return [];
  try {
    return [password, decodeURIComponent(password)];
  } catch {
    return [password];
  }
}
