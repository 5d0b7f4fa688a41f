import { createConnectors } from '../../activities/connectors/index.js';
import { limited } from '../../runtime/limited.js';
import { loadModels } from '../../workers/models.js';
import { keysOf } from '../../workers/pool-keys.js';
import type { Settings } from '../../workers/settings.js';
import { artifactsCheck, ffmpegCheck } from './files-checks.js';
import { type Check, type Finding, fail, told } from './finding.js';
import { CHECK_MS, FILE_MS } from './limits.js';
import { pipelinesCheck } from './pipelines-check.js';
import { poolChecks } from './pools-check.js';
import { redactor } from './redact.js';
import { redisChecks } from './redis-check.js';
import { checkSettings, filesCheck, gatewayCheck } from './settings-checks.js';
import { temporalCheck } from './temporal-check.js';

/**
 * Looks at everything that Millrace needs: reads the models file, then carries out all checks at the same time, so that it
 * returns within the time of one check and of a file. Never throws; no finding has a secret of the settings in it.
 *
 * @param env the environment that the settings are read from
 */
export async function examine(env: Readonly<Record<string, string | undefined>>): Promise<readonly Finding[]> {
  const { settings, findings } = checkSettings(env);
  if (!settings) return findings;
  const more = await carryOut([
    filesCheck(settings),
    gatewayCheck(settings),
    temporalCheck(settings),
    ...redisChecks(settings),
    ...(await modelChecks(settings)),
    ffmpegCheck(settings),
    artifactsCheck(settings),
  ]);
  const redact = redactor(settings);
  return [...findings, ...more].map((finding) => ({
    ...finding,
    about: redact(finding.about),
    detail: redact(finding.detail),
    ...(finding.remedy !== undefined && { remedy: redact(finding.remedy) }),
  }));
}

/** What needs the models file; without it, or when it cannot be read in time, the reason. */
async function modelChecks(settings: Settings): Promise<readonly Check[]> {
  const connectors = createConnectors({ openai: { keyOf: keysOf(settings) } });
  try {
    const models = await limited(FILE_MS, new AbortController().signal, () => loadModels(settings));
    return [pipelinesCheck(settings, models, connectors), ...poolChecks(settings, models, connectors)];
  } catch (error) {
    const remedy = 'correct the file; nothing starts without it';
    const about = settings.MILLRACE_MODELS ?? 'the embedded models';
    return [
      { id: 'settings.models', about, remedy, run: async () => [fail('settings.models', about, told(error), remedy)] },
    ];
  }
}

/** The checks' findings in the checks' order. A check that throws, or does not end in time, is a failed finding. */
export async function carryOut(checks: readonly Check[], limitMs = CHECK_MS): Promise<readonly Finding[]> {
  const all = await Promise.all(
    checks.map(async (check) => {
      try {
        return await limited(limitMs, new AbortController().signal, (signal) => check.run(signal));
      } catch (error) {
        return [fail(check.id, check.about, told(error), check.remedy)];
      }
    }),
  );
  return all.flat();
}
