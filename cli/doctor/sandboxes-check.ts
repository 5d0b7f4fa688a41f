import { randomUUID } from 'node:crypto';
import { openSandboxes, type SandboxConfig, type Sandboxes } from '../../activities/sandbox/index.js';
import { MillraceError } from '../../pipelines/errors.js';
import { limited } from '../../runtime/limited.js';
import { isLoopbackName } from '../../runtime/loopback.js';
import { readSandboxes } from '../../workers/sandboxes.js';
import type { Settings } from '../../workers/settings.js';
import { type Check, errorText, type Finding, fail, pass, warn } from './finding.js';
import { CALL_MS, FILE_MS } from './limits.js';
import { hiding } from './redact.js';

/** Ends at once in most languages, and with an error that is an answer too in the others. */
const CODE = '1';
/** Time of the code, in milliseconds. */
const CODE_MS = 5_000;

/** One check per sandbox: a call in each of its languages. None without a file; a failed one if it cannot be read. */
export async function sandboxChecks(settings: Settings): Promise<readonly Check[]> {
  const { MILLRACE_SANDBOXES: file } = settings;
  if (file === undefined) return [];
  try {
    const config = await limited(FILE_MS, new AbortController().signal, () => readSandboxes(settings));
    return Object.entries(config).map(([name, sandbox]) => checkOf(name, sandbox, file));
  } catch (error) {
    const remedy = 'correct the file; workers do not start without it';
    const failed = fail('settings.sandboxes', file, errorText(error), remedy);
    return [{ id: failed.id, about: file, remedy, run: async () => [failed] }];
  }
}

function checkOf(name: string, config: SandboxConfig, file: string): Check {
  const isService = 'url' in config;
  const about = isService ? `${name} at ${config.url}` : name;
  const remedy = isService ? `start the service, or correct its url in ${file}` : 'read the log of the worker';
  const hide = hiding(isService ? Object.values(config.headers).flatMap((value) => value.split(/\s+/)) : []);
  return {
    id: 'sandbox.reachable',
    about,
    remedy,
    async run(signal) {
      let sandboxes: Sandboxes;
      try {
        sandboxes = await openSandboxes({ [name]: config });
      } catch (error) {
        const install = 'install what it names; workers do not start without it';
        return [fail('settings.sandboxes', about, errorText(error), install)];
      }
      try {
        const languages = isService ? config.languages : ['javascript'];
        const calls = languages.map((language) => callOf(sandboxes, { name, about, language, remedy }, signal));
        const findings = [...openHeaders(config, about), ...(await Promise.all(calls)).flat()];
        return findings.map((finding) => ({ ...finding, detail: hide(finding.detail) }));
      } finally {
        await sandboxes.close();
      }
    },
  };
}

interface Asked {
  readonly name: string;
  readonly about: string;
  readonly language: string;
  readonly remedy: string;
}

/** One call of a sandbox, as a worker makes it. One that is rejected says that the service is there. */
async function callOf(
  sandboxes: Sandboxes,
  { name, about, language, remedy }: Asked,
  signal: AbortSignal,
): Promise<readonly Finding[]> {
  const started = performance.now();
  try {
    const { error } = await limited(CALL_MS, signal, (own) =>
      sandboxes.run(name, {
        language,
        code: CODE,
        files: async () => [],
        limits: { timeMs: CODE_MS, fileBytes: 0 },
        tenant: 'default',
        idempotencyKey: `doctor/${randomUUID()}`,
        signal: own,
      }),
    );
    const ms = performance.now() - started;
    const answer = error === undefined ? `it runs ${language}` : `it answers to ${language}: ${error.split('\n')[0]}`;
    return [pass('sandbox.reachable', about, answer, ms)];
  } catch (error) {
    const detail = `${language}: ${errorText(error)}`;
    if (!(error instanceof MillraceError && error.code === 'SANDBOX_FAILED'))
      return [fail('sandbox.reachable', about, detail, remedy)];
    return [
      pass('sandbox.reachable', about, 'it answers'),
      fail('sandbox.call', about, detail, 'compare the answer with docs/reference/sandboxes.md, and the headers'),
    ];
  }
}

/** Warns if headers, which may be keys, are sent in plain text. */
function openHeaders(config: SandboxConfig, about: string): Finding[] {
  if (!('url' in config) || !config.url.startsWith('http:') || Object.keys(config.headers).length === 0) return [];
  if (isLoopbackName(new URL(config.url).hostname)) return [];
  const detail = 'its headers are sent over plain http: they can be read in transit, as can code and files';
  return [warn('sandbox.key', about, detail, 'use https, or a service that needs no key')];
}
